"""A party that fails, is silent, refuses or answers garbage ends a training with one clear error, and the next works.

Whatever the round: no model and no half of one is kept, the log verifies, an earlier model stays.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from federation.audit import verify_directory
from federation.local import BANK, MODEL_FILE, LocalFederation, Training
from federation.rounds import RoundEvent
from nodes.bank.agent import BankAgent
from nodes.data_node.agent import DataNodeAgent
from nodes.policy import TrainingRules, usual_policy
from protocols.boosting.model import BoostingPlan
from protocols.channel.envelope import Envelope, open_parcel, pack_parcel, pack_refusal
from protocols.errors import (
    CreditFederationError,
    MalformedMessage,
    PeerRefused,
    TransportError,
    UnexpectedMessage,
    VerificationFailed,
)
from protocols.scorecard.model import TrainingPlan
from tests.small_federation import KEY_BITS, MINIMUM_BIN, PLAN, default_split, make_federation, quick_keys

RULES = TrainingRules(MINIMUM_BIN, row_totals_per_year=10_000, minimum_key_bits=KEY_BITS)
TREES = BoostingPlan(trees=2, depth=2, row_totals=2, group=1)
Sabotage = Callable[[bytes], bytes]


def silent(reply: bytes) -> bytes:
    raise TimeoutError


def refusing(reply: bytes) -> bytes:
    return pack_refusal("OUT_OF_ORDER")


def garbage(reply: bytes) -> bytes:
    return b"\xc1" + reply[:50]


def forged(reply: bytes) -> bytes:
    """The envelopes as they were but for one byte; where there were none, one that is nobody's."""
    envelopes = open_parcel(reply) or (Envelope(bytes(32), "tax", "bank", "Growth", False, b"x", bytes(64)),)
    last = envelopes[-1]
    body = last.body[:-1] + bytes([last.body[-1] ^ 1])
    changed = Envelope(*(last.transcript, last.sender, last.receiver, last.message, last.sealed, body, last.signature))
    return pack_parcel((*envelopes[:-1], changed))


ERRORS: dict[Sabotage, tuple[type[CreditFederationError], ...]] = {
    silent: (TransportError,),
    refusing: (PeerRefused,),
    garbage: (MalformedMessage,),
    forged: (VerificationFailed, MalformedMessage, UnexpectedMessage),
}


@dataclass
class Saboteur:
    """Changes what one party answers in one round; the rounds so far are in `events`."""

    sabotage: Sabotage = silent
    number: int = 0
    party: str = ""
    events: list[RoundEvent] = field(default_factory=list)

    def rounds(self) -> list[RoundEvent]:
        return [event for event in self.events if event.number]

    def answer(self, party: str, reply: bytes) -> bytes:
        now = len(self.rounds()) + 1
        return self.sabotage(reply) if (now, party) == (self.number, self.party) else reply

    def watch(self, agent: type[DataNodeAgent] | type[BankAgent], patch: pytest.MonkeyPatch) -> None:
        """Let every answer of these agents pass through here."""
        handle = agent.handle
        patch.setattr(agent, "handle", lambda own, data: self.answer(own._site.keys.party, handle(own, data)))


@dataclass
class Sabotaged:
    folder: Path
    federation: LocalFederation
    saboteur: Saboteur

    def train(
        self, plan: TrainingPlan | BoostingPlan, number: int = 0, party: str = "", how: Sabotage = silent
    ) -> Training:
        self.saboteur.number, self.saboteur.party, self.saboteur.sabotage = number, party, how
        self.saboteur.events.clear()
        return self.federation.train(default_split(self.federation), plan, MINIMUM_BIN)

    def broken(self, plan: TrainingPlan | BoostingPlan, event: RoundEvent, party: str, how: Sabotage) -> None:
        model = self.folder / BANK / MODEL_FILE
        before = model.read_bytes() if model.exists() else b""
        with pytest.raises(ERRORS[how]) as caught:
            self.train(plan, event.number, party, how)
        text = str(caught.value)
        assert party in text
        assert text.endswith(f"(round {event.number}, {event.phase})")
        assert "\n" not in text
        assert len(text) < 200
        if how is refusing:
            assert caught.value.code == "OUT_OF_ORDER"
        assert len(self.saboteur.rounds()) == event.number - 1
        assert (model.read_bytes() if model.exists() else b"") == before
        verify_directory(self.folder)


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sabotaged]:
    saboteur = Saboteur()
    with quick_keys(), pytest.MonkeyPatch.context() as patch:
        folder = make_federation(tmp_path_factory.mktemp("broken") / "out", usual_policy((BANK,), training=RULES))
        saboteur.watch(DataNodeAgent, patch)
        saboteur.watch(BankAgent, patch)
        with LocalFederation(folder, on_round=saboteur.events.append) as federation:
            yield Sabotaged(folder, federation, saboteur)


def _points(training: Training) -> list[object]:
    return [training.scorecard.totals.tolist(), training.leaks, training.traffic.rounds]


@pytest.mark.slow
@pytest.mark.parametrize("plan", [PLAN, TREES], ids=["scorecard", "boosting"])
def test_any_round_may_break_and_the_next_run_is_as_if_nothing_had_been(
    parties: Sabotaged, plan: TrainingPlan | BoostingPlan
) -> None:
    undisturbed = _points(parties.train(plan))
    ways = itertools.cycle(ERRORS)
    for event in parties.saboteur.rounds():
        parties.broken(plan, event, event.parties[event.number % len(event.parties)], next(ways))
    assert _points(parties.train(plan)) == undisturbed
