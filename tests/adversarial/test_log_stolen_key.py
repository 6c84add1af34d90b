"""Whoever has the log's own key signs whatever it likes, and is convicted by what witnesses and receipts hold.

No attacker holds a witness's key.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tampered_log import (
    FORGED,
    REWRITES,
    SIZE,
    STOLEN,
    Site,
    Stored,
    edit,
    make_leaf,
    stored,
)

from federation.audit import verify_directory
from federation.audit.storage.location import LogLocation
from protocols.errors import VerificationFailed
from protocols.transparency import (
    SplitView,
    compare_checkpoints,
    parse_add_checkpoint,
    verify_split_view,
)
from protocols.transparency.checkpoints import sign_checkpoint
from protocols.transparency.hashing import leaf_hash
from protocols.transparency.notes import parse_note
from protocols.transparency.prover import Frontier
from tests.log_places import hand


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
