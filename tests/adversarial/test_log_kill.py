"""kill -9 at any moment of an append leaves a log that verifies and holds every leaf that was acknowledged."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.audit import AuditLog, verify_directory, write_log_keys
from federation.audit.storage.location import LogLocation
from protocols.transparency import (
    CosignatureSigner,
    Cosigned,
    Leaf,
    LeafKind,
    LogKeys,
    NoteSigner,
    Witness,
    verify_checkpoint,
    verify_consistency,
)
from protocols.transparency.hashing import leaf_hash
from tests.log_places import POSTGRES, SQLITE, make_location

SIGNER = NoteSigner("coordinator.test/log", Ed25519PrivateKey.from_private_bytes(b"L" * 32))
COSIGNER = CosignatureSigner("node-1", Ed25519PrivateKey.from_private_bytes(b"W" * 32))
KEYS = LogKeys(SIGNER.verifier, (COSIGNER.verifier,))

# Three threads append, each writing "index hash size" for what was acknowledged; a fourth has a witness cosign, keeping
# the witness's note in a file of its own, as a node does. A line that reached the pipe is an answer that left.
COORDINATOR = """
import os, sys, threading
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from federation.audit import AuditLog
from federation.audit.storage.location import log_location
from federation.audit.log.witnessed import write_record
from protocols.transparency import CosignatureSigner, Leaf, LeafKind, NoteSigner, Witness

directory = Path(sys.argv[1])
signer = NoteSigner("coordinator.test/log", Ed25519PrivateKey.from_private_bytes(b"L" * 32))
cosigner = CosignatureSigner("node-1", Ed25519PrivateKey.from_private_bytes(b"W" * 32))
log = AuditLog(log_location(directory / "coordinator"), signer, [cosigner.verifier])
note = directory / "node.witnessed"
witness = Witness(cosigner, signer.verifier, note.read_bytes() if note.exists() else None)

def append(thread):
    for number in range(10**9):
        count = number % 5 + 1
        leaves = [
            Leaf(kind=LeafKind.REQUEST, timestamp_ms=number, actor=f"bank-{thread}", body=os.urandom(300 * thread))
            for _ in range(count)
        ]
        for receipt in log.append(leaves):
            os.write(1, f"{receipt.index} {receipt.leaf_hash.hex()}\\n".encode())

def cosign():
    answer = witness.receive(log.witness_request(witness.size), 1_700_000_000)
    write_record(directory / "node.sqlite", answer.state.note)
    log.record_cosignatures(answer.state.checkpoint.size, answer.line.encode().encode())

if not log.size:
    log.append([Leaf(kind=LeafKind.KEY, timestamp_ms=0, actor="coordinator")])
    cosign()  # a log without one witnessed checkpoint does not verify; this one starts with it
for thread in range(1, 4):
    threading.Thread(target=append, args=(thread,), daemon=True).start()
while True:
    cosign()
"""


def run_and_kill(directory: Path, seconds: float) -> dict[int, str]:
    """Run a coordinator, kill -9 it that long after its first acknowledgement; return what it acknowledged."""
    command = [sys.executable, "-c", COORDINATOR, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        output = first + process.stdout.read()
        errors = process.stderr.read()
    assert errors == ""
    assert process.returncode == -9
    whole = output[: output.rfind("\n") + 1].splitlines()  # the last line may have been cut off
    return {int(index): digest for index, digest in (line.split() for line in whole)}


@pytest.fixture(params=[SQLITE, pytest.param(POSTGRES, marks=pytest.mark.slow)])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> LogLocation:
    return make_location(request, tmp_path)


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_during_appends(location: LogLocation, tmp_path: Path, seed: int) -> None:
    write_log_keys(tmp_path / "coordinator", KEYS)
    times = random.Random(seed)
    acknowledged: dict[int, str] = {}
    for _ in range(4):
        fresh = run_and_kill(tmp_path, times.uniform(0.01, 0.4))
        assert not set(fresh) & set(acknowledged), "an acknowledged index was given out twice"
        acknowledged |= fresh
        note = (tmp_path / "node.witnessed").read_bytes()
        report = verify_directory(tmp_path, known=[note])
        assert report.failure is None
        assert report.leaves > max(acknowledged)
    assert len(acknowledged) > 20
    with AuditLog(location, SIGNER, KEYS.witnesses, known=[note]) as log:
        for index, digest in acknowledged.items():
            assert leaf_hash(log.leaf_bytes(index)).hex() == digest
        cosigned = verify_checkpoint(note, SIGNER.verifier, KEYS.witnesses).checkpoint
        path = log.consistency_proof(cosigned.size, log.size)
        verify_consistency(cosigned.size, log.size, cosigned.root, log.root(), path)


def test_a_crash_after_the_witness_noted_and_before_the_log_recorded_leaves_a_log_that_verifies(tmp_path: Path) -> None:
    (tmp_path / "coordinator").mkdir()
    write_log_keys(tmp_path / "coordinator", KEYS)
    with AuditLog(tmp_path / "coordinator" / "log.sqlite", SIGNER, [COSIGNER.verifier]) as log:
        log.append([Leaf(kind=LeafKind.KEY, timestamp_ms=0, actor="coordinator")])
        answer = Witness(COSIGNER, SIGNER.verifier).receive(log.witness_request(0), 1_700_000_000)
        assert isinstance(answer, Cosigned)
    assert verify_directory(tmp_path, known=[answer.state.note]).failure is None
