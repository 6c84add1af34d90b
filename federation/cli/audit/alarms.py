"""`credfed audit alarms`: the rules held against the log."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import yaml
from rich.markup import escape

from federation.audit.alarms import Alarm, AlarmRules, Period, watch
from federation.audit.alarms.facts import facts
from federation.audit.reconciliation.reconcile import Reconciliation, reconcile
from federation.audit.storage.location import coordinator_home
from federation.cli.audit.criteria import read_criteria
from federation.cli.audit.ledgers import open_ledgers, own_entries
from federation.cli.audit.logs import judge, open_log, show_failure
from federation.cli.output import FAILED, console, errors, print_json, reported_errors
from federation.process.settings import read_settings

ALARMS_FILE = "alarms.yaml"


def alarms(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation, or of an export.")],
    since: Annotated[str, typer.Option(help="Alarms that were not over before: 2026-03-01 or with a time, UTC.")] = "",
    until: Annotated[str, typer.Option(help="Only what is logged up to this time; a day is included whole.")] = "",
    rules_file: Annotated[
        Path | None, typer.Option("--rules", help="Thresholds; by default DIR/coordinator/alarms.yaml, if it exists.")
    ] = None,
    ledgers: Annotated[
        Path | None, typer.Option("--ledgers", help="Folder of the parties' folders; by default DIR itself.")
    ] = None,
    show_rules: Annotated[bool, typer.Option("--show-rules", help="Print the thresholds as YAML, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold the log against rules with stated thresholds, and reconcile it: scraping, misused consents, bad nodes.

    Each alarm names its rule, the threshold, what was seen, and the first and last leaf. The thresholds are settings:
    print those in force with --show-rules, change what should differ in coordinator/alarms.yaml, set a rule to null to
    turn it off. That several banks ask about one enterprise only its nodes can see; they say so, and not about whom.

    Exit code 0 if there is no alarm; 1 with the alarms, or if the log does not verify; 2 for bad settings or no log.

    Examples: `alarms DIR --since 2026-03-01` · `alarms DIR --show-rules > DIR/coordinator/alarms.yaml`
    """
    with reported_errors(as_json):
        rules = read_rules(directory, rules_file)
        if show_rules:
            _print_rules(rules, as_json)
            return
        period, found = read_period(since, until), list[Alarm]()
        with errors.status("verifying the log, then holding it against the rules"):
            report = judge(directory)
            if report.ok:
                found = find_alarms(directory, rules, period, ledgers)
    if as_json:
        print_json(_AlarmsEntry(report.ok and not found, report.ok, tuple(found)))
    elif report.ok:
        _show(found)
    else:
        show_failure(report)
    if found or not report.ok:
        raise typer.Exit(FAILED)


class _AlarmsEntry(msgspec.Struct, frozen=True):
    ok: bool
    log_ok: bool
    alarms: tuple[Alarm, ...]


def read_rules(directory: Path, file: Path | None) -> AlarmRules:
    """Return the rules of `file`, or of the coordinator's folder, or by default. Raises: ConfigurationError."""
    own = coordinator_home(directory) / ALARMS_FILE
    if file is None and not own.exists():
        return AlarmRules()
    return read_settings(file or own, AlarmRules)


def read_period(since: str, until: str) -> Period:
    """Return the period that two options spell. Raises: ConfigurationError."""
    spelt = read_criteria(since, until, [], "", "", "", "", "")
    return Period(round(time.time() * 1000), spelt.since_ms or 0, spelt.until_ms)


def find_alarms(directory: Path, rules: AlarmRules, period: Period, ledgers: Path | None = None) -> list[Alarm]:
    """Return the alarms of a verified log, reconciled with the ledgers at hand."""
    with open_log(directory) as log, open_ledgers(ledgers or directory) as readers:
        fits = Reconciliation(0, ())
        if rules.reconciliation:
            fits = reconcile(log.leaves(), {party: own_entries(reader) for party, reader in readers.items()})
        with facts(log.leaves(), period.until_ms) as work:
            return watch(work, rules, period, fits.discrepancies)


def _print_rules(rules: AlarmRules, as_json: bool) -> None:
    if as_json:
        print_json(rules)
    else:
        sys.stdout.write(yaml.safe_dump(msgspec.to_builtins(rules), sort_keys=False))


def _show(found: list[Alarm]) -> None:
    for alarm in found:
        about = f" {alarm.about}" if alarm.about else ""
        place = "not in the log"
        if alarm.first_leaf is not None:
            place = f"leaves {alarm.first_leaf} to {alarm.last_leaf}, {alarm.first_time} to {alarm.last_time}"
        console.print(f"[bold red]{alarm.rule}[/]  {escape(alarm.party)}{escape(about)}", soft_wrap=True)
        console.print(f"    {escape(alarm.seen)}  [dim]threshold {escape(alarm.threshold)}; {place}[/]", soft_wrap=True)
    console.print(f"[bold red]{len(found)} alarms[/]" if found else "[green]ok[/] no alarm")
