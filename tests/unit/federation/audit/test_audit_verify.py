"""`verify_log` accepts every honest log, says how much of it is witnessed, and needs only what the folder holds."""

from __future__ import annotations

import shutil
import sqlite3
import tracemalloc
from pathlib import Path

import pytest
from audit_site import KEYS, SIGNER, Site, make_leaf, make_leaves
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.audit import AuditLog, read_log_keys, verify_directory, verify_log, write_log_keys
from federation.audit.bench import measure
from protocols.errors import ConfigurationError, VerificationFailed
from protocols.transparency import LogKeys, NoteSigner
from protocols.transparency.checkpoints import sign_checkpoint
from protocols.transparency.hashing import EMPTY_ROOT


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 64, 100])
def test_an_honest_log_verifies(site: Site, size: int) -> None:
    with site.open() as log:
        for start in range(0, size, 10):
            log.append(make_leaves(start, min(start + 10, size)))
            site.witness(log)
        root = log.root()
    report = verify_directory(site.directory, known=[w.last_note for w in site.witnesses if w.last_note])
    groups = len(range(0, size, 10))
    assert report.failure is None
    assert report.ok
    assert report.first_bad_leaf is None
    assert (report.leaves, report.root, report.origin) == (size, root, SIGNER.name)
    assert (report.checkpoints, report.cosignatures, report.witnessed_size) == (groups, 4 * groups, size)


def test_an_empty_log_verifies(site: Site) -> None:
    site.open().close()
    report = verify_directory(site.directory)
    assert (report.ok, report.leaves) == (True, 0)


def test_leaves_after_the_last_witnessed_checkpoint_are_counted(site: Site) -> None:
    with site.open() as log:
        log.append(make_leaves(0, 5))
        site.witness(log)
        receipts = log.append(make_leaves(5, 8))
    report = verify_directory(site.directory, known=[receipt.note for receipt in receipts])
    assert (report.ok, report.leaves, report.witnessed_size) == (True, 8, 5)


def test_a_log_without_witnesses_verifies_under_its_own_key(site: Site) -> None:
    write_log_keys(site.path.parent, LogKeys(SIGNER.verifier))
    with AuditLog(site.location, SIGNER) as log:
        log.append(make_leaves(0, 5))
        log.checkpoint()
        assert log.prove(4).verify(log.leaf_bytes(4), log.keys)
    report = verify_directory(site.directory)
    assert (report.ok, report.checkpoints, report.witnessed_size) == (True, 1, 0)


def test_a_log_whose_witnesses_never_cosigned_does_not_verify(site: Site) -> None:
    with site.open() as log:
        log.append(make_leaves(0, 5))
        site.witness(log, 2)
    failure = verify_directory(site.directory).failure
    assert failure is not None
    assert (failure.leaf, failure.code) == (0, "LOG_NOT_WITNESSED")


def test_it_verifies_while_the_log_goes_on(site: Site, log: AuditLog) -> None:
    log.append(make_leaves(0, 50))
    site.witness(log)
    assert verify_directory(site.directory).leaves == 50
    log.append(make_leaves(50, 60))
    assert verify_directory(site.directory).leaves == 60


def test_it_verifies_a_crashed_log_with_its_write_ahead_file(
    file_site: Site, file_log: AuditLog, tmp_path: Path
) -> None:
    file_log.append(make_leaves(0, 50))
    file_site.witness(file_log)
    copy = tmp_path / "copy"
    shutil.copytree(file_site.directory / "coordinator", copy / "coordinator")
    assert (copy / "coordinator" / "log.sqlite-wal").stat().st_size > 0
    (copy / "coordinator" / "log.sqlite-shm").unlink()
    report = verify_directory(copy)
    assert (report.failure, report.leaves) == (None, 50)


def test_it_changes_nothing_in_the_log(file_site: Site) -> None:
    with file_site.open() as log:
        log.append(make_leaves(0, 5))
        file_site.witness(log)
    before = file_site.path.read_bytes()
    verify_directory(file_site.directory)
    assert file_site.path.read_bytes() == before


@pytest.mark.parametrize("missing", ["log.sqlite", "log.pub", "witnesses.txt"])
def test_missing_files_are_named(file_site: Site, missing: str) -> None:
    file_site.open().close()
    (file_site.path.parent / missing).unlink()
    with pytest.raises(ConfigurationError, match=missing):
        verify_directory(file_site.directory)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("log.pub", "", "0 keys"),
        ("log.pub", "nonsense\n", "line 1"),
        ("log.pub", f"{SIGNER.verifier.vkey()}\n{SIGNER.verifier.vkey()}\n", "2 keys"),
        ("log.pub", f"{KEYS.witnesses[0].vkey()}\n", "log key"),
        ("witnesses.txt", f"# comment\n\n{KEYS.witnesses[0].vkey()}\nnonsense\n", "line 4"),
        ("witnesses.txt", f"{KEYS.witnesses[0].vkey()}\n{KEYS.witnesses[0].vkey()}\n", "twice"),
        ("witnesses.txt", f"{SIGNER.verifier.vkey()}\n", "cosignature type"),
    ],
)
def test_unusable_key_files_are_named(file_site: Site, name: str, content: str, expected: str) -> None:
    (file_site.path.parent / name).write_text(content)
    with pytest.raises(ConfigurationError, match=expected):
        read_log_keys(file_site.path.parent)


def test_keys_read_back_as_written(file_site: Site) -> None:
    assert read_log_keys(file_site.path.parent) == KEYS
    assert read_log_keys(file_site.path.parent, quorum=4).threshold == 4


def test_a_file_that_is_no_log_is_a_configuration_error(file_site: Site, tmp_path: Path) -> None:
    file_site.path.write_bytes(b"junk" * 2000)
    with pytest.raises(ConfigurationError):
        verify_directory(file_site.directory)
    with pytest.raises(ConfigurationError):
        verify_log(tmp_path / "nothing.sqlite", KEYS)


def test_a_known_note_must_be_of_this_log(site: Site) -> None:
    site.open().close()
    stranger = NoteSigner(SIGNER.name, Ed25519PrivateKey.from_private_bytes(b"S" * 32))
    with pytest.raises(VerificationFailed):
        verify_log(site.location, KEYS, known=[sign_checkpoint(stranger, 0, EMPTY_ROOT).encode()])


def test_memory_does_not_grow_with_the_log(file_site: Site) -> None:
    peaks = []
    with file_site.open() as log:
        for start in (0, 2000):
            log.append([make_leaf(n, bytes([n % 256]) * 1000) for n in range(start, start + 2000)])
            file_site.witness(log)
            tracemalloc.start()
            assert verify_directory(file_site.directory).ok
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000 < 2_000_000  # 2,000 further leaves hold 2 MB of bodies


def test_the_benchmark_measures_a_log_that_verifies(tmp_path: Path) -> None:
    result = measure(250, tmp_path)
    assert result.leaves == 250
    assert min(result.append_per_s, result.proof_ms, result.verify_s, result.peak_rss_mb) > 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="at least one"):
        measure(0)


def test_an_oversized_row_is_damage_not_memory(file_site: Site) -> None:
    with file_site.open() as log:
        log.append(make_leaves(0, 5))
        file_site.witness(log)
    with sqlite3.connect(file_site.path) as attacker:
        attacker.execute("UPDATE leaves SET body = zeroblob(50000000) WHERE idx = 3")
    attacker.close()
    failure = verify_directory(file_site.directory).failure
    assert failure is not None
    assert (failure.leaf, failure.code) == (3, "LOG_DAMAGED")
