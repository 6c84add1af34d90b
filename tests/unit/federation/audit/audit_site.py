"""A coordinator's log with four witnesses, in a temporary directory laid out as a federation's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.audit import AuditLog, write_log_keys
from federation.audit.storage.location import LogLocation
from protocols.transparency import (
    CosignatureSigner,
    Cosigned,
    Leaf,
    LeafKind,
    LogKeys,
    NoteSigner,
    Witness,
    attributes,
)
from tests.log_places import POSTGRES, SQLITE, make_location

SIGNER = NoteSigner("coordinator.test/log", Ed25519PrivateKey.from_private_bytes(b"L" * 32))
COSIGNERS = [
    CosignatureSigner(f"node-{i}.test", Ed25519PrivateKey.from_private_bytes(bytes([i]) * 32)) for i in range(1, 5)
]
KEYS = LogKeys(SIGNER.verifier, tuple(cosigner.verifier for cosigner in COSIGNERS))


def make_leaf(number: int, body: bytes = b"sealed") -> Leaf:
    return Leaf(
        kind=LeafKind.REQUEST,
        timestamp_ms=1_700_000_000_000 + number,
        actor="bank-a",
        reference=number.to_bytes(8, "big"),
        purpose="assessment",
        attributes=attributes({"decision": "ALLOW"}),
        body=body,
    )


def make_leaves(start: int, end: int) -> list[Leaf]:
    return [make_leaf(number) for number in range(start, end)]


@dataclass
class Site:
    location: LogLocation
    witnesses: list[Witness] = field(default_factory=lambda: [Witness(one, SIGNER.verifier) for one in COSIGNERS])

    @property
    def path(self) -> Path:
        return self.location.path

    @property
    def directory(self) -> Path:
        return self.path.parent.parent

    def open(self, known: tuple[bytes, ...] = ()) -> AuditLog:
        return AuditLog(self.location, SIGNER, KEYS.witnesses, known=known)

    def witness(self, log: AuditLog, count: int = 4) -> None:
        for number, witness in enumerate(self.witnesses[:count]):
            answer = witness.receive(log.witness_request(witness.size), 1_700_000_000 + number)
            assert isinstance(answer, Cosigned)
            found = log.record_cosignatures(answer.state.checkpoint.size, answer.line.encode().encode())
            assert found == number + 1


@pytest.fixture(params=[SQLITE, POSTGRES])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """A log in each of its places."""
    location = make_location(request, tmp_path)
    write_log_keys(tmp_path / "coordinator", KEYS)
    return Site(location)


@pytest.fixture
def file_site(tmp_path: Path) -> Site:
    """A log in a file, for what concerns the file."""
    (tmp_path / "coordinator").mkdir()
    write_log_keys(tmp_path / "coordinator", KEYS)
    return Site(LogLocation(tmp_path / "coordinator" / "log.sqlite"))


@pytest.fixture
def file_log(file_site: Site) -> Iterator[AuditLog]:
    with file_site.open() as opened:
        yield opened


@pytest.fixture
def log(site: Site) -> Iterator[AuditLog]:
    with site.open() as opened:
        yield opened
