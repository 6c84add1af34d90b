"""Several banks train one scorecard, and it is the one that a single bank with all their rows would have."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.channel.identity import PartyId
from protocols.scorecard.model import TrainingPlan
from tests.protocol.consortium_network import ConsortiumNetwork, pooled_economy

FEATURES = {"electricity": 1, "fund": 1, "social": 2, "tax": 2}
TWO = {"bank_a": (180, 60), "bank_b": (120, 50)}
THREE = TWO | {"bank_c": (100, 40)}


@pytest.fixture(scope="module")
def trained() -> ConsortiumNetwork:
    network = ConsortiumNetwork(pooled_economy(TWO, FEATURES))
    network.run()
    return network


def assert_equals_oracle(network: ConsortiumNetwork) -> None:
    oracle = network.economy.oracle(network.plan)
    for bank, role in network.bank_roles.items():
        assert role.result is not None
        found = role.result.scorecard
        named = {bank if party == "bank" else party: table for party, table in oracle.candidate.points.items()}
        assert found.candidate.points == named
        assert found.candidate.offset == oracle.candidate.offset
        assert found.features == {bank if p == "bank" else p: f for p, f in oracle.features.items()}
        np.testing.assert_array_equal(found.totals, oracle.totals[network.layout.rows(bank)])


def test_two_banks_get_the_oracles_scorecard_on_their_concatenated_rows(trained: ConsortiumNetwork) -> None:
    assert_equals_oracle(trained)
    assert trained.relay.finished


@pytest.mark.parametrize(
    ("sizes", "own", "refinements"), [(THREE, 1, 2), (TWO, 0, 0), (TWO, 2, 1)], ids=["three", "no columns", "two"]
)
def test_other_consortia_get_it_too(sizes: dict[str, tuple[int, int]], own: int, refinements: int) -> None:
    network = ConsortiumNetwork(pooled_economy(sizes, FEATURES, own, seed=3), TrainingPlan(refinements=refinements))
    network.run()
    assert_equals_oracle(network)
    releases = [step for step, leak in network.sites[PartyId("tax")].releases if leak == "row_totals"]
    assert len(releases) == refinements + 1


def test_every_bank_hears_as_of_when_each_node_s_records_speak(trained: ConsortiumNetwork) -> None:
    assert all(bank.as_of == dict.fromkeys(trained.sites, "2025-12-31") for bank in trained.bank_roles.values())
