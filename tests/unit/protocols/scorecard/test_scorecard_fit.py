"""The fit sets out from the best of what the bank can combine: released totals, and columns of its own."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.credit.binning import BinningRules
from protocols.credit.logistic import Signs
from protocols.credit.woe import WOE_SCALE, Outcomes
from protocols.scorecard.curvature import RESIDUAL_SCALE
from protocols.scorecard.fitting import Fitting
from protocols.scorecard.histograms import bin_all, plain_histograms
from protocols.scorecard.rows import WoeColumns, totals
from tests.protocol.network import BANK, economy

ROWS = 700


@pytest.mark.parametrize("signs", [Signs.FREE, Signs.CONSTRAINED])
def test_the_banks_own_columns_are_each_weighed_by_itself_beside_the_nodes_total(signs: Signs) -> None:
    rows, outcomes = economy(5, {BANK: 3, "tax": 4})
    bad = outcomes[:ROWS]
    everyone = Outcomes(int((1 - bad).sum()), int(bad.sum()))
    features = bin_all({p: plain_histograms(r, p, bad) for p, r in rows.items()}, everyone, BinningRules())
    columns = {
        p: WoeColumns.build(r, ROWS, [f.woe if f.selected else None for f in features[p]]) for p, r in rows.items()
    }
    fitting = Fitting(features, bad, 1, signs)
    fitting.take_own(BANK, columns[BANK].values())
    start = fitting.start({party: each.gram() for party, each in columns.items()})
    total = np.sum([totals(rows[party], ROWS, start.points[party]) for party in rows], axis=0)
    residual, _ = fitting.take_totals(start, total)

    own = columns[BANK].values() / WOE_SCALE
    left = np.abs(own.T @ residual) / RESIDUAL_SCALE
    assert own.shape == (ROWS, 3)
    if signs is Signs.FREE:
        assert left.max() < 1.0  # of a row: where the likelihood is highest, no column has anything left to say
    else:
        assert left.max() > 5.0  # candidates alone are combined, with weights that are not negative
