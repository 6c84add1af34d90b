"""`kill -9` of any process at any moment, under load, again and again; what must hold of ledgers and log afterwards."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from federation.local.layout import BANK
from tests.conftest import TrainedFederation
from tests.small_federation import NODES
from tests.system.judging import judge
from tests.system.service_federation import prepare, up

pytestmark = pytest.mark.slow

KILLS = 8


@contextmanager
def asking_bank(folder: Path, answers: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A bank's process that asks without end; the list's last one is at work."""
    processes: list[subprocess.Popen[bytes]] = []
    log = (folder / BANK / "service.log").open("ab")

    def start() -> None:
        command = [sys.executable, "-m", "tests.system.bank_driver", str(folder), str(answers)]
        processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    start()
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
        log.close()


def lines(path: Path) -> list[list[str]]:
    """The whole lines of a file that somebody may be writing."""
    return [line.split() for line in path.read_text(encoding="ascii").split("\n")[:-1]] if path.exists() else []


def wait_for_answers(path: Path, more: int, seconds: float = 60) -> None:
    """Return once so many more scores have come."""
    due, limit = len(lines(path)) + more, time.monotonic() + seconds
    while len(lines(path)) < due:
        assert time.monotonic() < limit, "no answers after a kill"
        time.sleep(0.05)


def test_killed_at_any_moment_nobody_answers_twice_or_off_the_record(
    trained: TrainedFederation, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained.folder, tmp_path / "federation"))
    federation = prepare(folder, node_seconds=2.0, witness_seconds=0.3)
    answers, chance = tmp_path / "answers", random.Random(5)
    with up(federation), asking_bank(folder, answers) as banks:
        wait_for_answers(answers, 10)
        for turn in range(KILLS):
            time.sleep(chance.random() * 0.7)
            if turn % 4 == 3:
                banks[-1].kill()
                banks[-1].wait()
                banks.append(subprocess.Popen(banks[-1].args, stderr=subprocess.DEVNULL))
            else:
                victim = federation.coordinator if turn % 4 == 1 else federation.nodes[chance.choice(NODES)]
                victim.kill()
                victim.start()
            wait_for_answers(answers, 5)
    scores = [(request, int(receipt)) for request, receipt in lines(answers)]
    assert len(scores) > 5 * KILLS
    judge(folder, scores)
