"""The scorecard run over an in-memory network equals the pooled oracle, integer by integer."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.channel.identity import PartyId
from protocols.credit.logistic import Signs
from protocols.credit.metrics import auc
from protocols.scorecard.messages import LeakClass
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.plaintext import train_pooled

from .network import BANK, Network, economy

TRAINING = 700


@pytest.mark.parametrize(
    ("features", "refinements", "strength", "signs"),
    [
        ({"bank": 2, "tax": 3, "social": 2, "electricity": 1}, 1, 0.7, Signs.FREE),
        ({"bank": 2, "tax": 6, "social": 5, "electricity": 1}, 1, 2.5, Signs.CONSTRAINED),
        ({"bank": 0, "tax": 2, "social": 1}, 2, 0.7, Signs.FREE),
        ({"bank": 1, "tax": 1, "social": 1}, 0, 0.7, Signs.FREE),
        ({"bank": 1, "tax": 1, "social": 1}, 1, 0.0, Signs.FREE),
    ],
)
def test_federated_points_equal_the_pooled_oracle_exactly(
    features: dict[str, int], refinements: int, strength: float, signs: Signs
) -> None:
    rows, bad = economy(7, features, strength)
    data = BankRows(rows.pop("bank"), bad, TRAINING)
    plan = TrainingPlan(refinements=refinements, signs=signs)
    network = Network(rows, data, plan)
    network.run()
    result = network.bank.result
    assert result is not None
    oracle = train_pooled(BANK, data, {PartyId(p): (p, r) for p, r in rows.items()}, plan)
    assert result.candidate.points == oracle.candidate.points
    assert result.candidate.offset == oracle.candidate.offset
    assert result.calibration == oracle.calibration
    np.testing.assert_array_equal(result.totals, oracle.totals)
    if signs is Signs.CONSTRAINED:
        held = result.candidate.coefficients[1:] == 0
        assert held.any()
        assert (result.candidate.coefficients[1:] >= 0).all()
        reasons = [f.reason for found in result.features.values() for f in found if f.selected]
        assert [bool(reason) for reason in reasons] == held.tolist()
    if strength:
        assert auc(oracle.calibration.log_odds(oracle.totals), bad) > 0.6
    for site in network.sites.values():
        assert site.part is not None
        assert sum(leak is LeakClass.ROW_TOTALS for _, leak in site.releases) == refinements + 1
