"""A model card says what anyone works out from the plain rows: every bin, and every measure of the test rows."""

from __future__ import annotations

import bisect
import csv
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest

from federation.cli.training.cards import card_validation, model_card
from federation.local.federation import LocalFederation
from federation.local.layout import BANK
from federation.report.card_data import CardValidation, ModelCard
from nodes.bank.model.quality import measure
from nodes.bank.training.runs import FINE_BINS
from nodes.bank.training.split import Split
from nodes.binning import FineBinning, bin_rows
from protocols.credit.binning import BinnedFeature
from protocols.scorecard.model import TrainedScorecard
from tests import card_by_hand as hand
from tests.conftest import TrainedFederation
from tests.small_federation import MINIMUM_BIN, default_split

SCALE_OFFSET, SCALE_FACTOR = 427.12, 57.708


def check(found: CardValidation, training: list[float], test: list[float], bad: list[int]) -> None:
    """Hold all measures of a card against those worked out by hand."""
    assert found.auc == pytest.approx(hand.auc(test, bad), abs=1e-12)
    assert found.gini == pytest.approx(2 * hand.auc(test, bad) - 1, abs=1e-12)
    assert found.ks == pytest.approx(hand.ks(test, bad), abs=1e-12)
    brier = sum((hand.pd_of(score) - outcome) ** 2 for score, outcome in zip(test, bad, strict=True)) / len(bad)
    assert found.brier == pytest.approx(brier, abs=1e-8)
    assert found.calibration_slope == pytest.approx(hand.calibration_slope(test, bad), abs=1e-6)
    assert found.calibration_intercept == pytest.approx(hand.intercept(test, bad), abs=1e-7)
    assert found.stability.index == pytest.approx(hand.stability(training, test), abs=1e-12)
    for point in found.curve:
        limit = (point.score - SCALE_OFFSET) / SCALE_FACTOR
        assert (point.good, point.bad) == pytest.approx(hand.shares_at(test, bad, limit), abs=1e-12)
    groups = hand.gains(test, bad)
    assert [(g.rows, g.bad) for g in found.gains] == [(g.rows, g.bad) for g in groups]
    assert [g.expected for g in found.calibration] == pytest.approx([g.expected for g in groups])
    assert [g.observed for g in found.calibration] == pytest.approx([g.bad / g.rows for g in groups])
    seen = caught = 0
    for gain, one in zip(found.gains, groups, strict=True):
        seen, caught = seen + one.rows, caught + one.bad
        share, refused = caught / sum(bad), (seen - caught) / (len(bad) - sum(bad))
        worked = (seen / len(bad), share, refused, share / (seen / len(bad)), share - refused)
        assert (gain.share, gain.caught, gain.refused, gain.lift, gain.ks) == pytest.approx(worked)
    graded = hand.grades(test, bad)
    assert [row.group.name for row in found.grades] == list(graded)
    for row, one in zip(found.grades, graded.values(), strict=True):
        assert (row.group.rows, row.group.bad) == (one.rows, one.bad)
        assert row.group.expected == (None if one.expected is None else pytest.approx(one.expected))
        assert row.share == pytest.approx(one.rows / len(bad))


@pytest.mark.parametrize("points", [0.0, 0.25], ids=["all apart", "many alike"])
@pytest.mark.parametrize("spread", [0.4, 1.0, 2.5])
def test_measures_are_those_worked_out_by_hand(points: float, spread: float) -> None:
    rng = np.random.default_rng(7)
    log_odds = rng.normal(2.0, spread, 1500)
    log_odds = np.round(log_odds / points) * points if points else log_odds
    bad = (rng.random(1500) < 1 / (1 + np.exp(0.8 * log_odds))).astype(np.int64)
    found = card_validation(measure(log_odds, bad, 900))
    check(found, log_odds[:900].tolist(), log_odds[900:].tolist(), bad[900:].tolist())


@dataclass(frozen=True)
class Plain:
    """The plain rows of a trained federation, in the order of its cohort."""

    card: ModelCard
    outcomes: list[int]
    training_rows: int
    columns: dict[tuple[str, str], list[str]]
    binnings: dict[tuple[str, str], FineBinning]
    features: dict[tuple[str, str], BinnedFeature]


