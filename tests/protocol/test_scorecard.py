"""The scorecard run over an in-memory network equals the pooled oracle, integer by integer."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from protocols.channel.identity import PartyId
from protocols.credit.metrics import auc
from protocols.scorecard.messages import LeakClass
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.plaintext import train_pooled
from protocols.scorecard.rows import BinnedRows

from .network import BANK, Network, binned

ROWS, TRAINING = 900, 700


def economy(
    seed: int, features: dict[str, int], strength: float = 0.7
) -> tuple[dict[str, BinnedRows], NDArray[np.int64]]:
    """Binned rows per party and outcomes, all driven by one latent risk of the given strength."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=ROWS)
    bad = (risk + rng.normal(size=ROWS) > 1.2).astype(np.int64)
    rows = {}
    for party, count in features.items():
        columns = []
        for _ in range(count):
            value = strength * risk + rng.normal(size=ROWS)
            code = np.searchsorted(np.quantile(value, np.linspace(0, 1, 9)[1:-1]), value)
            columns.append(np.where(rng.random(ROWS) < 0.1, 8, code))
        rows[party] = binned(columns, [9] * count, TRAINING)
    return rows, bad


@pytest.mark.parametrize(
    ("features", "refinements", "strength"),
    [
        ({"bank": 2, "tax": 3, "social": 2, "electricity": 1}, 1, 0.7),
        ({"bank": 0, "tax": 2, "social": 1}, 2, 0.7),
        ({"bank": 1, "tax": 1, "social": 1}, 0, 0.7),
        ({"bank": 1, "tax": 1, "social": 1}, 1, 0.0),
    ],
)
def test_federated_points_equal_the_pooled_oracle_exactly(
    features: dict[str, int], refinements: int, strength: float
) -> None:
    rows, bad = economy(7, features, strength)
    data = BankRows(rows.pop("bank"), bad, TRAINING)
    plan = TrainingPlan(refinements=refinements)
    network = Network(rows, data, plan)
    network.run()
    result = network.bank.result
    assert result is not None
    oracle = train_pooled(BANK, data, {PartyId(p): (p, r) for p, r in rows.items()}, plan)
    assert result.candidate.points == oracle.candidate.points
    assert result.candidate.offset == oracle.candidate.offset
    assert result.calibration == oracle.calibration
    np.testing.assert_array_equal(result.totals, oracle.totals)
    if strength:
        assert auc(oracle.calibration.log_odds(oracle.totals), bad) > 0.6
    for site in network.sites.values():
        assert site.part is not None
        assert sum(leak is LeakClass.ROW_TOTALS for _, leak in site.releases) == refinements + 1
