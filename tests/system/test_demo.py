"""`credfed demo` as a newcomer runs it, at full key size: all it promises is there, and its log tells of edits."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from nodes.sources import read_bank_source, read_description

pytestmark = pytest.mark.slow


def credfed(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-c", "from federation.cli.main import app; app()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demonstration's folder and what it printed."""
    out = tmp_path_factory.mktemp("demo") / "site"
    run = credfed("demo", "--enterprises", "1000", "--out", str(out))
    assert run.returncode == 0, run.stderr
    assert [path.name for path in out.parent.iterdir()] == ["site"]
    return out, run.stdout


def test_the_story_tells_all_that_a_newcomer_should_see(story: tuple[Path, str]) -> None:
    _, text = story
    for word in ("An economy", "Training", "asks", "audit log", "verifies", "bank alone", "federation", "report.html"):
        assert word in text
    assert text.count("default probability") == 3
    assert "CONSENT_MISSING" in text


def test_the_results_hold_every_figure(story: tuple[Path, str]) -> None:
    results = json.loads((story[0] / "results.json").read_text())
    assert (results["rows_train"], results["rows_test"], results["key_bits"]) == (700, 300, 2048)
    assert 0.5 < results["auc"] < 1
    assert results["auc"] > results["auc_bank_only"]
    assert results["gini"] == pytest.approx(2 * results["auc"] - 1, abs=1e-5)
    assert set(results["bytes_sent"]) == {"bank", "electricity", "housing_fund", "social", "tax"}
    assert min(results["bytes_sent"].values()) > 0
    assert results["leaks"]["row_totals"] == 2
    assert results["rounds"] > 4
    assert {feature["domain"] for feature in results["features"]} == set(results["bytes_sent"])
    assert 0.5 < results["auc_centralised"] <= 1
    assert 0.5 < results["auc_gradient_boosting"] <= 1


def test_the_report_loads_nothing_from_elsewhere(story: tuple[Path, str]) -> None:
    page = (story[0] / "report.html").read_text(encoding="utf-8")
    assert len(page) > 20_000
    for load in ("src=", "<script", "@import", "url("):
        assert load not in page


def test_any_of_its_enterprises_can_be_asked_about(story: tuple[Path, str]) -> None:
    folder = story[0]
    table, _ = read_bank_source(read_description(folder / "data"))
    run = credfed("assess", *table.ids[:3], "--federation", str(folder), "--json")
    assert run.returncode == 0, run.stderr
    for result in json.loads(run.stdout):
        assert result["status"] == "ok"
        assert 0 < result["pd"] < 1
        assert set(result["coverage"]) == {"electricity", "housing_fund", "social", "tax"}
    assert credfed("audit", "verify", str(folder)).returncode == 0


def test_one_byte_of_the_log_changed_is_named_by_its_leaf(story: tuple[Path, str], tmp_path: Path) -> None:
    with sqlite3.connect(story[0] / "coordinator" / "log.sqlite") as source:
        (tmp_path / "coordinator").mkdir()
        target = sqlite3.connect(tmp_path / "coordinator" / "log.sqlite")
        source.backup(target)
    source.close()
    for path in (story[0] / "coordinator").iterdir():
        if path.is_file() and not path.name.startswith("log.sqlite"):
            (tmp_path / "coordinator" / path.name).write_bytes(path.read_bytes())
    assert credfed("audit", "verify", str(tmp_path)).returncode == 0
    (leaf,) = target.execute("SELECT leaf FROM leaves WHERE idx = 23").fetchone()
    target.execute("UPDATE leaves SET leaf = ? WHERE idx = 23", (bytes([*leaf[:40], leaf[40] ^ 4, *leaf[41:]]),))
    target.commit()
    target.close()
    run = credfed("audit", "verify", str(tmp_path))
    assert run.returncode == 1
    assert "leaf 23" in run.stdout
