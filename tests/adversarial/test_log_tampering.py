"""Whoever can write the coordinator's files, with or without its log key, cannot change the past unnoticed.

The attacker here has the whole directory. Lazy attacks change rows and nothing else; thorough ones rebuild every hash;
the last ones also hold the stolen log key and sign everything anew. No attacker holds a witness's key.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.audit import AuditLog, LogFailure, verify_directory, write_log_keys
from federation.audit.storage.location import LogLocation
from federation.audit.storage.rows import CHAIN_START, last_leaf, running_hash
from protocols.errors import ConfigurationError, VerificationFailed
from protocols.transparency import (
    CosignatureSigner,
    Cosigned,
    Leaf,
    LeafKind,
    LogKeys,
    NoteSigner,
    Receipt,
    SplitView,
    Witness,
    attributes,
    compare_checkpoints,
    encode_leaf,
    parse_add_checkpoint,
    verify_split_view,
)
from protocols.transparency.checkpoints import sign_checkpoint
from protocols.transparency.hashing import leaf_hash
from protocols.transparency.notes import parse_note
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


# --- lazy: rows are changed, nothing is recomputed


@pytest.mark.parametrize("position", [0, 1, 13, 29, 35])
def test_edit_a_leaf(site: Site, position: int) -> None:
    leaf, _ = stored(make_leaf(position, "DENY"))
    site.run(("UPDATE leaves SET leaf = ? WHERE idx = ?", (leaf, position)))
    assert (site.failure().leaf, site.failure().code) == (position, "LEAF_ALTERED")


@pytest.mark.parametrize("position", [0, 13, 35])
def test_edit_one_bit_of_a_leaf(site: Site, position: int) -> None:
    leaf, _ = site.leaves()[position]
    for at in range(0, len(leaf), 7):
        changed = leaf[:at] + bytes([leaf[at] ^ 1]) + leaf[at + 1 :]
        site.run(("UPDATE leaves SET leaf = ? WHERE idx = ?", (changed, position)))
        assert site.failure().leaf == position


def test_edit_a_sealed_body(site: Site) -> None:
    site.run(("UPDATE leaves SET body = ? WHERE idx = 13", (b"sealed another",)))
    assert (site.failure().leaf, site.failure().code) == (13, "LEAF_ALTERED")


def test_put_text_in_the_place_of_a_sealed_body(file_site: Site) -> None:
    file_site.run(("UPDATE leaves SET body = 'text' WHERE idx = 13", ()))
    assert (file_site.failure().leaf, file_site.failure().code) == (13, "LEAF_MALFORMED")


@pytest.mark.parametrize("position", [0, 13, 34])
def test_delete_a_leaf(site: Site, position: int) -> None:
    site.run(("DELETE FROM leaves WHERE idx = ?", (position,)))
    assert (site.failure().leaf, site.failure().code) == (position, "LEAF_MISSING")


def test_delete_a_leaf_and_close_the_gap(site: Site) -> None:
    site.run(("DELETE FROM leaves WHERE idx = 13", ()), ("UPDATE leaves SET idx = idx - 1 WHERE idx > 13", ()))
    assert (site.failure().leaf, site.failure().code) == (13, "LEAF_ALTERED")


def test_insert_a_leaf(site: Site) -> None:
    site.run(
        ("UPDATE leaves SET idx = -idx WHERE idx >= 13", ()),
        ("UPDATE leaves SET idx = 1 - idx WHERE idx < 0", ()),
        ("INSERT INTO leaves VALUES (13, ?, ?, zeroblob(32))", FORGED),
    )
    assert (site.failure().leaf, site.failure().code) == (13, "LEAF_ALTERED")


def test_insert_a_leaf_before_the_first(site: Site) -> None:
    site.run(("INSERT INTO leaves VALUES (-1, ?, ?, zeroblob(32))", FORGED))
    assert (site.failure().leaf, site.failure().code) == (0, "LEAF_MISSING")


def test_append_a_leaf_without_the_log_key(site: Site) -> None:
    site.run(("INSERT INTO leaves VALUES (36, ?, ?, zeroblob(32))", FORGED))
    assert (site.failure().leaf, site.failure().code) == (36, "LEAF_NOT_SIGNED")


def test_reorder_two_leaves(site: Site) -> None:
    site.run(
        ("UPDATE leaves SET idx = 99 WHERE idx = 13", ()),
        ("UPDATE leaves SET idx = 13 WHERE idx = 17", ()),
        ("UPDATE leaves SET idx = 17 WHERE idx = 99", ()),
    )
    assert (site.failure().leaf, site.failure().code) == (13, "LEAF_ALTERED")


@pytest.mark.parametrize("size", [0, 12, 30, 35])
def test_truncate(site: Site, size: int) -> None:
    site.run(("DELETE FROM leaves WHERE idx >= ?", (size,)), ("DELETE FROM nodes WHERE last >= ?", (size,)))
    assert (site.failure().leaf, site.failure().code) == (size, "LEAF_MISSING")
    with pytest.raises(VerificationFailed) as error:
        site.open()
    assert error.value.code == "LOG_ROLLED_BACK"


@pytest.mark.parametrize(
    ("statement", "leaf", "code"),
    [
        ("UPDATE nodes SET hash = zeroblob(32) WHERE last = 13 AND level = 1", 12, "NODE_ALTERED"),
        ("DELETE FROM nodes WHERE last = 31 AND level = 5", 30, "NODE_ALTERED"),
        ("INSERT INTO nodes VALUES (36, 1, zeroblob(32))", 36, "NODE_ALTERED"),
        ("UPDATE leaves SET chain = zeroblob(32) WHERE idx = 13", 13, "LEAF_ALTERED"),
        ("UPDATE checkpoints SET note = X'00' WHERE size = 20", 10, "CHECKPOINT_INVALID"),
        ("UPDATE checkpoints SET size = 19 WHERE size = 20", 10, "ROOT_MISMATCH"),
        ("INSERT INTO checkpoints SELECT 99, note FROM checkpoints WHERE size = 30", 36, "LEAF_MISSING"),
        ("UPDATE head SET note = X'00'", 0, "LOG_HEAD"),
        ("DELETE FROM head", 0, "LOG_HEAD"),
    ],
)
def test_edit_what_the_log_derives_from_its_leaves(site: Site, statement: str, leaf: int, code: str) -> None:
    site.run((statement, ()))
    assert (site.failure().leaf, site.failure().code) == (leaf, code)


def test_show_the_verifier_another_table(site: Site) -> None:
    """A view in place of a table could show the verifier one history and everybody else another."""
    site.run(
        ("ALTER TABLE leaves RENAME TO real", ()),
        ("CREATE VIEW leaves AS SELECT * FROM real", ()),
    )
    for attempt in (lambda: verify_directory(site.directory), site.open):
        with pytest.raises(ConfigurationError):
            attempt()


def test_damage_anywhere_in_the_file_never_passes_as_another_history(file_site: Site) -> None:
    """Bits flipped all over the file: unreadable, or a named failure, or a place that holds no data."""
    honest = file_site.path.read_bytes()
    leaves = file_site.leaves()
    outcomes = set()
    for at in range(0, len(honest), 997):
        file_site.path.write_bytes(honest[:at] + bytes([honest[at] ^ 0x10]) + honest[at + 1 :])
        try:
            report = verify_directory(file_site.directory)
        except ConfigurationError:
            outcomes.add("unreadable")
            continue
        outcomes.add("ok" if report.ok else "failed")
        if report.ok:
            assert file_site.leaves() == leaves
    assert "failed" in outcomes


# --- thorough: every hash is rebuilt, but the attacker has no key


@pytest.mark.parametrize("rewrite", REWRITES)
def test_rewrite_all_hashes_without_a_key(site: Site, rewrite: Callable[[list[Stored]], list[Stored]]) -> None:
    site.rebuild(rewrite(site.leaves()))
    failure = site.failure()
    assert (failure.leaf, failure.code) == (
        10,
        "ROOT_MISMATCH",
    )  # the checkpoint at 20 no longer holds, that at 10 does
    with pytest.raises(VerificationFailed):
        site.open()


def test_rewrite_the_unwitnessed_end_without_a_key(site: Site) -> None:
    leaves = site.leaves()
    site.rebuild([*leaves[:33], FORGED, *leaves[34:]])
    assert (site.failure().leaf, site.failure().code) == (30, "ROOT_MISMATCH")


def test_rewrite_the_unwitnessed_end_and_sign_it_with_another_key(site: Site) -> None:
    """The hashes and the heads fit; only the key is not the log's."""
    other = NoteSigner(STOLEN.name, Ed25519PrivateKey.from_private_bytes(b"O" * 32))
    leaves = site.leaves()
    with hand(site.location) as attacker:
        honest = attacker.execute("SELECT size, note FROM checkpoints")
    site.rebuild([*leaves[:33], FORGED, *leaves[34:]], other)
    site.run(*(("UPDATE checkpoints SET note = ? WHERE size = ?", (note, size)) for size, note in honest))
    assert (site.failure().leaf, site.failure().code) == (30, "CHECKPOINT_INVALID")
    with pytest.raises(VerificationFailed):
        site.open()


