"""A log with three witnesses in the hands of an attacker who has its whole directory, and what such a one does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.audit import AuditLog, LogFailure, verify_directory, write_log_keys
from federation.audit.storage.location import LogLocation
from federation.audit.storage.rows import CHAIN_START, last_leaf, running_hash
from protocols.transparency import (
    CosignatureSigner,
    Cosigned,
    Leaf,
    LeafKind,
    LogKeys,
    NoteSigner,
    Receipt,
    Witness,
    attributes,
    encode_leaf,
)
from protocols.transparency.checkpoints import sign_checkpoint
from protocols.transparency.hashing import leaf_hash
from protocols.transparency.prover import Frontier
from tests.log_places import POSTGRES, SQLITE, hand, make_location

SIZE = 36
WITNESSED = (10, 20, 30)
STOLEN = NoteSigner("coordinator.test/log", Ed25519PrivateKey.from_private_bytes(b"L" * 32))
COSIGNERS = [CosignatureSigner(f"node-{i}", Ed25519PrivateKey.from_private_bytes(bytes([i]) * 32)) for i in range(1, 4)]
KEYS = LogKeys(STOLEN.verifier, tuple(one.verifier for one in COSIGNERS))

Stored = tuple[bytes, bytes]


def make_leaf(number: int, decision: str = "ALLOW") -> Leaf:
    return Leaf(
        kind=LeafKind.REQUEST,
        timestamp_ms=1_700_000_000_000 + number,
        actor="bank-a",
        reference=number.to_bytes(8, "big"),
        purpose="assessment",
        attributes=attributes({"decision": decision}),
        body=b"sealed %d" % number,
    )


def stored(leaf: Leaf) -> Stored:
    return encode_leaf(leaf), leaf.body


FORGED = stored(make_leaf(13, "DENY"))


@dataclass
class Site:
    """A federation's directory, the nodes that witnessed its log, and what a bank was given."""

    location: LogLocation
    witnesses: list[Witness]
    receipts: list[Receipt]

    @property
    def path(self) -> Path:
        return self.location.path

    @property
    def directory(self) -> Path:
        return self.path.parent.parent

    @property
    def record(self) -> Path:
        return self.path.with_suffix(".witnessed")

    def failure(self, *known: bytes) -> LogFailure:
        report = verify_directory(self.directory, known=known)
        assert report.failure is not None, "the attack went unnoticed"
        return report.failure

    def open(self, *known: bytes) -> AuditLog:
        return AuditLog(self.location, STOLEN, KEYS.witnesses, known=known)

    def run(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        with hand(self.location) as attacker:
            for statement, values in statements:
                attacker.execute(statement, values)

    def leaves(self) -> list[Stored]:
        with hand(self.location) as attacker:
            return attacker.execute("SELECT leaf, body FROM leaves ORDER BY idx")

    def rebuild(self, leaves: list[Stored], key: NoteSigner | None = None) -> None:
        """Replace the log's content by `leaves`, every hash made anew; with a key, every signature of the log too."""
        frontier, chain = Frontier(), CHAIN_START
        roots = {0: frontier.root()}
        with hand(self.location) as attacker:
            attacker.execute("DELETE FROM leaves")
            attacker.execute("DELETE FROM nodes")
            for index, (leaf, body) in enumerate(leaves):
                chain = running_hash(chain, leaf_hash(leaf))
                frontier, completed = frontier.push(leaf_hash(leaf))
                roots[frontier.size] = frontier.root()
                attacker.execute("INSERT INTO leaves VALUES (?, ?, ?, ?)", (index, leaf, body, chain))
                for node in completed[1:]:
                    row = (last_leaf(node.level, node.index), node.level, node.hash)
                    attacker.execute("INSERT INTO nodes VALUES (?, ?, ?)", row)
            if key is not None:
                attacker.execute("DELETE FROM checkpoints WHERE size > ?", (len(leaves),))
                for (size,) in attacker.execute("SELECT size FROM checkpoints"):
                    note = sign_checkpoint(key, size, roots[size]).encode()
                    attacker.execute("UPDATE checkpoints SET note = ? WHERE size = ?", (note, size))
                head = sign_checkpoint(key, len(leaves), frontier.root()).encode()
                attacker.execute("UPDATE head SET note = ?", (head,))


@pytest.fixture(params=[SQLITE, pytest.param(POSTGRES, marks=pytest.mark.slow)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return made(make_location(request, tmp_path))


@pytest.fixture
def file_site(tmp_path: Path) -> Site:
    """A log in a file, for attacks on the file."""
    (tmp_path / "coordinator").mkdir()
    return made(LogLocation(tmp_path / "coordinator" / "log.sqlite"))


def made(location: LogLocation) -> Site:
    write_log_keys(location.path.parent, KEYS)
    site = Site(location, [Witness(one, STOLEN.verifier) for one in COSIGNERS], [])
    with site.open() as log:
        for start in range(0, SIZE, 5):
            site.receipts += log.append([make_leaf(n) for n in range(start, min(start + 5, SIZE))])
            if log.size in WITNESSED:
                for witness in site.witnesses:
                    cosign(log, witness)
    assert verify_directory(site.directory).ok
    return site


def cosign(log: AuditLog, witness: Witness) -> None:
    answer = witness.receive(log.witness_request(witness.size), 1_700_000_000)
    assert isinstance(answer, Cosigned)
    log.record_cosignatures(answer.state.checkpoint.size, answer.line.encode().encode())


def edit(leaves: list[Stored]) -> list[Stored]:
    return [*leaves[:13], FORGED, *leaves[14:]]


def delete(leaves: list[Stored]) -> list[Stored]:
    return [*leaves[:13], *leaves[14:]]


def insert(leaves: list[Stored]) -> list[Stored]:
    return [*leaves[:13], FORGED, *leaves[13:]]


def reorder(leaves: list[Stored]) -> list[Stored]:
    return [*leaves[:13], leaves[17], *leaves[14:17], leaves[13], *leaves[18:]]


REWRITES = [edit, delete, insert, reorder]
