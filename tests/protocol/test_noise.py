"""What a bank sees of a run with noise: sums that no longer tell one enterprise, in slots that no noise overflows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocols.errors import MalformedMessage
from protocols.paillier import decrypt
from protocols.paillier.vector import CiphertextVector
from protocols.privacy import NANO, GaussianNoise
from protocols.scorecard import bank as bank_role
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import gradient_packing, histogram_packing, unmask_sums
from protocols.scorecard.curvature import column_sums, pack_residuals
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.noise import NOISY_WOE_LIMIT, RunNoise
from tests.protocol.network import BANK, Network, economy

PARTS = {"bank": 1, "social": 2, "tax": 2}


def noisy_network(rho: int, refinements: int = 1, rows: int = 260, tax: int = 2) -> Network:
    parts, bad = economy(7, PARTS | {"tax": tax}, 0.7, rows, rows - 60)
    data = BankRows(parts.pop("bank"), bad, rows - 60)
    return Network(parts, data, TrainingPlan(refinements=refinements, rho=rho))


def opened(network: Network, node: str) -> tuple[list[int], list[int]]:
    """The plain counts and the bad counts of a node's histograms, as a bank of any intention reads them."""
    message = network.open_run(node)
    counts = [count for shape in message.features for count in shape.counts]
    key = network.paillier[BANK]
    bound = RunNoise.of(network.spec).histograms(len(message.features)).bound
    packing = histogram_packing(network.spec.training_rows, key.public_key.bits, bound)
    plain = decrypt(key, CiphertextVector.from_bytes(key.public_key, message.vector))
    return counts, unmask_sums(plain, packing, key.public_key, len(counts))


def moved(network: Network, node: str) -> None:
    """Put the first enterprise into another bin of the node's first feature."""
    site = network.sites[node]
    codes = site.rows.codes.copy()
    codes[0, 0] = (codes[0, 0] + 1) % 8
    shapes = tuple(
        m.FeatureShape(
            s.name, s.ordered, tuple(np.bincount(codes[: network.spec.training_rows, i], minlength=9).tolist())
        )
        for i, s in enumerate(site.rows.features)
    )
    site.rows = type(site.rows)(shapes, codes)


