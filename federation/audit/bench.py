"""How fast the audit log is on this machine: appends in groups, proofs, and the verification of the whole."""

from __future__ import annotations

import os
import resource
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final
from urllib.parse import quote

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.audit.log.audit_log import AuditLog
from federation.audit.storage.location import LogLocation
from federation.audit.verify import verify_log
from protocols.errors import VerificationFailed
from protocols.transparency.checkpoints import CosignatureSigner, LogKeys
from protocols.transparency.leaves import Leaf, LeafKind, attributes
from protocols.transparency.notes import NoteSigner
from protocols.transparency.witness import Cosigned, Witness

GROUP: Final = 100
CHECKPOINT_EVERY: Final = 10_000
DATABASE_VARIABLE: Final = "CREDFED_BENCH_DATABASE"
"""Tells the measuring process where: a URL may hold a password, and command lines are read by others."""

_PROOFS: Final = 200
_BODY_BYTES: Final = 400


@dataclass(frozen=True, slots=True)
class AuditBench:
    """Units: leaves a second, milliseconds (mean of random leaves), seconds, MiB (of the whole process, its peak)."""

    leaves: int
    append_per_s: float
    proof_ms: float
    verify_s: float
    peak_rss_mb: float


def measure(leaves: int, directory: Path | None = None, database: str = "") -> AuditBench:
    """Build a log of `leaves` in groups of 100 with a witness, prove random leaves, verify it all; then delete it.

    Each group is one durable commit. It is a SQLite file, or in a schema of its own in the PostgreSQL `database`.
    Raises: ValueError if `leaves` is not positive, VerificationFailed if the log does not verify; ConfigurationError.
    """
    if leaves < 1:
        raise ValueError("a log to measure has at least one leaf")
    signer = NoteSigner("bench.log", Ed25519PrivateKey.generate())
    cosigner = CosignatureSigner("bench.witness", Ed25519PrivateKey.generate())
    keys = LogKeys(signer.verifier, (cosigner.verifier,))
    with TemporaryDirectory(dir=directory) as folder, _schema(database) as url:
        place = LogLocation(Path(folder) / "log.sqlite", url)
        with AuditLog(place, signer, keys.witnesses) as log:
            append_s = _append(log, Witness(cosigner, signer.verifier), leaves)
            proof_s = _prove(log, keys, min(_PROOFS, leaves))
        start = perf_counter()
        report = verify_log(place, keys)
        verify_s = perf_counter() - start
    if not report.ok or report.leaves != leaves:
        raise VerificationFailed(f"a log of {leaves} leaves did not verify")
    return AuditBench(leaves, leaves / append_s, 1000 * proof_s, verify_s, _peak_mib())


@contextmanager
def _schema(database: str) -> Iterator[str]:
    """Yield the URL of a fresh schema in a database, which is dropped at the end; "" if there is no database."""
    if not database:
        yield ""
        return
    import psycopg  # the extra `postgres`

    name = f"credfed_bench_{secrets.token_hex(8)}"
    url = f"{database}{'&' if '?' in database else '?'}options={quote(f'-c search_path={name}')}"
    with psycopg.connect(database, autocommit=True, connect_timeout=10) as server:
        server.execute(f"CREATE SCHEMA {name}".encode())
        try:
            yield url
        finally:
            server.execute(f"DROP SCHEMA {name} CASCADE".encode())


def _peak_mib() -> float:
    """Return the peak resident memory of this process; `getrusage` would count the one that started it as well."""
    status = Path("/proc/self/status")
    if status.is_file():
        peaks = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        if peaks:
            return int(peaks[0]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)


def _append(log: AuditLog, witness: Witness, leaves: int) -> float:
    """Return the seconds spent in `append` alone; making the leaves and collecting cosignatures is not counted."""
    source, spent = _leaves(), 0.0
    for start in range(0, leaves, GROUP):
        group = list(islice(source, min(GROUP, leaves - start)))
        began = perf_counter()
        log.append(group)
        spent += perf_counter() - began
        if (start // GROUP) % (CHECKPOINT_EVERY // GROUP) == 0 or start + GROUP >= leaves:
            answer = witness.receive(log.witness_request(witness.size), timestamp=start)
            if isinstance(answer, Cosigned):
                log.record_cosignatures(answer.state.checkpoint.size, answer.line.encode().encode())
    return spent


def _prove(log: AuditLog, keys: LogKeys, proofs: int) -> float:
    """Return the mean seconds to make one proof of a random leaf; each is then verified, uncounted."""
    spent = []
    for _ in range(proofs):
        index = secrets.randbelow(log.size)
        start = perf_counter()
        proof = log.prove(index)
        spent.append(perf_counter() - start)
        proof.verify(log.leaf_bytes(index), keys)
    return fmean(spent)


def _leaves() -> Iterator[Leaf]:
    """Yield leaves of the size and content of real requests."""
    values = attributes({"bank": "bank-a", "decision": "ALLOW", "model": "scorecard-1", "policy_hash": "0" * 64})
    number = 0
    while True:
        yield Leaf(
            kind=LeafKind.REQUEST,
            timestamp_ms=number,
            actor="bank-a",
            reference=secrets.token_bytes(16),
            purpose="loan-origination",
            subject=secrets.token_bytes(32),
            attributes=values,
            evidence=secrets.token_bytes(32),
            body=secrets.token_bytes(_BODY_BYTES),
        )
        number += 1


if __name__ == "__main__":
    figures = measure(
        int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None, os.environ.get(DATABASE_VARIABLE, "")
    )
    sys.stdout.buffer.write(msgspec.json.encode(figures) + b"\n")
