"""Whoever can write the coordinator's files, but not sign, cannot change the past unnoticed.

The attacker here has the whole directory. Lazy attacks change rows and nothing else; thorough ones rebuild every hash.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tampered_log import (
    FORGED,
    REWRITES,
    STOLEN,
    Site,
    Stored,
    make_leaf,
    stored,
)

from federation.audit import verify_directory
from protocols.errors import ConfigurationError, VerificationFailed
from protocols.transparency import (
    NoteSigner,
)
from tests.log_places import hand

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
