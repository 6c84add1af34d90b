"""From moments to points: exact integers, bounded, and refused where they contradict themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from protocols.channel.identity import PartyId
from protocols.credit.binning import BinnedFeature, BinningRules, FineHistogram
from protocols.credit.scale import POINTS_PER_LOG_ODDS
from protocols.credit.woe import WOE_SCALE, Outcomes
from protocols.errors import CreditFederationError, VerificationFailed
from protocols.scorecard.admission import COLUMNS_ALWAYS, column_limit
from protocols.scorecard.candidate import Candidate, check_gram, moments, prune_correlated
from protocols.scorecard.histograms import bin_all, require_outcomes
from protocols.scorecard.messages import LEAKS, LeakClass
from protocols.scorecard.themes import assign_themes
from tests.protocol.replays import tape

BANK, TAX, SOCIAL = map(PartyId, ("bank", "tax", "social"))


Pairs = tuple[tuple[int, int], ...]


def feature(domain: str, name: str, woe: tuple[int, ...], totals: Pairs, iv: float) -> BinnedFeature:
    outcomes = tuple(Outcomes(*pair) for pair in totals)
    return BinnedFeature(domain, name, tuple((i,) for i in range(len(woe))), outcomes, woe, iv, True, "")


ONE = feature("tax", "sales", (256, -128, 0), ((60, 5), (30, 25), (10, 0)), 0.5)
TWO = feature("social", "staff", (100, -300), ((80, 15), (20, 15)), 0.3)
FEATURES = {TAX: [ONE], SOCIAL: [TWO]}
DIAGONAL = [65 * 256**2 + 55 * 128**2, 95 * 100**2 + 35 * 300**2]


def test_moments_follow_from_the_counts() -> None:
    found = moments(FEATURES, 130, 100, np.diag(DIAGONAL))
    assert found.sums.tolist() == [65 * 256 - 55 * 128, 95 * 100 - 35 * 300]
    assert found.good_sums.tolist() == [60 * 256 - 30 * 128, 80 * 100 - 20 * 300]
    basis = found.hessian_basis()
    assert basis[0, 0] == 130
    assert basis[1, 1] == DIAGONAL[0] / WOE_SCALE**2


@pytest.mark.parametrize("cross", [0, 1000, -1000])
def test_a_gram_matrix_that_its_columns_can_have_passes(cross: int) -> None:
    check_gram(FEATURES, np.array([[DIAGONAL[0], cross], [cross, DIAGONAL[1]]]))


@pytest.mark.parametrize(
    "gram",
    [
        [[DIAGONAL[0] + 1, 0], [0, DIAGONAL[1]]],
        [[-DIAGONAL[0], 0], [0, DIAGONAL[1]]],
        [[DIAGONAL[0], 1 << 40], [1 << 40, DIAGONAL[1]]],
        [[DIAGONAL[0], -(1 << 62)], [-(1 << 62), DIAGONAL[1]]],
    ],
)
def test_one_that_they_cannot_have_is_refused(gram: list[list[int]]) -> None:
    with pytest.raises(VerificationFailed):
        check_gram(FEATURES, np.array(gram))


def test_points_are_rounded_multiples_of_woe_from_zero_up() -> None:
    candidate = Candidate.build(np.array([2.0, 0.9, -0.1]), FEATURES)
    factor = 0.9 * POINTS_PER_LOG_ODDS / WOE_SCALE
    raw = [round(factor * woe) for woe in ONE.woe]
    assert candidate.points[TAX] == (tuple(value - min(raw) for value in raw),)
    assert min(min(table) for tables in candidate.points.values() for table in tables) == 0
    assert candidate.maximum_total() == sum(max(t) for tables in candidate.points.values() for t in tables)
    total = candidate.points[TAX][0][0] + candidate.points[SOCIAL][0][1]
    exact = 2.0 + 0.9 * 256 / WOE_SCALE - 0.1 * -300 / WOE_SCALE
    assert candidate.calibration().log_odds(np.array([total]))[0] == pytest.approx(exact, abs=1.1 / POINTS_PER_LOG_ODDS)


@pytest.mark.parametrize("worst", [np.nan, np.inf, -np.inf, 1e300, 1e7, 5000.0])
def test_a_fit_that_cannot_be_served_ends_with_a_code(worst: float) -> None:
    with pytest.raises(CreditFederationError) as caught:
        Candidate.build(np.array([2.0, worst, 0.1]), FEATURES)
    assert caught.value.code == "FIT_DIVERGED"


def test_of_two_near_copies_the_one_with_less_information_is_dropped() -> None:
    copy = replace(ONE, domain="social", name="turnover", iv=0.4)
    gram = np.full((2, 2), DIAGONAL[0])
    features = {TAX: [ONE], SOCIAL: [copy]}
    pruned, kept = prune_correlated(features, moments(features, 130, 100, gram))
    assert kept.tolist() == [0]
    assert not pruned[SOCIAL][0].selected
    assert "tax.sales" in pruned[SOCIAL][0].reason


def test_no_columns_at_all_leave_a_base_rate() -> None:
    nothing = {TAX: [replace(ONE, selected=False)]}
    check_gram(nothing, np.zeros((0, 0), dtype=np.int64))
    candidate = Candidate.build(np.array([2.0]), nothing)
    assert candidate.points[TAX] == ((0, 0, 0),)
    assert candidate.maximum_total() == 0


def test_a_theme_needs_two_contributing_nodes() -> None:
    names = {("tax", "sales"): "activity", ("social", "staff"): "activity", ("bank", "dpd"): "arrears"}
    own = feature("bank", "dpd", (0, 90), ((9, 1), (9, 1)), 0.1)
    features = {BANK: [own], TAX: [ONE], SOCIAL: [TWO]}
    candidate = Candidate.build(np.array([2.0, 0.5, 0.9, 0.1]), features)
    themes, index = assign_themes(features, candidate, names, BANK)
    assert [(theme.code, theme.nodes) for theme in themes] == [("activity", 2)]
    assert index == {BANK: (-1,), TAX: (0,), SOCIAL: (0,)}
    alone, index = assign_themes({TAX: [ONE]}, Candidate.build(np.array([2.0, 0.5]), {TAX: [ONE]}), names, BANK)
    assert alone == ()
    assert index == {TAX: (-1,)}


def test_a_party_brings_one_column_for_each_k_enterprises_the_best_first() -> None:
    assert column_limit(30_000, 50) == 600
    assert column_limit(100, 50) == COLUMNS_ALWAYS
    rules = BinningRules(minimum_count=10, minimum_share=0.0)
    count = COLUMNS_ALWAYS + 4
    histograms = [
        FineHistogram("tax", f"f{i}", True, (Outcomes(60, 7 - i % 5), Outcomes(20, 13 + i % 5), Outcomes(0, 0)))
        for i in range(count)
    ]
    (features,) = bin_all({TAX: histograms}, Outcomes(80, 20), rules).values()
    chosen = [f.iv for f in features if f.selected]
    dropped = [f for f in features if not f.selected and f.reason.endswith("more information value")]
    assert len(chosen) == COLUMNS_ALWAYS
    assert dropped
    assert max(f.iv for f in dropped) <= min(chosen)


def test_histograms_without_all_outcomes_are_refused() -> None:
    histogram = FineHistogram("tax", "x", True, (Outcomes(5, 2), Outcomes(5, 1)))
    require_outcomes([histogram], Outcomes(10, 3))
    for bad in (2, 4):
        with pytest.raises(VerificationFailed):
            require_outcomes([histogram], Outcomes(10, bad))


def test_every_step_that_a_node_asks_leave_for_is_declared_with_its_class() -> None:
    """The node's own record, the declaration, and what the bank receives agree."""
    network = tape().network
    declared = LEAKS | {"MaskedTotals": LEAKS["CombinedTotals"]}
    asked = {(step.split("/")[0], leak) for site in network.sites.values() for step, leak in site.releases}
    assert all(declared[step] is leak for step, leak in asked)
    assert {step for step, _ in asked} == set(declared) - {"CombinedTotals", "PooledSums"}
    received = {envelope.message for envelope in tape().to(BANK)}
    silent = {"MaskedTotals", "MaskShare", "ManifestSignature"}  # noise alone; with MaskedProducts; a signature
    assert received - silent == set(LEAKS) - {"PooledSums"}  # which a split domain sends
    assert set(LEAKS.values()) == {LeakClass.AGGREGATE, LeakClass.ROW_TOTALS}
