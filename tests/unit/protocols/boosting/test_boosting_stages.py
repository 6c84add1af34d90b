"""How stages are weighed, together, at each release: overshoot is taken back, what flatters itself is not believed."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.boosting.stages import Ensemble
from protocols.channel.identity import PartyId
from protocols.credit.scale import POINTS_PER_LOG_ODDS

BANK = PartyId("bank")
ROWS, TRAINING = 4000, 2500


@pytest.fixture(scope="module")
def truth() -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of good by two independent pieces of knowledge, and outcomes. Shapes: (ROWS, 2), (ROWS,)."""
    rng = np.random.default_rng(5)
    known = rng.normal(0, 1.2, size=(ROWS, 2))
    good = (rng.random(ROWS) < 1 / (1 + np.exp(-known.sum(axis=1)))).astype(np.int64)
    return known, good


def points(log_odds: np.ndarray) -> np.ndarray:
    return np.rint(log_odds * POINTS_PER_LOG_ODDS).astype(np.int64)


def grown(truth: tuple[np.ndarray, np.ndarray], first: float, later: float, honest: bool = True) -> Ensemble:
    """A model of two stages, each of which tells one of the two by so many times what it is."""
    known, good = truth
    ensemble = Ensemble(BANK, good[:TRAINING], ROWS, honest)
    ensemble.add_first({}, points(first * known[:, 0]), [], np.zeros(ROWS, dtype=np.int64))
    ensemble.add_nodes({}, points(later * known[:, 1]))
    return ensemble


def slope(ensemble: Ensemble, known: np.ndarray) -> float:
    """How many times over the model tells one of the two."""
    return float(np.polyfit(known, ensemble.log_odds, 1)[0])


def test_a_turn_that_overshoots_is_taken_back_to_what_the_rows_say(truth: tuple[np.ndarray, np.ndarray]) -> None:
    for times in (3.0, 6.0):
        ensemble = grown(truth, 1.0, times)
        assert slope(ensemble, truth[0][:, 1]) == pytest.approx(1.0, abs=0.15)


def test_a_later_turn_never_counts_more_than_in_full_and_an_honest_first_one_may(
    truth: tuple[np.ndarray, np.ndarray],
) -> None:
    ensemble = grown(truth, 0.4, 0.4)
    assert slope(ensemble, truth[0][:, 0]) > 0.7
    assert slope(ensemble, truth[0][:, 1]) == pytest.approx(0.4, abs=0.02)
    shaped = grown(truth, 0.4, 0.4, honest=False)
    assert slope(shaped, truth[0][:, 0]) == pytest.approx(0.4, abs=0.02)


def test_earlier_stages_are_weighed_anew_beside_later_ones(truth: tuple[np.ndarray, np.ndarray]) -> None:
    """The first turn counts what is told again by the later one only once."""
    known, good = truth
    ensemble = Ensemble(BANK, good[:TRAINING], ROWS, honest=True)
    ensemble.add_first({}, points(known[:, 0]), [], np.zeros(ROWS, dtype=np.int64))
    assert ensemble.first_weight == pytest.approx(1.0, abs=0.25)
    ensemble.add_nodes({}, points(known.sum(axis=1)))
    assert slope(ensemble, known[:, 0]) == pytest.approx(1.0, abs=0.15)
    assert slope(ensemble, known[:, 1]) == pytest.approx(1.0, abs=0.15)
