"""Noise in a consortium: on each pooled sum once, wide enough for an enterprise that stands in every bank's rows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from protocols.channel.identity import PartyId
from protocols.consortium import bank as bank_role
from protocols.consortium.admission import plan_digest
from protocols.consortium.gradient import pack_pooled
from protocols.consortium.noise import pool_noise
from protocols.privacy import NANO, GaussianNoise
from protocols.scorecard.curvature import column_sums
from protocols.scorecard.messages import LeakClass
from protocols.scorecard.model import TrainingPlan
from protocols.scorecard.noise import NOISY_WOE_LIMIT, RunNoise
from tests.protocol.consortium_network import ConsortiumNetwork, pooled_economy

FEATURES = {"social": 2, "tax": 2}
SIZES = {"bank_a": (220, 60), "bank_b": (140, 50)}  # in this order by size, too


def noisy(rho: int, refinements: int = 1, own: int = 1) -> ConsortiumNetwork:
    return ConsortiumNetwork(pooled_economy(SIZES, FEATURES, own), TrainingPlan(refinements=refinements, rho=rho))


@pytest.fixture(scope="module")
def trained() -> ConsortiumNetwork:
    network = noisy(200 * NANO, refinements=2)
    network.run()
    return network


def test_all_banks_of_a_noisy_run_sign_one_model_that_states_its_noise(trained: ConsortiumNetwork) -> None:
    models = set()
    for role in trained.bank_roles.values():
        assert role.result is not None
        manifest = role.result.scorecard.manifest.manifest
        assert (manifest.row_totals, manifest.rho) == (3, 200 * NANO)
        features = role.result.scorecard.features
        assert all(abs(woe) <= NOISY_WOE_LIMIT for fs in features.values() for f in fs for woe in f.woe)
        models |= {agreement.model for agreement in role.result.agreements.values()}
    assert len(models) == 1


def test_a_nodes_releases_together_spend_no_more_than_the_run_announces(trained: ConsortiumNetwork) -> None:
    noise = pool_noise(trained.spec)
    for site in trained.sites.values():
        shares = [noise.share(step) for step, leak in site.releases if leak is LeakClass.AGGREGATE]
        assert min(shares) > 0
        assert sum(shares) <= trained.spec.rho


def test_every_pooled_sum_of_a_node_carries_its_noise_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With noise of always 7, each cross-node product is off by 7 of either side, everything else of a node by 7."""
    monkeypatch.setattr(GaussianNoise, "draw", lambda noise, count, randomness: [7] * count)
    sent: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def keep(residual: NDArray[np.int64], weight: NDArray[np.int64], rows: int, bits: int, noise: int) -> list[int]:
        sent.append((residual, weight))
        return pack_pooled(residual, weight, rows, bits, noise)

    monkeypatch.setattr(bank_role, "pack_pooled", keep)
    opened: list[list[list[int]]] = []
    true = bank_role.open_gradients

    def seen(pooled: object, columns: object, rows: int, bits: int, noise: int) -> tuple[int, int, list[list[int]]]:
        found = true(pooled, columns, rows, bits, noise)  # type: ignore[arg-type]
        opened.append(found[2])
        return found

    monkeypatch.setattr(bank_role, "open_gradients", seen)
    network = noisy(NANO)
    network.run()
    bank = network.bank_roles[network.lead]
    own = np.concatenate([role._own_columns.values() for role in network.bank_roles.values()])
    nodes = [network.node_roles[PartyId(name)]._columns for name in sorted(FEATURES)]
    exact = np.column_stack([own, *(columns.values() for columns in nodes)])
    owner = np.repeat([0, 1, 2], [own.shape[1], *(columns.count for columns in nodes)])
    noise = bank._gram.matrix() - exact.T @ exact
    expected = {(0, 0): 0, (1, 1): 7, (2, 2): 7, (0, 1): 7, (0, 2): 7, (1, 2): 14}
    assert set(owner) == {0, 1, 2}
    for (i, j), value in np.ndenumerate(noise):
        assert value == expected[min(owner[i], owner[j]), max(owner[i], owner[j])]
    bad = int(network.economy.bad[: network.spec.training_rows].sum())
    for name in FEATURES:
        features = bank.result.scorecard.features[PartyId(name)]
        for feature, shape in zip(features, network.economy.nodes[name].features, strict=True):
            assert sum(outcome.bad for outcome in feature.outcomes) == bad + 7 * len(shape.counts)
    residual, weight = (np.concatenate(values) for values in zip(*sorted(sent, key=lambda s: -len(s[0])), strict=True))
    for columns, shown in zip(nodes, opened[0][1:], strict=True):
        assert [a - b for a, b in zip(shown, column_sums(columns, residual, weight), strict=True)] == [7] * len(shown)


@pytest.mark.parametrize("sign", [1, -1])
def test_noise_at_its_bound_overflows_no_slot(sign: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GaussianNoise, "draw", lambda noise, count, _: [sign * noise.bound] * count)
    network = noisy(10 * NANO)
    network.run()
    assert all(role.result is not None for role in network.bank_roles.values())


def test_noise_is_as_wide_as_an_enterprise_of_all_banks_asks_for() -> None:
    """An enterprise of two banks moves two rows at once: by twice as much, under noise of twice the deviation."""
    noise, alone = pool_noise(noisy(NANO).spec), RunNoise(NANO, 3, 1)
    assert noise.rows == 2
    assert noise.histograms(2).deviation == pytest.approx(2 * alone.histograms(2).deviation)
    levels = [[-100, 50, 200]]
    assert noise.local_gram(levels).deviation == pytest.approx(2 * alone.local_gram(levels).deviation)
    assert noise.gradient(levels)[0].deviation == pytest.approx(2 * alone.gradient(levels)[0].deviation)


def test_banks_that_agreed_to_other_noise_do_not_train_together() -> None:
    assert plan_digest(TrainingPlan(rho=NANO)) != plan_digest(TrainingPlan())
