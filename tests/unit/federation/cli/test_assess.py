"""`credfed assess` and `credfed audit verify`: the exit code says what happened, `--json` says it to programs."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from federation.cli.main import app
from federation.local.layout import CONSENT_SERVICE
from protocols.uscc import synthetic
from tests.conftest import TrainedFederation

UNKNOWN = synthetic(900_000)


def assess(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["assess", *arguments, "--federation", str(folder)])


def verify(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["audit", "verify", str(folder), *options])


def test_one_batch_of_every_kind_of_enterprise(federation_folder: Path, trained: TrainedFederation) -> None:
    """Fifty ids at once, one of them twice, one whom nobody knows, one who has not consented."""
    with (federation_folder / CONSENT_SERVICE / "withheld.txt").open("a") as file:
        file.write(f"{trained.ids[7]}\n")
    asked = [*trained.ids[:48], trained.ids[0], UNKNOWN]
    result = assess(federation_folder, *asked, "--json")
    assert result.exit_code == 1
    results = json.loads(result.stdout)
    assert [entry["enterprise"] for entry in results] == asked
    assert len({entry["request"] for entry in results}) == 50
    assert results[0]["score"] == results[48]["score"]
    assert (results[49]["status"], results[49]["code"]) == ("failed", "INSUFFICIENT_COVERAGE")
    assert set(results[49]["coverage"].values()) == {"absent"}
    assert (results[7]["status"], results[7]["code"]) == ("denied", "CONSENT_MISSING")
    assert results[7]["score"] is None
    scored = [entry for entry in results if entry["status"] == "ok"]
    assert len(scored) == 48
    assert all(0 < entry["pd"] < 1 and entry["receipt"] > 0 and entry["advice"] for entry in scored)
    assert verify(federation_folder).exit_code == 0


def test_a_person_reads_score_or_reason(federation_folder: Path, trained: TrainedFederation) -> None:
    good = assess(federation_folder, trained.ids[0])
    assert good.exit_code == 0
    assert trained.ids[0] in good.stdout
    assert "grade" in good.stdout
    assert "advisory" in good.stdout
    unknown = assess(federation_folder, UNKNOWN)
    assert unknown.exit_code == 1
    assert "INSUFFICIENT_COVERAGE" in unknown.stdout


@pytest.mark.parametrize("code", ["91999999MA0DEM0139", "91999999ma0dem013k", "x", "", " " * 18])
def test_a_wrong_code_is_asked_of_nobody(federation_folder: Path, trained: TrainedFederation, code: str) -> None:
    before = (federation_folder / "tax" / "ledger.sqlite").read_bytes()
    result = assess(federation_folder, trained.ids[0], code, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "INVALID_USCC"
    assert (federation_folder / "tax" / "ledger.sqlite").read_bytes() == before


def test_a_federation_that_was_moved_still_answers(
    federation_folder: Path, trained: TrainedFederation, tmp_path: Path
) -> None:
    moved = Path(shutil.move(federation_folder, tmp_path / "moved"))
    assert assess(moved, trained.ids[0]).exit_code == 0


def without_data(folder: Path) -> None:
    shutil.rmtree(folder / "data")


def with_a_policy_misspelt(folder: Path) -> None:
    (folder / "tax" / "policy.yaml").write_text("version: 1\nrule: []\n")


def without_a_key(folder: Path) -> None:
    (folder / "social" / "party.key").unlink()


def with_a_damaged_ledger(folder: Path) -> None:
    (folder / "tax" / "ledger.sqlite").write_bytes(b"damaged" * 1000)


def without_a_model(folder: Path) -> None:
    (folder / "bank" / "model.json").unlink()


def with_a_damaged_description(folder: Path) -> None:
    (folder / "federation.json").write_bytes(b"\xff")


def without_cards(folder: Path) -> None:
    shutil.rmtree(folder / "cards")


BROKEN = {
    without_data: "MISSING_FILE",
    with_a_policy_misspelt: "BAD_POLICY",
    without_a_key: "MISSING_KEY",
    with_a_damaged_ledger: "BAD_LEDGER",
    without_a_model: "NO_MODEL",
    with_a_damaged_description: "NOT_A_FEDERATION",
    without_cards: "MISSING_KEY",
}


@pytest.mark.parametrize("damage", BROKEN, ids=lambda damage: damage.__name__)
def test_a_broken_federation_is_named_and_can_be_opened_once_mended(
    federation_folder: Path, trained: TrainedFederation, damage: object
) -> None:
    kept = Path(shutil.copytree(federation_folder, federation_folder.with_name("kept")))
    damage(federation_folder)  # type: ignore[operator]
    result = assess(federation_folder, trained.ids[0], "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == BROKEN[damage]  # type: ignore[index]
    shutil.rmtree(federation_folder)
    shutil.move(kept, federation_folder)
    assert assess(federation_folder, trained.ids[0]).exit_code == 0


def test_no_folder_is_no_federation_and_no_log(tmp_path: Path) -> None:
    for result in (assess(tmp_path / "nowhere", UNKNOWN), verify(tmp_path / "nowhere"), verify(tmp_path)):
        assert result.exit_code == 2
        assert len(result.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_holds_says_so(federation_folder: Path) -> None:
    result = verify(federation_folder, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["ok"] is True
    assert report["leaves"] > 40
    assert verify(federation_folder).stdout.startswith("ok")


def test_a_log_with_one_byte_changed_names_the_leaf(federation_folder: Path) -> None:
    path = federation_folder / "coordinator" / "log.sqlite"
    connection = sqlite3.connect(path)
    (leaf,) = connection.execute("SELECT leaf FROM leaves WHERE idx = 17").fetchone()
    connection.execute("UPDATE leaves SET leaf = ? WHERE idx = 17", (bytes([*leaf[:-1], leaf[-1] ^ 1]),))
    connection.commit()
    connection.close()
    result = verify(federation_folder)
    assert result.exit_code == 1
    assert "leaf 17" in result.stdout
    report = json.loads(verify(federation_folder, "--json").stdout)
    assert (report["ok"], report["first_bad_leaf"]) == (False, 17)
