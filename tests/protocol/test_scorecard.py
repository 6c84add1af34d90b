"""The scorecard run over an in-memory network equals the pooled oracle, integer by integer."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from protocols.channel.identity import PartyId
from protocols.credit.logistic import Signs
from protocols.credit.metrics import auc
from protocols.errors import UnexpectedMessage
from protocols.scorecard.messages import EncryptedResiduals, FeaturePoints, LeakClass, PointTables, Rows
from protocols.scorecard.model import FAR, BankRows, TrainingPlan
from protocols.scorecard.plaintext import train_pooled
from protocols.scorecard.rows import BinnedRows

from .network import BANK, Network, binned, economy

TRAINING = 700


def alike(offices: int) -> tuple[dict[str, BinnedRows], NDArray[np.int64]]:
    """Rows of offices that all know much the same, and of one that knows something else; and outcomes."""
    rng = np.random.default_rng(3)
    shared, alone = rng.normal(size=(2, 900))
    bad = (shared + 1.5 * alone + rng.normal(size=900) > 1.5).astype(np.int64)

    def known(value: NDArray[np.float64]) -> BinnedRows:
        noisy = value + 0.3 * rng.normal(size=900)
        return binned([np.searchsorted(np.quantile(noisy, np.linspace(0, 1, 8)[1:-1]), noisy)], [8], TRAINING)

    return {"single": known(alone)} | {f"office{i}": known(shared) for i in range(offices)}, bad


@pytest.mark.parametrize(
    ("offices", "made"), [(1, 1), (3, 2)], ids=["one that moves little", "a second after one that moves far"]
)
def test_a_second_refinement_follows_one_that_moved_the_scores_far(offices: int, made: int) -> None:
    rows, bad = alike(offices)
    data, plan = BankRows(BinnedRows((), np.empty((900, 0), dtype=np.uint16)), bad, TRAINING), TrainingPlan(further=1)
    network = Network(rows, data, plan)
    assert network.spec.row_totals == 3
    network.run()
    result = network.bank.result
    assert result is not None
    oracle = train_pooled(BANK, data, {PartyId(p): (p, r) for p, r in rows.items()}, plan)
    assert result.candidate.points == oracle.candidate.points
    assert result.moved == oracle.moved
    assert len(result.moved) == made
    assert (result.moved[0] > FAR) == (made == 2)
    assert result.row_totals == made + 1
    for site in network.sites.values():
        assert site.part is not None
        assert sum(leak is LeakClass.ROW_TOTALS for _, leak in site.releases) == made + 1
    zeros = (FeaturePoints((0,) * 8),)
    with pytest.raises(UnexpectedMessage):
        network.tell("single", PointTables(made + 1, Rows.ALL, zeros, bytes(32)))
    with pytest.raises(UnexpectedMessage):
        network.tell("single", EncryptedResiduals(network.labels.vector), everyone=True)


def test_a_plan_without_a_first_refinement_has_no_further_one() -> None:
    with pytest.raises(ValueError, match="first"):
        TrainingPlan(refinements=0, further=1)


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