def read(folder: Path, party: str, ids: list[str]) -> dict[str, list[str]]:
    """A party's columns, with nothing for whom it does not know."""
    with (folder / "data" / f"node_{party}.csv").open(encoding="utf-8", newline="") as file:
        known = {row.pop("id"): row for row in csv.DictReader(file)}
    names = next(iter(known.values())).keys()
    return {name: [known.get(identifier, {}).get(name, "") for identifier in ids] for name in names}


@pytest.fixture(scope="module")
def plain(trained: TrainedFederation) -> Plain:
    """Only where the owners cut their features is taken from them: nobody else knows."""
    with LocalFederation(trained.folder) as federation:
        split: Split = default_split(federation)
        tables = {BANK: federation.bank_table} | federation.tables
        n = len(split.training)
        made = {party: bin_rows(t, trained.ids, n, FINE_BINS, MINIMUM_BIN) for party, t in tables.items()}
    scorecard = trained.training.scorecard
    assert isinstance(scorecard, TrainedScorecard)
    columns = {party: read(trained.folder, party, list(trained.ids)) for party in tables}
    outcomes = [int(value) for value in columns[BANK].pop("defaulted")]
    card = msgspec.json.decode(msgspec.json.encode(model_card(trained.training.model)), type=ModelCard)
    return Plain(
        card=card,
        outcomes=outcomes,
        training_rows=n,
        columns={(party, name): column for party, own in columns.items() for name, column in own.items()},
        binnings={(party, binning.name): binning for party, (_, own) in made.items() for binning in own},
        features={(party, f.name): f for party, own in scorecard.features.items() for f in own},
    )


def fine_bin(binning: FineBinning, value: str) -> int:
    """The bin in which its owner counts a value."""
    if not value:
        return binning.missing
    return bisect.bisect_right(binning.edges, float(value)) if binning.ordered else binning.categories[value]


def steps_of(plain: Plain, key: tuple[str, str]) -> list[int]:
    """The step of the scorecard that each row falls in."""
    step_of = {index: number for number, group in enumerate(plain.features[key].groups) for index in group}
    return [step_of[fine_bin(plain.binnings[key], value)] for value in plain.columns[key]]


def test_every_bin_of_the_card_is_that_of_the_plain_rows(plain: Plain) -> None:
    n = plain.training_rows
    goods, bads = n - sum(plain.outcomes[:n]), sum(plain.outcomes[:n])
    assert plain.card.training.default_rate_train == pytest.approx(bads / n)
    for feature in plain.card.features:
        steps = steps_of(plain, (feature.party, feature.name))[:n]
        rows = [sum(step == one for step in steps) for one in range(max(steps) + 1)]
        told = list(zip(steps, plain.outcomes, strict=False))
        bad = [sum(outcome for step, outcome in told if step == one) for one in range(len(rows))]
        counts = [(size - worse, worse) for size, worse in zip(rows, bad, strict=True) if size]
        assert feature.iv == pytest.approx(hand.information_value(counts), abs=1e-12)
        assert [step.share for step in feature.bins] == pytest.approx([sum(pair) / n for pair in counts])
        assert [step.bad_rate for step in feature.bins] == pytest.approx([pair[1] / sum(pair) for pair in counts])
        worked = [hand.weight_of_evidence(*pair, goods, bads) for pair in counts]
        assert [step.woe for step in feature.bins] == pytest.approx(worked, abs=0.5 / 256)  # WOE counts in 1/256


def test_the_measures_of_the_card_are_those_of_its_own_points_on_the_plain_rows(plain: Plain) -> None:
    """Scores are added up as a loan officer would, from the card alone."""
    scores = [plain.card.base_score] * len(plain.outcomes)
    for feature in plain.card.features:
        held = {step: place for place, step in enumerate(sorted(set(steps_of(plain, (feature.party, feature.name)))))}
        for row, step in enumerate(steps_of(plain, (feature.party, feature.name))):
            scores[row] += feature.bins[held[step]].points
    log_odds, n = [(score - SCALE_OFFSET) / SCALE_FACTOR for score in scores], plain.training_rows
    log_odds = [round(value, 9) for value in log_odds]  # sums of the same points in another order
    check(plain.card.validation, log_odds[:n], log_odds[n:], plain.outcomes[n:])
