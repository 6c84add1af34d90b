"""What the console reads, and where each look at entries is recorded: ports, so that it knows no party's files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from federation.audit.alarms import AlarmRules
from federation.audit.reading.log_view import LogView
from federation.audit.reconciliation.reconcile import OwnEntry
from federation.audit.verify import LogReport
from federation.console.health import Health
from protocols.channel.identity import PartyCard, PartyKeys


@dataclass(frozen=True, slots=True)
class Look:
    """That an auditor is about to be shown these leaves, in order, on this page, having asked for `selection`."""

    auditor: str
    page: str
    leaves: Sequence[int]
    selection: Mapping[str, str]
    keys: PartyKeys | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SealedBody:
    """A body without its cover, sealed to the auditor who asked, and the leaf that says so. Reveals: its size."""

    view: int
    envelope: bytes = field(repr=False)


class LookBook(Protocol):
    """Where looks are recorded, durably, before the page leaves."""

    @property
    def logged(self) -> bool:
        """Whether a look becomes a leaf of the log itself."""
        ...

    def record(self, look: Look) -> None:
        """Return once the look is on record. Raises: CreditFederationError if it cannot be; then nothing is shown."""
        ...

    def open_body(self, look: Look) -> SealedBody:
        """Return the body of the one leaf of a look, once it is on record that it is opened.

        Raises: CreditFederationError if it cannot be; then nothing is handed out.
        """
        ...


Records = Mapping[str, Iterable[OwnEntry]]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where everything comes from. Each call opens what it needs anew, so that the console sees a log that grows.

    `judge` verifies the whole log; `records` are the parties' own ones that are at hand; `home` is the console's own
    folder, for accounts and the index; `signers` are the cards that a party has, or had; `place` is what an audit
    command calls the log.
    """

    name: str
    home: Path
    open_log: Callable[[], AbstractContextManager[LogView]]
    judge: Callable[[], LogReport]
    records: Callable[[], AbstractContextManager[Records]]
    rules: Callable[[], AlarmRules]
    looks: LookBook
    health: Callable[[], Health]
    signers: Callable[[str], Sequence[PartyCard]]
    live: bool
    place: str = "DIR"
