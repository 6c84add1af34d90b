"""`credfed train` on public data, at full key size: the figures that the project promises, or an honest word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federation.audit import verify_directory
from federation.cli.main import app

SHARED = Path(__file__).parents[3] / "shared" / "data"

pytestmark = pytest.mark.slow


def train(name: str, out: Path) -> dict:  # type: ignore[type-arg]
    """Train on a public set beside the checkout; skip where it is not there."""
    if not (SHARED / name / "domains.json").exists():
        pytest.skip(f"the public data set {name} is not beside this checkout")
    result = CliRunner().invoke(app, ["train", "--data", str(SHARED / name), "--out", str(out / name), "--compare"])
    assert result.exit_code == 0, result.output
    assert verify_directory(out / name).ok
    return json.loads((out / name / "results.json").read_text())  # type: ignore[no-any-return]


def test_default_credit_reaches_the_pooled_model(tmp_path: Path) -> None:
    results = train("default_credit", tmp_path)
    assert (results["rows_train"], results["rows_test"], results["key_bits"]) == (21_000, 9_000, 2048)
    assert results["auc"] >= 0.762
    assert abs(results["auc"] - results["auc_centralised"]) <= 0.0005
    assert 0.60 < results["auc_bank_only"] < 0.63
    assert 0.9 < results["calibration_slope"] < 1.1
    assert (results["rounds"], results["refinements"]["made"], results["leaks"]["row_totals"]) == (8, 1, 2)


def test_too_few_firms_are_reported_as_too_few(tmp_path: Path) -> None:
    results = train("cumcm2020c", tmp_path)
    assert results["auc"] == 0.5
    assert not any(feature["selected"] for feature in results["features"])
    assert any("too few" in warning for warning in results["warnings"])


def test_registers_that_hardly_overlap_still_train(tmp_path: Path) -> None:
    results = train("ccf_illegal_fund", tmp_path)
    assert results["auc"] >= 0.77
    assert abs(results["auc"] - results["auc_centralised"]) <= 0.0005
    assert (results["refinements"]["made"], results["leaks"]["row_totals"]) == (2, 3)


def test_a_label_that_is_a_function_of_the_columns_is_found_and_warned_of(tmp_path: Path) -> None:
    results = train("zombie_cn", tmp_path)
    assert results["auc"] > 0.99
    assert any("leak of the outcome" in warning for warning in results["warnings"])
