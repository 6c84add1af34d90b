"""Any process may be killed in any round of a deployed training: the run ends with a code and leaves no half model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.audit.reading.log_view import StoredLog
from federation.cli.training.model import verified_model
from federation.local.deployed.status import read_status
from federation.local.layout import BANK, read_federation
from nodes.policy import TrainingRules, usual_policy
from tests.small_federation import KEY_BITS, MINIMUM_BIN
from tests.system.deployed_federation import await_ready, deployed_federation
from tests.system.sabotage import discrepancies

pytestmark = pytest.mark.slow
RULES = TrainingRules(MINIMUM_BIN, row_totals_per_year=10_000, minimum_key_bits=KEY_BITS)
RUN_SECONDS = 600
CODES = {"TRANSPORT", "RUN_UNKNOWN", "RUN_LOST", "RUN_UNFINISHED", "ENGINE_SILENT", "UNEXPECTED_MESSAGE"}
THE_BANK = "credfed train"
VICTIMS = {0: "tax", 2: THE_BANK, 3: "coordinator", 4: "supernode-social", 6: "superlink", 7: "electricity"}
"""Who is killed once so many rounds have ended, of eight."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with deployed_federation("killed", usual_policy((BANK,), training=RULES)) as folder:
        yield folder


@dataclass
class Run:
    """One `credfed train` of the bank, whose rounds are followed."""

    folder: Path
    events: Path

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "federation.cli", "train", "--federation", str(self.folder), "--json"]
        options = ["--min-bin", str(MINIMUM_BIN), "--events", str(self.events)]
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def told(self, event: str) -> int:
        """How many events of a kind there were."""
        text = self.events.read_text(encoding="utf-8") if self.events.exists() else ""
        return text.count(f'"event":"{event}"')

    def after_rounds(self, number: int, kill: Callable[[], None]) -> None:
        """Kill once the run has begun and so many rounds have ended; or not, if all is over by then."""
        limit = time.monotonic() + RUN_SECONDS
        while self.process.poll() is None and (not self.told("started") or self.told("round") < number):
            assert time.monotonic() < limit
            time.sleep(0.02)
        kill()

    def end(self) -> tuple[int, str, str]:
        """Return the exit code, and of the error its code and its text."""
        output, _ = self.process.communicate(timeout=RUN_SECONDS)
        error = (json.loads(output) if output.strip() else {}).get("error", {})
        return self.process.returncode, error.get("code", ""), error.get("text", "")


def kill(folder: Path, run: Run, victim: str) -> None:
    """`kill -9` a process and whatever it has started; a supervisor starts it again, but not the bank's command."""
    if victim == THE_BANK:
        run.process.kill()
        return
    status = read_status(folder)
    assert status is not None
    os.killpg(next(process.pid for process in status.processes if process.name == victim), signal.SIGKILL)


def outcome(folder: Path) -> dict[str, bytes]:
    """All that a finished run writes, and whatever else lies there, but for keys, ledgers and sockets."""
    places = [*folder.iterdir(), *(folder / BANK).iterdir()]
    return {str(path): path.read_bytes() for path in places if path.is_file() and "ledger" not in path.name}


def runs_logged(folder: Path) -> set[str]:
    log = StoredLog(folder)
    try:
        found = {str(dict(logged.commitment().attributes).get("transcript_hash", "")) for logged in log.leaves()}
    finally:
        log.close()
    return found - {""}


def test_whoever_is_killed_in_whatever_round_leaves_no_half_model_and_the_next_run_works(
    folder: Path, tmp_path: Path
) -> None:
    for number, victim in VICTIMS.items():
        before = outcome(folder)
        run = Run(folder, tmp_path / f"events{number}")
        run.after_rounds(number, lambda run=run, victim=victim: kill(folder, run, victim))  # type: ignore[misc]
        status, code, text = run.end()
        await_ready(folder)
        said = (victim, number, status, code, text)
        if status == 0:  # what was killed was needed no more, or had come back in time
            assert verified_model(folder).model == read_federation(folder).model
            assert victim != THE_BANK, said
        else:
            assert outcome(folder) == before, said
            assert status == -signal.SIGKILL if victim == THE_BANK else (status == 1 and code in CODES), said
        assert {one.code for one in discrepancies(folder)} <= {"TRAIN_STEP_NOT_LOGGED"}, said
    broken = runs_logged(folder)
    assert Run(folder, tmp_path / "events").end() == (0, "", "")
    assert verified_model(folder).model == read_federation(folder).model
    (last,) = runs_logged(folder) - broken
    assert last not in {one.query for one in discrepancies(folder)}
