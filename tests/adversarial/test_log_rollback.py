"""Old copies of true files, put back in their place, are noticed: by the witnessed record, or by those outside."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tampered_log import (
    SIZE,
    Site,
    cosign,
    make_leaf,
)

from federation.audit import verify_directory
from protocols.errors import VerificationFailed
from tests.log_places import hand


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
