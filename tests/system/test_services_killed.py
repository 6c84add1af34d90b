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

from federation.audit import verify_directory
from federation.audit.reconcile import reconcile
from federation.cli.ledgers import open_ledgers, own_entries
from federation.cli.logs import open_log
from federation.local import BANK
from nodes.ledger import ledger_location, open_node_ledger
from nodes.ledger.reading import read_ledger
from nodes.policy.rules import USUAL_QUOTA
from protocols.transparency.leaves import LeafKind
from tests.conftest import TrainedFederation
from tests.small_federation import NODES
from tests.system.service_federation import prepare, up

pytestmark = pytest.mark.slow

KILLS = 8
INTERRUPTED = {
    "RELEASE_MISSING", "RESULT_MISSING", "ACK_MISSING", "RELEASE_NOT_LOGGED", "REQUEST_NOT_LOGGED", "ACK_NOT_LOGGED",
}  # fmt: skip
"""What a query that was broken off may lack. Never: an answer without its row, or two answers, or another one."""


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
    judge(folder, answers)


def judge(folder: Path, answers: Path) -> None:
    """Hold log, ledgers and the bank's scores against one another."""
    assert verify_directory(folder).ok
    with open_log(folder) as log, open_ledgers(folder) as readers:
        leaves = list(log.leaves())
        found = reconcile(leaves, {party: own_entries(reader) for party, reader in readers.items()})
        released = {node: {answer.query for answer in readers[node].answers()} for node in NODES}
        for node in NODES:
            rows = [answer.query for answer in readers[node].answers()]
            assert len(rows) == len(set(rows))
    assert {discrepancy.code for discrepancy in found.discrepancies} <= INTERRUPTED
    results = {leaf.index: leaf.commitment().reference for leaf in leaves if leaf.commitment().kind is LeafKind.RESULT}
    scores = lines(answers)
    assert len(scores) > 5 * KILLS
    for request, receipt in scores:
        assert results[int(receipt)].hex() == request
        assert all(bytes.fromhex(request) in released[node] for node in NODES)
    for node in NODES:
        ledger = open_node_ledger(ledger_location(folder / node))
        with read_ledger(ledger_location(folder / node)) as reader:
            releases = sum(answer.decision == "RELEASE" for answer in reader.answers())
        days = range(int(time.time()) // 86_400 - 1, int(time.time()) // 86_400 + 1)
        used = sum(USUAL_QUOTA.per_day - ledger.quotas.left(BANK, day, USUAL_QUOTA) for day in days)
        assert used == releases >= len(scores)
        ledger.close()
