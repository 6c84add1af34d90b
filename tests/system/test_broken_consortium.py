"""Whatever breaks in a run of several banks, and in whatever round: no bank keeps a model, and the next run works."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from federation.local.consortium import train_consortium
from federation.local.federation import LocalFederation
from federation.local.founding import create_federation
from federation.traffic import RoundEvent
from nodes.bank.training.split import split_rows
from nodes.policy import TrainingRules, usual_policy
from nodes.sources import read_description
from protocols.channel.identity import PartyId
from protocols.errors import UnexpectedMessage
from tests.small_federation import KEY_BITS, MINIMUM_BIN, PLAN, codes, quick_keys, write_dataset
from tests.split_banks import split_bank
from tests.system.sabotage import ERRORS, Sabotaged, Saboteur, dead, mute

A, B = PartyId("bank_a"), PartyId("bank_b")
RULES = TrainingRules(MINIMUM_BIN, row_totals_per_year=10_000, minimum_key_bits=KEY_BITS)


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sabotaged]:
    """Two banks and four nodes."""
    folder, saboteur = tmp_path_factory.mktemp("broken") / "out", Saboteur()
    write_dataset(folder / "data", codes(500))
    split_bank(folder / "data", {A: 0.6, B: 0.4}, 30)
    with quick_keys(), saboteur.watching():
        create_federation(folder, read_description(folder / "data"), KEY_BITS, usual_policy((A, B), training=RULES))
        with LocalFederation(folder, on_round=saboteur.events.append) as federation:
            yield Sabotaged(folder, federation, saboteur)


def train(banks: Sabotaged) -> list[object]:
    federation = banks.federation
    splits = {bank: split_rows(known, 0.3, 0) for bank, known in federation.bank_outcomes.items()}
    training = train_consortium(federation, splits, PLAN, MINIMUM_BIN, "")
    lead = training.banks[training.lead]
    return [*(held.scorecard.totals.tolist() for held in training.banks.values()), lead.traffic.rounds, lead.leaks]


def undisturbed(banks: Sabotaged) -> list[object]:
    banks.saboteur.break_at(0, "", mute)
    return train(banks)


def breakable(rounds: list[RoundEvent]) -> Iterator[tuple[RoundEvent, str]]:
    """Each round once, every party in turn."""
    for event in rounds:
        yield event, event.parties[event.number % len(event.parties)]


@pytest.mark.slow
def test_any_round_of_a_consortium_may_break_and_the_next_run_is_as_if_nothing_had_been(banks: Sabotaged) -> None:
    before, ways = undisturbed(banks), itertools.cycle(ERRORS)
    rounds = banks.saboteur.rounds()
    assert {party for _, party in breakable(rounds)} >= {A, B, "tax"}
    for event, party in breakable(rounds):
        banks.broken(lambda: train(banks), event, party, next(ways))
    assert undisturbed(banks) == before


@pytest.mark.slow
def test_a_bank_that_dies_or_says_nothing_leaves_both_without_a_model(banks: Sabotaged) -> None:
    first = RoundEvent(1, "consortium", (A, B), 0, 0.0)
    banks.broken(lambda: train(banks), first, B, dead)
    before = undisturbed(banks)
    assert all((banks.folder / bank / "model.json").exists() for bank in (A, B))
    banks.saboteur.break_at(1, B, mute)  # the invitation is never answered: no second run has begun
    held = banks.models()
    with pytest.raises(UnexpectedMessage) as caught:
        train(banks)
    assert caught.value.code == "RUN_UNFINISHED"
    assert banks.models() == held
    assert undisturbed(banks) == before
