"""The thresholds of the alarms, as `alarms.yaml` states them; a rule that is null there is off.

Units: hours and days are sliding windows, not calendar ones. A rule fires when a threshold is reached.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from protocols.enterprise.objections import OBJECTION_DAYS

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
Hours = Annotated[int, msgspec.Meta(ge=1, le=24 * 366)]
Days = Annotated[int, msgspec.Meta(ge=1, le=366)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Hour = Annotated[int, msgspec.Meta(ge=0, le=24)]


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key that is not known is refused, so that a misspelt threshold is never passed over."""


class Bulk(_Settings, frozen=True):
    """A bank asks about many enterprises; those of a batch count each."""

    per_hour: Count = 5_000
    per_day: Count = 20_000


class Sequential(_Settings, frozen=True):
    """A bank asks single questions one after the other, as a program does that walks a list."""

    queries: Count = 300
    gap_seconds: Seconds = 10


class OffHours(_Settings, frozen=True):
    """A bank asks when nobody is at work: enterprises within 24 hours, those asked about in working hours left out."""

    enterprises: Count = 100
    opens: Hour = 7
    closes: Hour = 22
    weekends: bool = True
    utc_offset_minutes: Annotated[int, msgspec.Meta(ge=-14 * 60, le=14 * 60)] = 8 * 60

    def __post_init__(self) -> None:
        if self.opens >= self.closes:
            raise ValueError("opens is before closes")


class ConsentDenials(_Settings, frozen=True):
    """A bank's questions are denied for want of a good consent: how many within 24 hours, by the code of the denial."""

    per_day: dict[str, Count] = msgspec.field(
        default_factory=lambda: {
            "CONSENT_MISSING": 20,
            "CONSENT_EXPIRED": 20,
            "CONSENT_OVERUSED": 5,
            "CONSENT_REVOKED": 5,
            "CONSENT_INVALID": 3,
            "CONSENT_SCOPE": 3,
            "CONSENT_KEY": 1,
            "CONSENT_MISMATCH": 1,
        }
    )


class ConsentReuse(_Settings, frozen=True):
    """One consent, by the handle of its slip, is shown again and again. How often it may be is not in the log."""

    queries: Count = 20
    days: Days = 30


class Requery(_Settings, frozen=True):
    """One bank asks about one enterprise, by its tag, again and again, one by one or in batches."""

    queries: Count = 10
    days: Days = 30


class ManyBanks(_Settings, frozen=True):
    """Nodes say that many banks ask about an enterprise: of how many enterprises, in a bank's questions of 24 hours.

    What many is, each node's own setting `many_banks` says: by default five banks within 30 days.
    """

    enterprises: Count = 1


class DenialRate(_Settings, frozen=True):
    """Of a bank's questions, many are denied by somebody, or in a batch many enterprises."""

    share: Share = 0.3
    enterprises: Count = 50
    hours: Hours = 24


class SlowNode(_Settings, frozen=True):
    """A node's answers come late, nearly all of them: time from REQUEST to its RELEASE or DENY."""

    seconds: Seconds = 30
    share: Share = 0.9
    answers: Count = 20
    hours: Hours = 24


class SilentNode(_Settings, frozen=True):
    """A node does not answer, though no other denied; `wait_seconds` is when an answer is given up."""

    share: Share = 0.9
    queries: Count = 5
    hours: Hours = 24
    wait_seconds: Seconds = 600


class Unacknowledged(_Settings, frozen=True):
    """A bank does not say what became of its questions; `wait_seconds` is when an ACK is given up."""

    share: Share = 0.2
    queries: Count = 5
    hours: Hours = 24
    wait_seconds: Seconds = 3_600


class ObjectionOverdue(_Settings, frozen=True):
    """A node has not decided an enterprise's objection in time, or decided it late."""

    days: Days = OBJECTION_DAYS


class AlarmRules(_Settings, frozen=True):
    """Every rule. Reconciliation has no threshold: whatever does not fit is an alarm."""

    bulk: Bulk | None = msgspec.field(default_factory=Bulk)
    sequential: Sequential | None = msgspec.field(default_factory=Sequential)
    off_hours: OffHours | None = msgspec.field(default_factory=OffHours)
    consent_denials: ConsentDenials | None = msgspec.field(default_factory=ConsentDenials)
    consent_reuse: ConsentReuse | None = msgspec.field(default_factory=ConsentReuse)
    requery: Requery | None = msgspec.field(default_factory=Requery)
    many_banks: ManyBanks | None = msgspec.field(default_factory=ManyBanks)
    denial_rate: DenialRate | None = msgspec.field(default_factory=DenialRate)
    slow_node: SlowNode | None = msgspec.field(default_factory=SlowNode)
    silent_node: SilentNode | None = msgspec.field(default_factory=SilentNode)
    unacknowledged: Unacknowledged | None = msgspec.field(default_factory=Unacknowledged)
    objection_overdue: ObjectionOverdue | None = msgspec.field(default_factory=ObjectionOverdue)
    reconciliation: bool = True
