"""What `append` acknowledged is durable, ordered, signed and provable, whoever appends at the same time."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from audit_site import COSIGNERS, KEYS, SIGNER, Site, make_leaf, make_leaves
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.audit import AuditLog, verify_log
from federation.audit.log import audit_log as log_module
from federation.audit.storage.rows import LeafRow, LogReader
from federation.audit.storage.session import Row
from protocols.errors import ConfigurationError, MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.transparency import (
    Leaf,
    LeafKind,
    NoteSigner,
    Receipt,
    parse_log_proof,
    verify_checkpoint,
    verify_consistency,
    verify_inclusion,
)
from protocols.transparency.hashing import EMPTY_ROOT, leaf_hash
from protocols.transparency.prover import CompletedNode, inclusion_path
from tests.log_places import hand


def test_receipts_say_where_each_leaf_stands_and_carry_the_logs_signature(log: AuditLog) -> None:
    first, second = log.append(make_leaves(0, 3)), log.append(make_leaves(3, 5))
    assert [receipt.index for receipt in (*first, *second)] == [0, 1, 2, 3, 4]
    for receipt in second:
        signed = verify_checkpoint(receipt.note, SIGNER.verifier).checkpoint
        assert signed.size == 5
        path = log.inclusion_proof(receipt.index, signed.size)
        verify_inclusion(receipt.leaf_hash, receipt.index, signed.size, path, signed.root)
    assert log.append([]) == ()
    assert [entry.leaf for entry in log.entries()] == make_leaves(0, 5)


def test_acknowledged_leaves_are_in_the_file_at_once(file_site: Site, file_log: AuditLog) -> None:
    file_log.append(make_leaves(0, 4))
    with sqlite3.connect(file_site.path) as other:
        assert other.execute("SELECT count(*) FROM leaves").fetchone() == (4,)
    (mode,) = file_log._writer._session._connection.execute("PRAGMA synchronous").fetchone()
    (journal,) = file_log._writer._session._connection.execute("PRAGMA journal_mode").fetchone()
    assert (mode, journal) == (2, "wal")  # 2 is FULL: every commit is flushed to the disk


def test_acknowledged_leaves_are_in_the_database_at_once(site: Site, log: AuditLog) -> None:
    log.append(make_leaves(0, 4))
    with hand(site.location) as other:
        assert other.execute("SELECT count(*) FROM leaves") == [(4,)]


def test_a_reopened_log_goes_on_where_it_was(site: Site) -> None:
    for start in range(0, 30, 3):
        with site.open() as log:
            assert log.size == start
            log.append(make_leaves(start, start + 3))
    with site.open() as log:
        assert [entry.leaf for entry in log.entries()] == make_leaves(0, 30)
        assert verify_log(site.location, KEYS).failure is not None  # nothing witnessed yet
        site.witness(log)
    assert verify_log(site.location, KEYS).ok


def test_concurrent_callers_share_commits_and_keep_their_order(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    commit = log_module.LogWriter.commit_group

    def counting(self: log_module.LogWriter, rows: list[object], nodes: list[object], head: bytes) -> None:
        commits.append(len(rows))
        commit(self, rows, nodes, head)  # type: ignore[arg-type]

    monkeypatch.setattr(log_module.LogWriter, "commit_group", counting)
    with site.open() as log:
        with ThreadPoolExecutor(16) as pool:
            jobs = [pool.submit(log.append, make_leaves(2 * n, 2 * n + 2)) for n in range(200)]
            receipts: list[tuple[Receipt, ...]] = [job.result() for job in jobs]
        stored = {entry.index: entry.leaf for entry in log.entries()}
        for number, pair in enumerate(receipts):
            assert pair[1].index == pair[0].index + 1
            assert [stored[receipt.index] for receipt in pair] == make_leaves(2 * number, 2 * number + 2)
            assert [leaf_hash(log.leaf_bytes(receipt.index)) for receipt in pair] == [r.leaf_hash for r in pair]
        assert len(stored) == sum(commits) == 400
        assert len(commits) < 200
        site.witness(log)
    assert verify_log(site.location, KEYS).ok


def test_one_bad_leaf_stores_none_of_its_callers_leaves(log: AuditLog) -> None:
    log.append([make_leaf(0)])
    wrong = Leaf(kind=LeafKind.ACK, timestamp_ms=1.5, actor="bank-a")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="wrong type"):
        log.append([make_leaf(1), wrong])
    assert log.size == 1


def test_consistency_between_any_two_sizes(log: AuditLog) -> None:
    log.append(make_leaves(0, 23))
    for old in range(24):
        for new in range(old, 24):
            verify_consistency(old, new, log.root(old), log.root(new), log.consistency_proof(old, new))
    assert log.root(0) == EMPTY_ROOT
    for call in (lambda: log.root(24), lambda: log.inclusion_proof(0, 24), lambda: log.consistency_proof(3, 24)):
        with pytest.raises(ValueError, match="24"):
            call()


def test_entries_come_in_bounded_pages(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(make_leaves(0, 150))
    pages: list[int] = []
    read = log._reader.leaves

    def spy(start: int, end: int) -> list[tuple[int, bytes, bytes, bytes]]:
        pages.append(end - start)
        return read(start, end)

    monkeypatch.setattr(log._reader, "leaves", spy)
    assert [entry.index for entry in log.entries(10, 140)] == list(range(10, 140))
    assert max(pages) <= 64
    assert list(log.entries(140, 10)) == []
    assert len(list(log.entries(-5, 1000))) == 150


def test_an_offline_proof_convinces_with_public_keys_alone(site: Site, log: AuditLog) -> None:
    receipts = log.append(make_leaves(0, 9))
    with pytest.raises(UnexpectedMessage) as early:
        log.prove(3)
    assert early.value.code == "LEAF_NOT_WITNESSED"
    site.witness(log)
    log.append(make_leaves(9, 12))
    proof = parse_log_proof(log.prove(3).encode())
    verified = proof.verify(log.leaf_bytes(3), KEYS)
    assert (verified.checkpoint.size, len(verified.cosignatures)) == (9, 4)
    assert leaf_hash(log.leaf_bytes(3)) == receipts[3].leaf_hash
    with pytest.raises(UnexpectedMessage):
        log.prove(9)
    with pytest.raises(VerificationFailed):
        proof.verify(log.leaf_bytes(4), KEYS)
    with pytest.raises(ValueError, match="outside"):
        log.leaf_bytes(12)


def test_a_checkpoint_is_given_out_once_and_gathers_cosignatures(site: Site, log: AuditLog) -> None:
    log.append(make_leaves(0, 3))
    note = log.checkpoint()
    assert log.checkpoint() == note
    assert log.witnessed_size == 0
    site.witness(log, 2)
    assert log.witnessed_size == 0  # two of four are no quorum
    assert not site.path.with_suffix(".witnessed").exists()
    answer = site.witnesses[2].receive(log.witness_request(0), 5)
    assert log.record_cosignatures(3, answer.line.encode().encode()) == 3  # type: ignore[union-attr]
    assert log.witnessed_size == 3
    assert verify_checkpoint(site.path.with_suffix(".witnessed").read_bytes(), SIGNER.verifier, KEYS.witnesses)
    assert len(verify_checkpoint(log.checkpoint(), SIGNER.verifier, KEYS.witnesses).cosignatures) == 3


def test_cosignatures_that_do_not_hold_are_refused(site: Site, log: AuditLog) -> None:
    log.append(make_leaves(0, 3))
    log.checkpoint()
    elsewhere = COSIGNERS[0].cosign("another.test\n3\n", 5).encode().encode()
    stranger = log_line("stranger.test")
    with pytest.raises(VerificationFailed):
        log.record_cosignatures(3, elsewhere)
    with pytest.raises(MalformedMessage):
        log.record_cosignatures(3, b"\xff\n")
    assert log.record_cosignatures(3, stranger) == 0
    assert b"stranger" not in log.checkpoint()
    with pytest.raises(ValueError, match="given out"):
        log.record_cosignatures(2, stranger)


def log_line(name: str) -> bytes:
    return NoteSigner(name, Ed25519PrivateKey.from_private_bytes(b"S" * 32)).sign("x\n").signatures[0].encode().encode()


def test_a_second_process_cannot_open_the_log(site: Site, log: AuditLog) -> None:
    with pytest.raises(ConfigurationError) as error:
        site.open()
    assert error.value.code == "LOG_IN_USE"
    log.close()
    log.close()
    site.open().close()


def test_another_key_cannot_go_on_with_the_log(site: Site) -> None:
    with site.open() as log:
        log.append(make_leaves(0, 2))
    other = NoteSigner(SIGNER.name, Ed25519PrivateKey.from_private_bytes(b"O" * 32))
    with pytest.raises(VerificationFailed):
        AuditLog(site.location, other, KEYS.witnesses)


def test_a_full_disk_is_told_to_every_caller_and_the_log_goes_on_afterwards(
    file_site: Site, file_log: AuditLog
) -> None:
    file_log.append(make_leaves(0, 10))
    connection = file_log._writer._session._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(ConfigurationError) as error:
        file_log.append([make_leaf(n, bytes(100_000)) for n in range(10, 20)])
    assert error.value.code == "LOG_NOT_WRITABLE"
    assert file_log.size == 10
    connection.execute("PRAGMA max_page_count=1000000")
    assert [receipt.index for receipt in file_log.append(make_leaves(10, 12))] == [10, 11]
    file_site.witness(file_log)
    assert verify_log(file_site.location, KEYS).ok


def test_a_commit_whose_outcome_is_unknown_is_read_back_from_the_file(
    site: Site, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk reports an error after the commit was on it: the callers learn of no receipt, the leaves stay."""
    commit = log._writer.commit_group

    def failing(rows: list[LeafRow], nodes: list[CompletedNode], head: bytes) -> None:
        commit(rows, nodes, head)
        raise log._writer.error("disk I/O error")

    monkeypatch.setattr(log._writer, "commit_group", failing)
    with pytest.raises(ConfigurationError):
        log.append(make_leaves(0, 3))
    monkeypatch.undo()
    assert [receipt.index for receipt in log.append(make_leaves(3, 5))] == [3, 4]
    site.witness(log)
    assert verify_log(site.location, KEYS).ok


