"""The fit of a scorecard, from exact sums to integer points: the same arithmetic for the bank and for the oracle.

Who collects the sums calls these methods in order: `take_own`, `start` (if a release can be spared for it),
`take_totals`, `take_gram`, then `first` or `refine` until the last release, whose totals calibrate the model that will
be served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from protocols.channel.identity import PartyId
from protocols.credit.binning import BinnedFeature
from protocols.credit.logistic import Calibration, Moments, Signs, calibrate, first_step, moved, refine
from protocols.credit.woe import WOE_SCALE, Outcomes
from protocols.scorecard.candidate import Candidate, Span, check_gram, column_sums, moments, prune_correlated, restrict
from protocols.scorecard.curvature import residuals, to_curvature
from protocols.scorecard.start import WEIGHT_SCALE, gaps_of, start_weights

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Fitting:
    """One fit. Shapes: d selected columns of all parties, in the order of `features`; `bad` (training rows,)."""

    def __init__(
        self,
        features: Mapping[PartyId, Sequence[BinnedFeature]],
        bad: Integers,
        nodes: int,
        signs: Signs = Signs.FREE,
    ) -> None:
        self.features = {party: list(binned) for party, binned in features.items()}
        self._offered, self._bad, self._nodes = self.features, bad, nodes
        defaults = int(bad.sum())
        self._everyone = Outcomes(len(bad) - defaults, defaults)
        self._columns = {party: sum(f.selected for f in binned) for party, binned in self.features.items()}
        self._kept = np.arange(sum(self._columns.values()), dtype=np.intp)
        self._moments: Moments | None = None
        self._signs, self._span = signs, Span(signs)
        self._at: Floats = np.zeros(0)
        self._coefficients: Floats = np.zeros(0)
        self.moved: tuple[float, ...] = ()

    def sums_and_gaps(self, party: PartyId) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return each of a party's columns' sum, and how far good and bad enterprises lie apart in it."""
        sums, good_sums = column_sums(self._offered[party])
        return tuple(sums.tolist()), gaps_of(sums, good_sums, self._everyone)

    def take_own(self, owner: PartyId, columns: Integers) -> None:
        """Take the fitter's own columns, known row by row: a combination of candidates then weighs each by itself.

        Under constrained signs a combination is of few candidates, and they stay out. Shapes: (training rows, own d).
        """
        if self._signs is not Signs.FREE:
            return
        parties = list(self._columns)
        first = 1 + sum(self._columns[party] for party in parties[: parties.index(owner)])
        for place, column in enumerate(columns.T, start=first):
            alone = np.zeros(1 + sum(self._columns.values()))
            alone[place] = 1.0
            self._span.add(alone, column / WOE_SCALE)

    def start(self, grams: Mapping[PartyId, Integers]) -> Candidate:
        """Return the first candidate, of every party's own weights. Shapes: one Gram block a party with columns."""
        weights: list[float] = []
        for party, binned in self._offered.items():
            if self._columns[party]:
                tables = [feature.woe for feature in binned if feature.selected]
                sums, gaps = self.sums_and_gaps(party)
                own = start_weights(grams[party], sums, gaps, len(self._bad), tables, self._nodes + 1)
                weights += [weight / WEIGHT_SCALE for weight in own]
        self._at = np.array([0.0, *weights])
        return Candidate.build(self._at, self._offered)

    def take_totals(self, candidate: Candidate, totals: Integers) -> tuple[Integers, Integers]:
        """Take all parties' totals of the latest candidate; return residuals and weights at the best combination.

        Shapes: `totals` (rows,), training rows first; both results (training rows,).
        """
        self._span.add(self._at, candidate.calibration().log_odds(totals[: len(self._bad)]))
        self._coefficients, log_odds = self._span.fit(1 - self._bad)
        return residuals(log_odds, self._bad)

    def take_gram(self, gram: Integers, slack: int = 0, ridge: int = 0) -> None:
        """Take the whole Gram matrix, and drop near-copies. Raises: VerificationFailed if it cannot be these columns'.

        Noise may set an entry apart by `slack`; `ridge` is then added to the diagonal. Shapes: (d, d).
        """
        check_gram(self._offered, gram, slack)
        ridged = gram + ridge * np.eye(len(gram), dtype=np.int64)
        self._moments = moments(self._offered, len(self._bad), self._everyone.good, ridged)
        self.features, self._kept = prune_correlated(self._offered, self._moments)

    def first(self) -> Candidate:
        """Return one Newton step from the base rate: the candidate where no release was spared for a start."""
        places = np.concatenate([[0], self._kept + 1])
        found = np.zeros(len(self._known.sums) + 1)
        found[places] = first_step(restrict(self._known, self._kept), self._signs)
        return self._candidate(found)

    def refine(self, sums: Sequence[list[int]], residual: Integers, weight: Integers, floor: float = 0.0) -> Candidate:
        """Return the best combination after one Newton step; no curvature is taken to be below `floor`.

        `moved` then tells how far it went. Shapes: each party's column sums, in order.
        """
        counts = None if floor else [count for count in self._columns.values() if count]
        curvature = to_curvature(sums, residual, weight, floor, counts)
        refined = refine(self._coefficients, self._known, curvature, self._kept, self._signs)
        self.moved = (*self.moved, moved(self._coefficients, refined, self._known))
        return self._candidate(refined)

    def calibrate(self, totals: Integers) -> Calibration:
        """Return how totals of the model become log-odds: the fit to the training rows' outcomes."""
        return calibrate(totals[: len(self._bad)], 1 - self._bad)

    @property
    def _known(self) -> Moments:
        if self._moments is None:
            raise ValueError("the Gram matrix comes first")
        return self._moments

    def _candidate(self, coefficients: Floats) -> Candidate:
        self._at = coefficients
        return Candidate.build(coefficients[np.concatenate([[0], self._kept + 1])], self.features)
