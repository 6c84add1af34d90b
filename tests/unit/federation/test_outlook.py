"""The estimate of what is left falls from stage to stage, ends at nothing, and is silent where nothing is known."""

from __future__ import annotations

import pytest

from federation.cli.progress import describe
from federation.outlook import Outlook, Standing, stages_of
from federation.traffic import RoundEvent
from protocols.boosting.model import BoostingPlan
from protocols.scorecard.model import TrainingPlan

SCORECARD = ["labels", "opening", "histograms", "binning", "gram_matrix", "gram_matrix", "gram_matrix"]
RELEASE = ["totals", "totals", "refinement"]
MANIFEST = ["manifest", "manifest", "manifest"]
BOOSTING = BoostingPlan(trees=8, depth=2, row_totals=2)
TURN = ["trees"] * 6 + ["totals", "totals"]


def follow(outlook: Outlook, phases: list[str]) -> list[Standing]:
    return [outlook.after(RoundEvent(n, phase, ("bank", "tax"), 1000, 2.0)) for n, phase in enumerate(phases)]


@pytest.mark.parametrize(
    ("plan", "phases"),
    [
        (TrainingPlan(refinements=1), [*SCORECARD, *RELEASE, *RELEASE, *MANIFEST]),
        (BOOSTING, ["labels", "opening", "histograms", "binning", *TURN, "gradients", *TURN, *MANIFEST]),
    ],
)
def test_the_share_that_is_left_falls_to_nothing(plan: TrainingPlan | BoostingPlan, phases: list[str]) -> None:
    standings = follow(Outlook(stages_of(plan)), phases)
    shares = [s.seconds_left / (s.elapsed + s.seconds_left) for s in standings if s.seconds_left is not None]
    assert len(shares) == len(phases)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5
    assert standings[-1].seconds_left == pytest.approx(0)
    assert standings[-1].bytes_total == 1000 * len(phases)
    assert standings[-1].elapsed == 2 * len(phases)


def test_a_run_of_more_or_other_rounds_than_usual_is_followed_as_far_as_it_goes() -> None:
    standings = follow(Outlook(stages_of(TrainingPlan())), ["labels", "other", *["binning"] * 9, "manifest"])
    left = [standing.seconds_left for standing in standings]
    assert None not in left
    assert follow(Outlook(), ["assessment"])[0].seconds_left is None


def test_the_line_says_phase_bytes_and_time_left() -> None:
    standing = Standing(5, "binning", ("bank",), 10, 12_340_000, 1, 10, 41.8)
    assert describe(standing) == "round 5: the bank merges bins · 12.3 MB so far · about 40 s left"
    assert describe(Standing(5, "binning", ("bank",), 10, 0, 1, 10, None)).endswith("0.0 MB so far")
    assert describe(Standing(5, "binning", ("bank",), 10, 0, 1, 10, 400.0)).endswith("about 7 min left")