# --- rolled back: old copies of true files are put back


def test_roll_back_the_log(file_site: Site, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(file_site.directory / "coordinator", old)
    with file_site.open() as log:
        log.append([make_leaf(n) for n in range(SIZE, 50)])
        for witness in file_site.witnesses:
            cosign(log, witness)
    shutil.copy(old / "log.sqlite", file_site.path)
    assert (file_site.failure().leaf, file_site.failure().code) == (SIZE, "LEAF_MISSING")
    with pytest.raises(VerificationFailed) as error:
        file_site.open()
    assert error.value.code == "LOG_ROLLED_BACK"


def test_roll_back_the_log_and_its_witnessed_record(file_site: Site, tmp_path: Path) -> None:
    """Everything at the coordinator is old and in order: only those outside can tell, and each of them does."""
    old = tmp_path / "old"
    shutil.copytree(file_site.directory / "coordinator", old)
    with file_site.open() as log:
        (receipt, *_) = log.append([make_leaf(n) for n in range(SIZE, 50)])
        for witness in file_site.witnesses:
            cosign(log, witness)
    shutil.copy(old / "log.sqlite", file_site.path)
    shutil.copy(old / "log.witnessed", file_site.record)
    assert verify_directory(file_site.directory).ok
    last_note = file_site.witnesses[0].last_note
    assert last_note is not None
    for known in (last_note, receipt.note):
        assert (file_site.failure(known).leaf, file_site.failure(known).code) == (SIZE, "LEAF_MISSING")
        with pytest.raises(VerificationFailed) as error:
            file_site.open(known)
        assert error.value.code == "LOG_ROLLED_BACK"
    with file_site.open() as log:
        log.checkpoint()
        with pytest.raises(ValueError, match="extends"):
            log.witness_request(file_site.witnesses[0].size)
        with pytest.raises(VerificationFailed) as refusal:
            file_site.witnesses[0].receive(log.witness_request(30), 1_700_000_100)
    assert refusal.value.code == "LOG_ROLLED_BACK"


def test_roll_back_the_database_by_its_rows(site: Site) -> None:
    """As above, by statements: what a restored backup of PostgreSQL is, or its operator's hand."""
    with hand(site.location) as attacker:
        ((head,),) = attacker.execute("SELECT note FROM head")
    record = site.record.read_bytes()
    with site.open() as log:
        (receipt, *_) = log.append([make_leaf(n) for n in range(SIZE, 50)])
        for witness in site.witnesses:
            cosign(log, witness)
    site.run(
        ("DELETE FROM leaves WHERE idx >= ?", (SIZE,)),
        ("DELETE FROM nodes WHERE last >= ?", (SIZE,)),
        ("DELETE FROM checkpoints WHERE size > ?", (SIZE,)),
        ("UPDATE head SET note = ?", (head,)),
    )
    assert (site.failure().leaf, site.failure().code) == (SIZE, "LEAF_MISSING")
    site.record.write_bytes(record)  # from now on only those outside can tell
    assert verify_directory(site.directory).ok
    last_note = site.witnesses[0].last_note
    assert last_note is not None
    for known in (last_note, receipt.note):
        assert (site.failure(known).leaf, site.failure(known).code) == (SIZE, "LEAF_MISSING")
        with pytest.raises(VerificationFailed) as error:
            site.open(known)
        assert error.value.code == "LOG_ROLLED_BACK"


def test_remove_the_witnessed_record(site: Site) -> None:
    site.record.unlink()
    assert site.failure().code == "LOG_WITNESSED_RECORD"
    with pytest.raises(VerificationFailed) as error:
        site.open()
    assert error.value.code == "LOG_WITNESSED_RECORD"


@pytest.mark.parametrize("content", [b"", b"junk", b"coordinator.test/log\n30\n"])
def test_replace_the_witnessed_record(site: Site, content: bytes) -> None:
    site.record.write_bytes(content)
    assert site.failure().code == "LOG_WITNESSED_RECORD"
    with pytest.raises(VerificationFailed):
        site.open()


# --- the log key is stolen: the attacker signs whatever it likes


@pytest.mark.parametrize("rewrite", REWRITES)
def test_re_sign_with_a_stolen_log_key(site: Site, rewrite: Callable[[list[Stored]], list[Stored]]) -> None:
    site.rebuild(rewrite(site.leaves()), STOLEN)
    failure = site.failure()
    assert (failure.leaf, failure.code) == (0, "ROOT_MISMATCH")
    assert "witnessed record" in failure.reason
    with pytest.raises(VerificationFailed) as error:
        site.open()
    assert error.value.code in {"LOG_FORKED", "LOG_ROLLED_BACK"}


def test_re_sign_and_sign_the_record_too(site: Site) -> None:
    site.rebuild(edit(site.leaves()), STOLEN)
    with hand(site.location) as attacker:
        ((note,),) = attacker.execute("SELECT note FROM checkpoints WHERE size = 30")
    site.record.write_bytes(note)
    assert site.failure().code == "LOG_WITNESSED_RECORD"
    with pytest.raises(VerificationFailed):
        site.open()


def test_re_sign_and_remove_the_record(site: Site) -> None:
    """No cosignature is left anywhere in the directory; the auditor knows that there are witnesses."""
    site.rebuild(edit(site.leaves()), STOLEN)
    site.record.unlink()
    assert (site.failure().leaf, site.failure().code) == (0, "LOG_NOT_WITNESSED")
    last_note = site.witnesses[0].last_note
    assert last_note is not None
    assert site.failure(last_note).code == "ROOT_MISMATCH"


def test_re_sign_and_keep_the_old_cosignatures(site: Site) -> None:
    old = parse_note(site.record.read_bytes())
    site.rebuild(edit(site.leaves()), STOLEN)
    with hand(site.location) as attacker:
        ((note,),) = attacker.execute("SELECT note FROM checkpoints WHERE size = 30")
        forged = parse_note(note).with_signatures(old.signatures).encode()
        attacker.execute("UPDATE checkpoints SET note = ? WHERE size = 30", (forged,))
    site.record.write_bytes(forged)
    assert site.failure().code == "CHECKPOINT_INVALID"


def test_re_sign_the_end_that_no_witness_has_seen(site: Site) -> None:
    """The one change that the directory alone cannot show. A receipt shows it, and the next witness request does not
    help the attacker: whoever holds a receipt over those leaves holds the log's own signature against it."""
    leaves = site.leaves()
    site.rebuild([*leaves[:33], FORGED, *leaves[34:]], STOLEN)
    assert verify_directory(site.directory).witnessed_size == 30
    failure = site.failure(site.receipts[33].note)
    assert (failure.leaf, failure.code) == (30, "ROOT_MISMATCH")


def test_sign_the_right_root_under_a_wrong_size(site: Site) -> None:
    """A note that says 40 leaves, over the root of 36, would let the log claim later that four leaves are missing."""
    frontier = Frontier()
    for leaf, _ in site.leaves():
        frontier, _ = frontier.push(leaf_hash(leaf))
    lie = sign_checkpoint(STOLEN, 40, frontier.root()).encode()
    site.run(("INSERT INTO checkpoints VALUES (?, ?)", (SIZE, lie)))
    assert (site.failure().leaf, site.failure().code) == (30, "ROOT_MISMATCH")


def test_fork_the_log_with_a_stolen_key(file_site: Site, tmp_path: Path) -> None:
    """One history for the auditor, another for node 1: node 1 holds the proof, and a third party accepts it."""
    site = file_site
    other = Site(LogLocation(tmp_path / "fork" / "coordinator" / "log.sqlite"), site.witnesses, [])
    shutil.copytree(site.directory / "coordinator", other.directory / "coordinator")
    forked = [*site.leaves()[:27], *(stored(make_leaf(n, "DENY")) for n in range(27, SIZE))]
    other.rebuild(forked, STOLEN)
    other.record.unlink()
    other.run(("DELETE FROM checkpoints", ()))
    witness = site.witnesses[0]
    with other.open() as log:
        evidence = witness.receive(parse_add_checkpoint(log.witness_request(witness.size).encode()), 1_700_000_100)
    assert isinstance(evidence, SplitView)
    verify_split_view(evidence, STOLEN.verifier)
    assert witness.size == 30
    assert evidence.first == witness.last_note
    assert (site.failure(evidence.second).leaf, site.failure(evidence.second).code) == (30, "ROOT_MISMATCH")


def test_fork_the_log_in_the_database_itself(site: Site) -> None:
    """The history that a witness cosigned is replaced where it stands, under the stolen key."""
    forked = [*site.leaves()[:27], *(stored(make_leaf(n, "DENY")) for n in range(27, SIZE))]
    witness = site.witnesses[0]
    honest = witness.last_note
    assert honest is not None
    site.rebuild(forked, STOLEN)
    site.record.unlink()
    site.run(("DELETE FROM checkpoints", ()))
    assert site.failure(honest).code == "ROOT_MISMATCH"
    with site.open() as log:
        evidence = witness.receive(parse_add_checkpoint(log.witness_request(witness.size).encode()), 1_700_000_100)
    assert isinstance(evidence, SplitView)
    verify_split_view(evidence, STOLEN.verifier)


def test_a_fork_shown_to_two_parties_convicts_the_log_by_its_notes_alone(site: Site) -> None:
    honest = site.receipts[-1].note
    site.rebuild([*site.leaves()[:33], FORGED, *site.leaves()[34:]], STOLEN)
    with site.open() as log:
        forked = log.checkpoint()
    evidence = compare_checkpoints(honest, forked, STOLEN.verifier)
    assert evidence is not None
    assert evidence.proof == ()
    verify_split_view(evidence, STOLEN.verifier)
