"""A month's report, put together from a log that verified: its counts, its alarms, its witnesses."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from itertools import islice

from federation.audit.alarms import AlarmRules, Period, watch
from federation.audit.alarms.facts import facts
from federation.audit.reading.log_view import LogView
from federation.audit.reconciliation.reconcile import OwnEntry, Reconciliation, reconcile
from federation.audit.reports.month import Month, MonthlyReport, activity, witness_states
from federation.audit.verify import LogReport


def compose(
    month: Month, verified: LogReport, log: LogView, records: Mapping[str, Iterable[OwnEntry]], rules: AlarmRules
) -> MonthlyReport:
    """Return the report of a month, of exactly the entries that were `verified`; `records` are the parties' own.

    It reads the log two or three times: a minute or two for a million entries. Raises: MalformedMessage.
    """
    now = datetime.datetime.now(datetime.UTC)
    period = Period(round(now.timestamp() * 1000), month.since_ms, month.until_ms)
    fits = Reconciliation(0, ())
    if rules.reconciliation:
        fits = reconcile(islice(log.leaves(), verified.leaves), records)
    with facts(islice(log.leaves(), verified.leaves), period.until_ms) as work:
        alarms = watch(work, rules, period, fits.discrepancies)
        counts = activity(work, month)
    return MonthlyReport(
        month=month,
        origin=verified.origin,
        generated=now.isoformat(timespec="minutes").replace("+00:00", "Z"),
        leaves=verified.leaves,
        root=verified.root.hex(),
        checkpoints=verified.checkpoints,
        cosignatures=verified.cosignatures,
        witnessed_size=verified.witnessed_size,
        quorum=log.keys.threshold,
        witnesses=witness_states(log),
        alarms=tuple(alarms),
        days=counts.days,
        banks=counts.banks,
        denials=counts.denials,
        latencies=counts.latencies,
        models=counts.models,
        coverage=counts.coverage,
    )
