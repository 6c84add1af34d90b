"""A party that fails, is silent, refuses or answers garbage ends a training with one clear error, and the next works.

Whatever the round: no model and no half of one is kept, the log verifies and fits the ledgers, an earlier model stays.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from federation.local.federation import LocalFederation, Training
from federation.local.layout import BANK
from nodes.policy import TrainingRules, usual_policy
from protocols.boosting.model import BoostingPlan
from protocols.errors import UnexpectedMessage
from protocols.scorecard.model import TrainingPlan
from tests.small_federation import KEY_BITS, MINIMUM_BIN, PLAN, default_split, make_federation, quick_keys
from tests.system.sabotage import ERRORS, Sabotaged, Saboteur, mute

RULES = TrainingRules(MINIMUM_BIN, row_totals_per_year=10_000, minimum_key_bits=KEY_BITS)
TREES = BoostingPlan(trees=2, depth=2, row_totals=2, group=1)


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sabotaged]:
    saboteur = Saboteur()
    with quick_keys(), saboteur.watching():
        folder = make_federation(tmp_path_factory.mktemp("broken") / "out", usual_policy((BANK,), training=RULES))
        with LocalFederation(folder, on_round=saboteur.events.append) as federation:
            yield Sabotaged(folder, federation, saboteur)


def train(parties: Sabotaged, plan: TrainingPlan | BoostingPlan) -> Training:
    return parties.federation.train(default_split(parties.federation), plan, MINIMUM_BIN)


def undisturbed(parties: Sabotaged, plan: TrainingPlan | BoostingPlan) -> list[object]:
    parties.saboteur.break_at(0, "", mute)
    training = train(parties, plan)
    return [training.scorecard.totals.tolist(), training.leaks, training.traffic.rounds]


@pytest.mark.slow
@pytest.mark.parametrize("plan", [PLAN, TREES], ids=["scorecard", "boosting"])
def test_any_round_may_break_and_the_next_run_is_as_if_nothing_had_been(
    parties: Sabotaged, plan: TrainingPlan | BoostingPlan
) -> None:
    before = undisturbed(parties, plan)
    ways = itertools.cycle(ERRORS)
    for event in parties.saboteur.rounds():
        party = event.parties[event.number % len(event.parties)]
        parties.broken(lambda: train(parties, plan), event, party, next(ways))
    assert undisturbed(parties, plan) == before


@pytest.mark.slow
def test_a_party_that_says_nothing_leaves_no_model(parties: Sabotaged) -> None:
    before = undisturbed(parties, PLAN)
    rounds, spoke = parties.saboteur.rounds(), dict(parties.saboteur.spoke)
    for event in (rounds[1], rounds[-3]):
        parties.broken(lambda: train(parties, PLAN), event, spoke[event.number][-1], mute)
    parties.saboteur.break_at(rounds[0].number, spoke[rounds[0].number][0], mute)
    with pytest.raises(UnexpectedMessage) as caught:
        train(parties, PLAN)
    assert caught.value.code == "RUN_UNFINISHED"
    assert undisturbed(parties, PLAN) == before
