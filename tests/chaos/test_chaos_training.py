"""Things break while a bank trains over Flower: the run goes on or ends with a code, and the next one works."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.audit import verify_directory
from federation.local.layout import BANK, COORDINATOR, MODEL_FILE, read_federation
from nodes.policy import TrainingRules, usual_policy
from protocols.channel.identity import PartyId
from tests.chaos.breaking import Breakable, breakable, small_disks
from tests.chaos.conftest import Row
from tests.small_federation import KEY_BITS, MINIMUM_BIN, make_federation, quick_keys

pytestmark = [pytest.mark.slow, pytest.mark.chaos]

TAX = PartyId("tax")
RULES = TrainingRules(minimum_bin=MINIMUM_BIN, minimum_key_bits=KEY_BITS, row_totals_per_year=10_000)
CUT_SECONDS = 12.0
FULL_SECONDS = 5.0
RUN_SECONDS = 400
BREAK_AFTER = 2


@pytest.fixture(scope="module")
def federation() -> Iterator[Breakable]:
    """A federation without a model, up; two parties have small disks of their own."""
    outer = Path("/tmp") / f"credfed-chaos-training-{os.getpid()}"  # noqa: S108 - pytest's own are closed to others
    outer.mkdir(mode=0o711)
    with ExitStack() as held:
        held.callback(shutil.rmtree, outer)
        with quick_keys():
            folder = make_federation(outer / "federation", usual_policy((BANK,), training=RULES))
        held.enter_context(small_disks(folder, (COORDINATOR, TAX)))
        yield held.enter_context(breakable(folder))


class Run:
    """One `credfed train`, whose rounds are followed."""

    def __init__(self, federation: Breakable, events: Path) -> None:
        self._events = events
        command = [sys.executable, "-m", "federation.cli", "train", "--federation", str(federation.folder)]
        options = ["--min-bin", str(MINIMUM_BIN), "--events", str(events), "--json"]
        self.started = time.monotonic()
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def rounds(self) -> int:
        """How many rounds have ended."""
        if not self._events.exists():
            return 0
        return self._events.read_text(encoding="utf-8").count('"event":"round"')

    def await_rounds(self, number: int) -> None:
        """Return once so many rounds have ended."""
        limit = time.monotonic() + RUN_SECONDS
        while self.rounds() < number:
            assert time.monotonic() < limit
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)

    def end(self) -> tuple[int, str]:
        """Return its exit code and, if it failed, the code of its error."""
        output, _ = self.process.communicate(timeout=RUN_SECONDS)
        document = json.loads(output) if output.strip() else {}
        return self.process.returncode, document.get("error", {}).get("code", "")


Break = Callable[[Breakable, Run], AbstractContextManager[None]]


def killing(name: str) -> Break:
    """`kill -9`; whoever watches over the process starts it again."""

    @contextmanager
    def broken(federation: Breakable, run: Run) -> Iterator[None]:
        federation.kill(name)
        yield

    return broken


@contextmanager
def killing_the_run(federation: Breakable, run: Run) -> Iterator[None]:
    """`kill -9` of the bank's own `credfed train`."""
    run.process.send_signal(signal.SIGKILL)
    yield


@dataclass(frozen=True, slots=True)
class Case:
    """What is broken, for how many seconds; the exit codes and error codes with which a run may end."""

    name: str
    broken: Break
    seconds: float
    exits: frozenset[int]
    codes: frozenset[str] = frozenset()


MAY_FAIL = frozenset({0, 1})
CASES = [
    Case("SuperLink killed", killing("superlink"), 0, MAY_FAIL, frozenset({"ENGINE_SILENT", "TRANSPORT"})),
    Case("a SuperNode killed", killing("supernode-tax"), 0, MAY_FAIL, frozenset({"TRANSPORT"})),
    Case("a data node killed", killing("tax"), 0, MAY_FAIL, frozenset({"TRANSPORT", "RUN_UNKNOWN"})),
    Case("the coordinator killed", killing("coordinator"), 0, MAY_FAIL, frozenset({"RUN_LOST", "ENGINE_SILENT"})),
    Case("the bank's `credfed train` killed", killing_the_run, 0, frozenset({-signal.SIGKILL})),
    Case("a data node cut off", lambda f, run: f.cut(TAX), CUT_SECONDS, MAY_FAIL, frozenset({"TRANSPORT"})),
    Case(
        "a data node's line: 200 ms more each way, 5 % of frames lost",
        lambda f, run: f.lossy(TAX, 200, 5), 60.0, frozenset({0}),
    ),
    Case(
        "a data node's disk full",
        lambda f, run: f.full_disk(TAX), FULL_SECONDS, MAY_FAIL, frozenset({"LEDGER_FAILED"}),
    ),
    Case(
        "the coordinator's disk full",
        lambda f, run: f.full_disk(COORDINATOR), FULL_SECONDS, MAY_FAIL,
        frozenset({"LOG_NOT_WRITABLE", "INTERNAL_ERROR", "ENGINE_SILENT"}),
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_run_goes_on_or_ends_with_a_code(federation: Breakable, table: list[Row], tmp_path: Path, case: Case) -> None:
    run = Run(federation, tmp_path / "events")
    run.await_rounds(BREAK_AFTER)
    model = read_federation(federation.folder).model
    broken = time.monotonic()
    with case.broken(federation, run):
        limit = time.monotonic() + case.seconds
        while time.monotonic() < limit and run.process.poll() is None:
            time.sleep(0.1)
    status, code = run.end()
    took = time.monotonic() - broken
    federation.await_ready()
    seen = {0: "the run went on", 1: f"the run ended: `{code}`"}.get(status, "no model")
    table.append(Row("training", case.name, seen, f"{took:.0f} s", "nothing"))
    assert status in case.exits
    if status == 0:
        assert read_federation(federation.folder).model != model
    else:
        assert read_federation(federation.folder).model == model
        assert status < 0 or code in case.codes


def test_the_next_run_works_and_the_log_holds(federation: Breakable, tmp_path: Path) -> None:
    """The last one: it stops everything."""
    assert Run(federation, tmp_path / "events").end() == (0, "")
    assert (federation.folder / BANK / MODEL_FILE).exists()
    federation.stop()
    assert verify_directory(federation.folder).ok
