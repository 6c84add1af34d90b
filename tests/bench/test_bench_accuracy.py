"""The accuracy benchmark: settings are what they say, errors are those of chance, and both models are compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from federation.bench.cohort import write_cohort
from federation.bench.delong import auc_difference
from federation.bench.settings import HARDSHIPS, Setting
from federation.cli.main import app
from protocols.credit.metrics import auc

ROWS = 3_000


@pytest.fixture
def setting() -> Setting:
    """Every value tells its row and column, so that none can be lost, doubled or moved unseen."""
    row = np.arange(ROWS, dtype=np.float64)
    parties = {party: {f"{party}.{j}": row + 0.1 * j for j in range(4)} for party in ("bank", "tax", "social")}
    return Setting(parties, {"tax.1": (9.0,)}, (row % 4 == 0).astype(np.int64), ROWS)


def rows_of(found: Setting) -> np.ndarray:
    """The row that each value came from; -1 where it is missing. Shapes: (columns, rows)."""
    values = np.array([column for own in found.parties.values() for column in own.values()], dtype=np.float64)
    return np.where(np.isnan(values), -1, np.floor(values)).astype(int)


@pytest.mark.parametrize("hardship", HARDSHIPS)
def test_a_hardship_keeps_each_firm_s_values_and_outcome_together(setting: Setting, hardship: str) -> None:
    found = HARDSHIPS[hardship](setting, np.random.default_rng(5))
    came_from = rows_of(found)
    firms = came_from.max(axis=0)
    assert ((came_from == firms) | (came_from == -1)).all()
    assert len(set(firms)) == len(firms)
    assert (found.bad == (firms % 4 == 0)).all()
    assert found.bank == "bank"


def test_a_seed_draws_the_same_setting_again_and_another_one_another(setting: Setting) -> None:
    first, again, other = (HARDSHIPS["dealt"](setting, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert [*first.parties] == [*again.parties]
    assert (rows_of(first) == rows_of(again)).all()
    assert [list(own) for own in first.parties.values()] != [list(own) for own in other.parties.values()]


def test_dealing_gives_every_column_to_one_party_with_its_codes(setting: Setting) -> None:
    for seed in range(8):
        found = HARDSHIPS["dealt"](setting, np.random.default_rng(seed))
        names = sorted(name for own in found.parties.values() for name in own)
        assert names == sorted(f"{p}.{name}" for p, own in setting.parties.items() for name in own)
        assert 3 <= sum(bool(own) for own in found.parties.values()) <= 6
        assert found.special == {"tax.tax.1": (9.0,)}


def test_what_is_to_be_few_or_missing_is(setting: Setting) -> None:
    made = {name: HARDSHIPS[name](setting, np.random.default_rng(3)) for name in HARDSHIPS}
    assert (made["as it is"].cohort, made["few firms"].cohort, made["dealt, few firms"].cohort) == (ROWS, 2_000, 2_000)
    assert len(made["few firms"].bad) == ROWS
    assert made["few defaults"].bad.sum() < 0.3 * setting.bad.sum()
    assert np.mean(rows_of(made["half missing"]) == -1) == pytest.approx(0.5, abs=0.02)
    absent = rows_of(made["half absent"]) == -1
    assert not absent[:4].any()
    assert (absent[4:8] == absent[4]).all()
    assert absent[4].mean() == pytest.approx(0.5, abs=0.05)
    assert (absent[4] != absent[8]).any()


def test_the_error_is_that_of_differences_over_fresh_rows() -> None:
    generator = np.random.default_rng(0)
    told = []
    for _ in range(300):
        bad = (generator.random(400) < 0.2).astype(np.int64)
        shared = generator.normal(size=400) - bad
        ours, theirs = (shared + generator.normal(size=400) for _ in range(2))
        told.append(auc_difference(ours, theirs, bad))
        assert told[-1][0] == pytest.approx(auc(ours, bad) - auc(theirs, bad))
    differences, errors = np.array(told).T
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(differences.std(), rel=0.15)


def test_ties_count_half_and_one_default_tells_nothing() -> None:
    bad = np.array([1, 1, 0, 0])
    assert auc_difference(np.zeros(4), np.array([0.0, 0.0, 1.0, 1.0]), bad) == (-0.5, 0.0)
    assert np.isnan(auc_difference(np.zeros(4), np.zeros(4), np.array([1, 0, 0, 0]))).all()


@pytest.mark.parametrize("model", ["scorecard", "boosting"])
def test_the_command_compares_both_models_on_a_data_set(tmp_path: Path, model: str) -> None:
    write_cohort(tmp_path / "data", 800, {"bank": 1, "tax": 2, "social": 2})
    options = ["--data", str(tmp_path / "data"), "--model", model, "--seeds", "2", "--trees", "12", "--cores", "1"]
    chosen = ["--hardship", "as it is", "--hardship", "half absent"]
    result = CliRunner().invoke(app, ["bench", "accuracy", *options, *chosen, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    figures = found["settings"]
    assert [(one["hardship"], one["seed"]) for one in figures] == [
        (name, seed) for name in ("as it is", "half absent") for seed in (0, 1)
    ]
    for one in figures:
        assert one["rows"] == 616  # seven tenths of 880
        assert 0.5 < one["oracle"] < 1
        assert one["difference"] == pytest.approx(one["auc"] - one["oracle"])
        assert abs(one["difference"]) < 0.1
    assert found["mean"] == pytest.approx(np.mean([one["difference"] for one in figures]))
    shown = CliRunner().invoke(app, ["bench", "accuracy", *options, *chosen]).stdout
    assert "half absent" in shown
    assert "over 4 settings" in shown


def test_an_unknown_hardship_is_refused() -> None:
    result = CliRunner().invoke(app, ["bench", "accuracy", "--hardship", "rain"])
    assert result.exit_code == 2
    assert "few firms" in result.output
