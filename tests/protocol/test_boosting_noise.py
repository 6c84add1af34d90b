"""A boosting run with noise: the bank's sums no longer tell one enterprise, and the run ends with a model."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocols.boosting.arithmetic import GAIN_LEVELS, gradient_packing
from protocols.boosting.bank import BankBoosting
from protocols.boosting.model import BoostingPlan
from protocols.boosting.noise import TreeNoise
from protocols.credit.metrics import auc
from protocols.errors import VerificationFailed
from protocols.privacy import NANO, GaussianNoise
from protocols.scorecard.arithmetic import RESIDUAL_SCALE
from protocols.scorecard.messages import LeakClass
from protocols.scorecard.model import BankRows

from .boosting_network import BoostingNetwork
from .network import economy

TRAINING = 700
PARTS = {"bank": 1, "tax": 2, "social": 1}
Opened = list[tuple[str, NDArray[np.int64]]]


def network(rho: int, trees: int = 8) -> BoostingNetwork:
    rows, bad = economy(7, PARTS, 0.9)
    plan = BoostingPlan(trees=trees, group=2, row_totals=1, rho=rho)
    return BoostingNetwork(rows, BankRows(rows.pop("bank"), bad, TRAINING), plan, 20)


def run(made: BoostingNetwork, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Run to the end; return all sums that the bank opens of the nodes' trees, by node, in order."""
    opened: Opened = []
    true = BankBoosting._open_sums

    def seen(self: BankBoosting, node: str, vector: bytes, cells: int) -> NDArray[np.int64]:
        opened.append((str(node), true(self, node, vector, cells)))  # type: ignore[arg-type]
        return opened[-1][1]

    monkeypatch.setattr(BankBoosting, "_open_sums", seen)
    made.run()
    return opened


def test_a_noisy_run_ends_with_a_model_that_states_its_noise() -> None:
    made = network(200 * NANO)
    made.run()
    result = made.bank.result
    assert result is not None
    assert (result.manifest.manifest.row_totals, result.manifest.manifest.rho) == (1, 200 * NANO)
    assert auc(result.calibration.log_odds(result.totals)[TRAINING:], made.data.bad[TRAINING:]) > 0.6


def test_two_runs_on_the_same_rows_open_different_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attacker compares roots, which exact runs repeat to the unit: under noise nearly every cell differs."""
    first = dict(reversed(run(network(0), monkeypatch)))
    again = dict(reversed(run(network(0), monkeypatch)))
    noisy = dict(reversed(run(network(NANO), monkeypatch)))
    for node in ("tax", "social"):
        np.testing.assert_array_equal(first[node], again[node])
        assert first[node].shape == noisy[node].shape
        assert np.count_nonzero(noisy[node] != first[node]) > 0.9 * noisy[node].size


def test_every_sum_of_a_tree_carries_its_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """With noise of always 7, the roots that the bank opens are off by 7, each residual and each curvature."""
    exact = run(network(0), monkeypatch)
    monkeypatch.setattr(GaussianNoise, "draw", lambda noise, count, randomness: [7] * count)
    noisy = run(network(NANO), monkeypatch)
    for node in ("tax", "social"):
        roots = [next(sums for name, sums in opened if name == node) for opened in (exact, noisy)]
        np.testing.assert_array_equal(roots[1] - roots[0], np.full_like(roots[0], 7))


@pytest.mark.parametrize("sign", [1, -1])
def test_noise_at_its_bound_overflows_no_slot(sign: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GaussianNoise, "draw", lambda noise, count, _: [sign * noise.bound] * count)
    run(network(NANO // 1000), monkeypatch)


def test_the_noise_is_as_wide_as_one_enterprise_can_move_the_sums() -> None:
    """Exchange a record by brute force: no residual, curvature or gain moves further than the noise is made for."""
    rng = np.random.default_rng(0)
    noise = TreeNoise(NANO, steps=1, depth=1, group=4, folds=4)
    features = [3, 3, 3, 3]
    allowed = noise.leaves(features).deviation * np.sqrt(2 * noise.share("LeafHistograms/0.0.0") / NANO)
    furthest = 0.0
    for _ in range(200):
        before, after = rng.random(2)  # the node's own predictions under either record
        moved = 0.0
        for count in features[1:]:  # the enterprise's fold leaves one tree aside
            ends = [(p * RESIDUAL_SCALE) ** 2 + (p * (1 - p) * RESIDUAL_SCALE) ** 2 for p in (before, after)]
            moved += count * sum(ends)
        furthest = max(furthest, float(np.sqrt(moved)))
    assert 0.5 * allowed < furthest <= allowed
    linear, square = noise.gain()
    share = noise.share("ValidationGain/0.0") // 2
    for part, most in ((linear, GAIN_LEVELS), (square, GAIN_LEVELS**2)):
        assert part.deviation * np.sqrt(2 * share / NANO) >= 2 * most * RESIDUAL_SCALE


@given(st.integers(0, 10**12), st.integers(1, 200), st.integers(1, 6))
def test_all_releases_of_a_run_together_spend_no_more_than_it_announces(rho: int, steps: int, depth: int) -> None:
    noise = TreeNoise(rho, steps, depth, 4, 4)
    released = ["FeatureHistograms", "MaskedTotals/0"]
    released += [f"LeafHistograms/0.{step}.{level}" for step in range(steps) for level in range(depth)]
    released += [f"ValidationGain/0.{step}" for step in range(steps)]
    assert sum(map(noise.share, released)) <= rho


def test_what_a_node_releases_has_a_share_and_no_step_is_released_twice() -> None:
    made = network(50 * NANO)
    made.run()
    noise = TreeNoise.of(made.spec)
    for site in made.sites.values():
        steps = [step for step, _ in site.releases]
        assert len(set(steps)) == len(steps)
        shares = [noise.share(step) for step, leak in site.releases if leak is LeakClass.AGGREGATE]
        assert min(shares) > 0
        assert sum(shares) <= made.spec.rho


def test_a_release_without_a_share_is_not_made() -> None:
    with pytest.raises(ValueError, match="NewSums"):
        TreeNoise(NANO, 1, 1, 4, 4).share("NewSums/1")


def test_a_run_with_noise_and_gradients_of_all_parties_is_refused() -> None:
    """Later turns' residuals depend on how many others share a leaf: the noise is not made for that."""
    with pytest.raises(ValueError, match="one turn"):
        BoostingPlan(trees=8, group=2, row_totals=2, rho=NANO)
    made = network(0)
    made.spec = msgspec.structs.replace(made.spec, rho=NANO, steps=(4, 4), row_totals=2)
    with pytest.raises(VerificationFailed) as refused:
        made._open()
    assert refused.value.code == "NOISY_TURNS"


def test_noise_widens_the_slots_of_a_turn() -> None:
    noise = TreeNoise(NANO // 1000, 10, 3, 4, 4)
    wide, exact = (gradient_packing(1000, 2048, bound) for bound in (noise.bound(6), 0))
    assert wide.magnitude * wide.addends >= exact.magnitude * exact.addends + noise.bound(6)
