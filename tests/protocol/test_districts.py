"""A domain that is split by region gives the scorecard that one node with all its rows would give, to the integer."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.scorecard.model import TrainingPlan
from protocols.scorecard.plaintext import train_pooled
from tests.protocol.district_network import NORTH, SOCIAL, SOUTH, DistrictNetwork
from tests.protocol.network import BANK


@pytest.mark.parametrize("refinements", [1, 0, 2])
def test_two_districts_equal_the_oracle_on_their_pooled_rows(refinements: int) -> None:
    network = DistrictNetwork(plan=TrainingPlan(refinements=refinements))
    network.run()
    result = network.bank.result
    assert result is not None
    nodes = {NORTH: ("tax", network.one_node()), SOCIAL: ("social", network.sites[SOCIAL].rows)}
    oracle = train_pooled(BANK, network.data, nodes, network.plan_of_bank)
    selected = [feature.name for feature in oracle.features[NORTH] if feature.selected]
    assert selected == ["sales", "arrears", "grade"]
    assert result.candidate.points == oracle.candidate.points
    assert result.calibration == oracle.calibration
    np.testing.assert_array_equal(result.totals, oracle.totals)
    for district in (NORTH, SOUTH):
        part = network.sites[district].part
        assert part is not None
        assert tuple(f.points for f in part[1].features) == oracle.candidate.points[NORTH]