def test_a_file_that_is_something_else_is_left_alone(file_site: Site) -> None:
    file_site.path.write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigurationError):
        file_site.open()
    assert sha256(file_site.path.read_bytes()).digest() == sha256(b"not a database" * 100).digest()
    file_site.path.unlink()
    with sqlite3.connect(file_site.path) as other:
        other.execute("CREATE TABLE leaves (idx INTEGER)")
    with pytest.raises(ConfigurationError, match="layout"):
        file_site.open()


def test_the_file_is_readable_by_its_owner_alone(file_site: Site, file_log: AuditLog) -> None:
    assert file_site.path.stat().st_mode & 0o077 == 0


def test_a_folder_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        AuditLog(tmp_path / "missing" / "log.sqlite", SIGNER)


def test_a_proof_is_one_query_that_searches_and_never_scans(
    site: Site, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(make_leaves(0, 300))
    asked: list[tuple[str, tuple[int, ...]]] = []
    rows = LogReader._rows

    def noted(reader: LogReader, query: str, *values: int) -> list[Row]:
        asked.append((query, values))
        return rows(reader, query, *values)

    monkeypatch.setattr(LogReader, "_rows", noted)
    assert len(inclusion_path(log._reader, 100, 299)) == 9
    ((query, values),) = asked
    if site.location.url:
        with psycopg.connect(site.location.url) as server:
            server.execute("SET enable_seqscan = off")  # what a table is read with as soon as it is large
            plan = str(server.execute("EXPLAIN " + query.replace("?", "%s"), values).fetchall())  # type: ignore[arg-type]
        assert "Seq Scan" not in plan
    else:
        with closing(sqlite3.connect(site.path)) as file:
            plan = str(file.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall())
        assert "SCAN n" not in plan
        assert "SCAN leaves" not in plan
    assert "SEARCH" in plan or "Index" in plan
