"""Breaks a training of a federation in one process, in a round and a way of the test's choice, and holds what is left.

Left must be: no model and no half of one, an earlier one as it was, a log that verifies, and every party's records that
fit it, but for what was lost on its way from the party that broke.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from federation.audit import verify_directory
from federation.audit.reading.log_view import StoredLog
from federation.audit.reconciliation.discrepancy import Discrepancy
from federation.audit.reconciliation.reconcile import reconcile
from federation.cli.audit.ledgers import open_ledgers, own_entries
from federation.local.federation import LocalFederation
from federation.traffic import RoundEvent
from nodes.bank.agent import BankAgent
from nodes.data_node.agent import DataNodeAgent
from protocols.channel.envelope import Envelope, open_parcel, pack_parcel, pack_refusal
from protocols.errors import (
    CreditFederationError,
    MalformedMessage,
    PeerRefused,
    TransportError,
    UnexpectedMessage,
    VerificationFailed,
)

NOTHING = pack_parcel(())
TOTALS = "MaskedTotals"
Sabotage = Callable[[Callable[[], bytes]], bytes]


def dead(work: Callable[[], bytes]) -> bytes:
    """Killed before it has looked at its parcel."""
    raise ConnectionResetError


def silent(work: Callable[[], bytes]) -> bytes:
    """Killed when all its work was done, or its answer lost."""
    work()
    raise TimeoutError


def refusing(work: Callable[[], bytes]) -> bytes:
    work()
    return pack_refusal("OUT_OF_ORDER")


def garbage(work: Callable[[], bytes]) -> bytes:
    return b"\xc1" + work()[:50]


def forged(work: Callable[[], bytes]) -> bytes:
    """The envelopes as they were but for one byte; where there were none, one that is nobody's."""
    envelopes = open_parcel(work()) or (Envelope(bytes(32), "tax", "bank", "Growth", False, b"x", bytes(64)),)
    last = envelopes[-1]
    body = last.body[:-1] + bytes([last.body[-1] ^ 1])
    changed = Envelope(*(last.transcript, last.sender, last.receiver, last.message, last.sealed, body, last.signature))
    return pack_parcel((*envelopes[:-1], changed))


def mute(work: Callable[[], bytes]) -> bytes:
    """Says nothing, as one does that waits for others."""
    work()
    return NOTHING


ERRORS: dict[Sabotage, tuple[type[CreditFederationError], ...]] = {
    silent: (TransportError,),
    refusing: (PeerRefused,),
    garbage: (MalformedMessage,),
    dead: (TransportError,),
    forged: (VerificationFailed, MalformedMessage, UnexpectedMessage),
}
"""How a run ends in the round that is broken. One that is `mute` leaves others waiting, and breaks where that shows."""


@dataclass
class Saboteur:
    """Changes what one party answers in one round; the rounds so far are in `events`, who spoke in them in `spoke`.

    `lost` counts the totals that each party has released and nobody got.
    """

    sabotage: Sabotage = silent
    number: int = 0
    party: str = ""
    events: list[RoundEvent] = field(default_factory=list)
    spoke: dict[int, list[str]] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)

    def rounds(self) -> list[RoundEvent]:
        return [event for event in self.events if event.number]

    def break_at(self, number: int, party: str, sabotage: Sabotage) -> None:
        """Be ready for the next run."""
        self.number, self.party, self.sabotage = number, party, sabotage
        self.events.clear()
        self.spoke.clear()

    def answer(self, party: str, work: Callable[[], bytes]) -> bytes:
        now = len(self.rounds()) + 1
        if (now, party) != (self.number, self.party):
            reply = work()
            if reply != NOTHING:
                self.spoke.setdefault(now, []).append(party)
            return reply
        sent: list[Envelope] = []

        def noted() -> bytes:
            reply = work()
            sent.extend(open_parcel(reply))
            return reply

        try:
            return self.sabotage(noted)
        finally:
            gone = sent[-1:] if self.sabotage is forged else sent
            self.lost[party] += sum(envelope.message == TOTALS for envelope in gone)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Let every answer of every agent pass through here."""
        with pytest.MonkeyPatch.context() as patch:
            for agent in (DataNodeAgent, BankAgent):
                self._watch(agent, patch)
            yield

    def _watch(self, agent: type[DataNodeAgent] | type[BankAgent], patch: pytest.MonkeyPatch) -> None:
        handle = agent.handle
        patch.setattr(agent, "handle", lambda own, data: self.answer(own._site.keys.party, lambda: handle(own, data)))


def discrepancies(folder: Path) -> tuple[Discrepancy, ...]:
    """What does not fit between the log, which must verify, and the ledgers of all parties."""
    assert verify_directory(folder).ok
    with closing(StoredLog(folder)) as log, open_ledgers(folder) as ledgers:
        found = reconcile(log.leaves(), {party: own_entries(ledger) for party, ledger in ledgers.items()})
    return found.discrepancies


def totals_logged(folder: Path) -> Counter[str]:
    """How many releases of totals the log has of each party."""
    with closing(StoredLog(folder)) as log:
        leaves = [logged.commitment() for logged in log.leaves()]
    return Counter(leaf.actor for leaf in leaves if dict(leaf.attributes).get("step") == TOTALS)


@dataclass
class Sabotaged:
    """A federation whose parties' answers pass through a saboteur; `train` opens a run of its own."""

    folder: Path
    federation: LocalFederation
    saboteur: Saboteur
    broken_runs: set[str] = field(default_factory=set)

    def models(self) -> dict[str, bytes]:
        """Every bank's files but for its keys and its ledger."""
        banks = [self.folder / bank for bank in self.federation.banks]
        kept = [path for bank in banks for path in bank.iterdir() if not path.name.startswith("ledger")]
        return {str(path): path.read_bytes() for path in [*kept, self.folder / "federation.json"] if path.is_file()}

    def broken(self, train: Callable[[], object], event: RoundEvent, party: str, how: Sabotage) -> None:
        """Train, with one party broken in one round: the run ends with a clear error and leaves nothing behind."""
        before = self.models()
        self.saboteur.break_at(event.number, party, how)
        with pytest.raises(ERRORS.get(how, CreditFederationError)) as caught:
            train()
        text = str(caught.value)
        assert "\n" not in text
        assert len(text) < 200
        if how is not mute:
            assert party in text
            assert text.endswith(f"(round {event.number}, {event.phase})")
            assert len(self.saboteur.rounds()) == event.number - 1
        if how is refusing:
            assert caught.value.code == "OUT_OF_ORDER"
        assert self.models() == before
        self.consistent(party, may_lack=how is not dead)

    def consistent(self, party: str, may_lack: bool) -> None:
        """Of this run nothing is missing from the log but what `party` sent and nobody got; charged is what left."""
        found = [one for one in discrepancies(self.folder) if one.query not in self.broken_runs]
        self.broken_runs |= {one.query for one in found}
        assert {(one.code, one.party) for one in found} <= {("TRAIN_STEP_NOT_LOGGED", party)} if may_lack else not found
        spent: Counter[str] = Counter()
        for bank in self.federation.banks:
            accounts = self.federation.accounts(bank)
            spent.update({node: account.row_totals_spent for node, account in accounts.items()})
        logged = totals_logged(self.folder)
        assert {node: logged[node] + self.saboteur.lost[node] for node in spent} == dict(spent)
