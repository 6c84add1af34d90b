"""The pooled fit is the fit of one bank that knows every row, however the rows are spread over banks."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.channel.identity import PartyId
from protocols.consortium.fit import PooledSpan
from protocols.consortium.validation import ScoreBands
from protocols.credit.metrics import validate
from protocols.errors import VerificationFailed
from protocols.scorecard.candidate import Candidate, Span

ROWS = 600


def candidates(seed: int) -> tuple[list[Candidate], list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=ROWS)
    totals = [np.rint(900 + 300 * (risk + rng.normal(size=ROWS))).astype(np.int64) for _ in range(2)]
    made = [Candidate(rng.normal(size=4), {PartyId("tax"): ((0, 10 * i),)}, -700 - i) for i in range(len(totals))]
    return made, totals, (risk + rng.normal(size=ROWS) < 1.0).astype(np.int64)


def pooled_fit(parts: list[slice], seed: int, constant: bool = False) -> list[PooledSpan]:
    made, totals, good = candidates(seed)
    if constant:
        totals = [np.full(ROWS, 900), np.full(ROWS, 905)]
    spans = [PooledSpan(1 - good[part], ROWS, int(good.sum())) for part in parts]
    for candidate, values in zip(made, totals, strict=True):
        for span, part in zip(spans, parts, strict=True):
            span.add(candidate, values[part])
        moments = [sum(column) for column in zip(*(span.moments().signed() for span in spans), strict=True)]
        done = [span.begin(moments) for span in spans]
        while not all(done):
            sums = [sum(column) for column in zip(*(span.sums().signed() for span in spans), strict=True)]
            done = [span.advance(sums) for span in spans]
    return spans


@pytest.mark.parametrize("seed", range(3))
def test_the_pooled_fit_equals_the_fit_on_all_rows(seed: int) -> None:
    made, totals, good = candidates(seed)
    span = Span()
    for candidate, values in zip(made, totals, strict=True):
        span.add(candidate.coefficients, candidate.calibration().log_odds(values))
        coefficients, log_odds = span.fit(good)
    (whole,) = pooled_fit([slice(None)], seed)
    np.testing.assert_allclose(whole.coefficients, coefficients, rtol=1e-7)
    np.testing.assert_allclose(whole.log_odds, log_odds, rtol=1e-7)


def test_how_rows_are_spread_over_banks_changes_no_bit() -> None:
    (whole,) = pooled_fit([slice(None)], 0)
    parts = [slice(0, 17), slice(17, 400), slice(400, None)]
    spans = pooled_fit(parts, 0)
    for span, part in zip(spans, parts, strict=True):
        np.testing.assert_array_equal(span.coefficients, whole.coefficients)
        np.testing.assert_array_equal(span.log_odds, whole.log_odds[part])


def test_totals_that_are_all_alike_leave_the_base_rate() -> None:
    (whole,) = pooled_fit([slice(None)], 0, constant=True)
    good = candidates(0)[2]
    assert whole.log_odds == pytest.approx(np.log((good.sum() + 0.5) / (ROWS - good.sum() + 0.5)))


def test_pooled_sums_that_no_rows_have_end_the_fit() -> None:
    made, totals, good = candidates(0)
    span = PooledSpan(1 - good, ROWS, int(good.sum()))
    span.add(made[0], totals[0])
    span.begin(span.moments().signed())
    wild = [(-1) ** i << 180 for i in range(len(span.sums().values))]
    with pytest.raises(VerificationFailed) as caught:
        span.advance(wild)
    assert caught.value.code == "WRONG_FIT"


@pytest.mark.parametrize("moments", [[-1, 1], [ROWS << 21, 1 << 60], [ROWS * 900, ROWS * 900 * 900 - 1], [5, 1 << 180]])
def test_moments_that_no_totals_have_are_refused(moments: list[int]) -> None:
    made, totals, good = candidates(0)
    span = PooledSpan(1 - good, ROWS, int(good.sum()))
    span.add(made[0], totals[0])
    with pytest.raises(VerificationFailed) as caught:
        span.begin(moments)
    assert caught.value.code == "WRONG_FIT"


def test_score_bands_measure_what_the_rows_measure() -> None:
    rng = np.random.default_rng(1)
    log_odds = rng.normal(1.5, 0.9, size=6000)
    bad = (rng.random(6000) < 1 / (1 + np.exp(log_odds))).astype(np.int64)
    bands = ScoreBands.cut(float(log_odds.mean()), float(log_odds.std()), 6000)
    halves = [bands.counts(log_odds[half], bad[half]) for half in (slice(0, 2500), slice(2500, None))]
    found = bands.validation([a + b for a, b in zip(*halves, strict=True)], 6000)
    exact = validate(log_odds, bad)
    assert found.auc == pytest.approx(exact.auc, abs=2e-4)
    assert found.ks == pytest.approx(exact.ks, abs=0.02)
    assert found.brier == pytest.approx(exact.brier, abs=1e-3)
    assert found.calibration_slope == pytest.approx(exact.calibration_slope, abs=0.03)


@pytest.mark.parametrize("change", [(0, -1), (-1, 10_000), (0, 1)])
def test_bands_that_do_not_add_up_are_refused(change: tuple[int, int]) -> None:
    bands = ScoreBands.cut(0.0, 1.0, 100)
    counts = bands.counts(np.linspace(-2, 2, 100), np.zeros(100, dtype=np.int64))
    counts[change[0]] += change[1]
    with pytest.raises(VerificationFailed):
        bands.validation(counts, 100)