@pytest.mark.parametrize(("rho", "told"), [(0, True), (NANO // 10, False)])
def test_two_histograms_that_differ_by_one_enterprise(rho: int, told: bool) -> None:
    """The attacker subtracts. Exact counts name the two bins that the enterprise moved between; noisy ones do not."""
    first, second = noisy_network(rho), noisy_network(rho)
    moved(second, "tax")
    difference = np.array(opened(second, "tax")[0]) - np.array(opened(first, "tax")[0])
    assert (np.count_nonzero(difference) == 2 and np.abs(difference).max() == 1) == told
    if not told:
        assert np.count_nonzero(difference) > len(difference) / 2


def test_each_good_and_each_bad_count_has_noise_of_its_own() -> None:
    network = noisy_network(NANO // 1000, rows=2060, tax=24)  # so many bins that chance does not decide
    counts, bads = (np.array(values) for values in opened(network, "tax"))
    rows, bad = network.sites["tax"].rows, network.data.training_bad
    true = np.concatenate([np.bincount(codes, weights=bad, minlength=9) for codes in rows.codes[:2000].T])
    everyone = np.concatenate([np.bincount(codes, minlength=9) for codes in rows.codes[:2000].T])
    deviation = RunNoise.of(network.spec).histograms(24).deviation
    shown = counts > 0  # a count below zero is shown as zero
    for noise in (bads - true, ((counts - bads) - (everyone - true))[shown]):
        assert 0.5 < np.std(noise) / deviation < 1.6
    assert abs(np.corrcoef((bads - true)[shown], ((counts - bads) - (everyone - true))[shown])[0, 1]) < 0.7


def test_a_noisy_run_ends_with_a_model_that_every_node_has_signed() -> None:
    network = noisy_network(20 * NANO, refinements=2, rows=960)
    network.run()
    result = network.bank.result
    assert result is not None
    manifest = result.manifest.manifest
    assert (manifest.row_totals, manifest.rho) == (3, 20 * NANO)
    assert all(abs(woe) <= NOISY_WOE_LIMIT for fs in result.features.values() for f in fs for woe in f.woe)


def test_every_sum_that_a_node_releases_carries_its_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """With noise of always 7, the bank's Gram matrix is off by 7 within a node, and by 7 of either side across two."""
    monkeypatch.setattr(GaussianNoise, "draw", lambda noise, count, randomness: [7] * count)
    sent: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def keep(residual: NDArray[np.int64], weight: NDArray[np.int64], bits: int, noise: int) -> list[int]:
        sent.append((residual, weight))
        return pack_residuals(residual, weight, bits, noise)

    monkeypatch.setattr(bank_role, "pack_residuals", keep)
    network = noisy_network(NANO, rows=960)
    network.run()
    bank, nodes = network.bank, [network.nodes[name] for name in sorted(network.nodes)]
    columns = [bank._own_columns, *(node._columns for node in nodes)]
    owner = np.repeat([0, 1, 2], [c.count for c in columns])
    exact = np.column_stack([c.values() for c in columns])
    noise = bank._gram.matrix() - exact.T @ exact
    expected = {(0, 0): 0, (1, 1): 7, (2, 2): 7, (0, 1): 7, (0, 2): 7, (1, 2): 14}
    assert set(owner) == {0, 1, 2}
    for (i, j), value in np.ndenumerate(noise):
        assert value == expected[min(owner[i], owner[j]), max(owner[i], owner[j])]
    for name, node in network.nodes.items():
        true = column_sums(node._columns, *sent[-1])
        assert [shown - value for shown, value in zip(bank._gradients[name], true, strict=True)] == [7] * len(true)


@pytest.mark.parametrize("sign", [1, -1])
def test_noise_at_its_bound_overflows_no_slot(sign: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every draw at the largest magnitude, all of one sign or alternating: what the bank opens is off by just that."""
    monkeypatch.setattr(GaussianNoise, "draw", lambda noise, count, _: [sign * noise.bound] * count)
    network = noisy_network(NANO // 100)
    bound = RunNoise.of(network.spec).histograms(2).bound
    _, bads = opened(network, "tax")
    rows, bad = network.sites["tax"].rows, network.data.training_bad
    true = np.concatenate([np.bincount(rows.codes[:200, j], weights=bad, minlength=9) for j in range(2)])
    assert bads == [int(value) + sign * bound for value in true]
    noisy_network(NANO // 100, refinements=2).run()


def test_with_slots_for_exact_sums_noise_would_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GaussianNoise, "draw", lambda noise, count, _: [noise.bound] * count)
    monkeypatch.setattr(
        "protocols.scorecard.node.histogram_packing", lambda rows, bits, noise: histogram_packing(rows, bits)
    )
    monkeypatch.setattr(
        "protocols.scorecard.histograms.histogram_packing", lambda rows, bits, noise: histogram_packing(rows, bits)
    )
    with pytest.raises(MalformedMessage):
        noisy_network(NANO // 1000).run()


def test_tables_that_weigh_more_than_the_noise_is_made_for_are_refused() -> None:
    network = noisy_network(NANO)
    network.open_run("tax")
    table = (NOISY_WOE_LIMIT + 1, *([0] * 8))
    with pytest.raises(MalformedMessage):
        network.tell("tax", network.woe("tax", (None, table)))


def test_noise_widens_the_slots_that_residuals_travel_in() -> None:
    noise = RunNoise(NANO, 3, 1)
    wide, exact = (gradient_packing(1000, 2048, bound) for bound in (noise.gradient_bound(6), 0))
    assert wide.magnitude * wide.addends >= exact.magnitude * exact.addends + noise.gradient_bound(6)


@given(st.integers(0, 10**12), st.integers(2, 40), st.integers(0, 15))
def test_all_releases_of_a_run_together_spend_no_more_than_it_announces(rho: int, nodes: int, gradients: int) -> None:
    noise = RunNoise(rho, nodes + 1, gradients)
    steps = ["BinHistograms", "LocalGram", "MaskedTotals/0"]
    steps += [f"MaskedProducts/n{i}" for i in range(nodes // 2)] + [
        f"ProductShare/n{i}" for i in range(nodes // 2, nodes)
    ]
    steps += [f"GradientShare/{i}" for i in range(gradients)]
    assert sum(map(noise.share, steps)) <= rho


def test_a_release_without_a_share_is_not_made() -> None:
    with pytest.raises(ValueError, match="NewSums"):
        RunNoise(NANO, 3, 1).share("NewSums/1")


def test_what_one_side_adds_to_a_product_stays_within_what_both_expect() -> None:
    noise = RunNoise(NANO, 3, 1)
    widest = [[-NOISY_WOE_LIMIT, NOISY_WOE_LIMIT]] * 5
    assert 2 * noise.products(widest, 5).bound <= noise.product_bound(5)
    assert max(part.bound for part in noise.gradient(widest)) <= noise.gradient_bound(5)
    assert noise.local_gram(widest).bound <= noise.gram_bound(5)
