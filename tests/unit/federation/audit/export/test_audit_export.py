"""An export says what the log says, needs nothing else to be verified, and shows whatever was done to it."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_site import KEYS, SIGNER, Site, make_leaf, make_leaves
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from stories import model_hash, query

from federation.audit import read_log_keys, verify_directory, write_log_keys
from federation.audit.export.checking import verify_export
from federation.audit.export.reading import ExportedLog
from federation.audit.export.writing import export_log
from federation.audit.reading.log_view import StoredLog
from protocols.errors import ConfigurationError, VerificationFailed
from protocols.transparency import LogKeys, NoteSigner, parse_log_proof, verify_consistency
from protocols.transparency.checkpoints import sign_checkpoint
from protocols.transparency.hashing import leaf_hash
from protocols.transparency.prover import Frontier

COSIGNER_KEY = Ed25519PrivateKey.from_private_bytes(b"X" * 32)
WITNESSED, SIZE = 12, 17


@pytest.fixture
def export(site: Site, tmp_path: Path) -> Path:
    """Of a log of which the last leaves are not witnessed yet; one leaf has a sealed body."""
    with site.open() as log:
        log.append([*query(1), *query(2, denying=("tax",)), make_leaf(3, b"sealed bytes"), *make_leaves(4, 6)])
        assert log.size == WITNESSED
        site.witness(log)
        log.append(query(7))
    out = tmp_path / "export"
    manifest = export_log(site.directory, out, verify_directory(site.directory))
    assert (manifest.leaves, manifest.witnessed_size) == (SIZE, WITNESSED)
    return out


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_export_verifies_as_its_log_does(site: Site, export: Path) -> None:
    ours, theirs = verify_export(export), verify_directory(site.directory)
    assert ours.failure is None
    assert (ours.leaves, ours.root, ours.origin) == (theirs.leaves, theirs.root, theirs.origin)
    assert (ours.witnessed_size, ours.cosignatures) == (WITNESSED, 4)
    note = site.witnesses[0].last_note
    assert note is not None
    assert verify_export(export, KEYS, [note]).ok


def test_json_and_csv_tell_the_same(export: Path) -> None:
    lines = rows(export / "leaves.jsonl")
    with (export / "leaves.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["index"] for row in lines] == list(range(SIZE)) == [int(row["index"]) for row in table]
    assert [row["sentence"] for row in lines] == [row["sentence"] for row in table]
    model = model_hash("bank")[:12]
    assert lines[0]["sentence"] == f"bank asked 2 nodes about one enterprise, for assessment, with model {model}"
    assert lines[8]["kind"] == "ACK"


@pytest.mark.parametrize("index", [0, WITNESSED - 1, WITNESSED, SIZE - 1])
def test_every_leaf_has_its_proof(site: Site, export: Path, index: int) -> None:
    stored, exported = StoredLog(site.directory), ExportedLog(export)
    assert exported.leaf(index) == stored.leaf(index)
    assert exported.prove(index) == stored.prove(index)
    proof = parse_log_proof(exported.prove(index).encode())
    keys = KEYS if index < WITNESSED else LogKeys(SIGNER.verifier)
    size = WITNESSED if index < WITNESSED else SIZE
    assert proof.verify(exported.leaf(index).data, keys).checkpoint.size == size
    if index >= WITNESSED:
        with pytest.raises(VerificationFailed):
            proof.verify(exported.leaf(index).data, KEYS)
    stored.close()


def test_both_read_the_same_leaves(site: Site, export: Path) -> None:
    stored, exported = StoredLog(site.directory), ExportedLog(export)
    assert list(stored.leaves()) == list(exported.leaves())
    for log in (stored, exported):
        with pytest.raises(ValueError, match="outside"):
            log.leaf(SIZE)
        with pytest.raises(ValueError, match="outside"):
            log.prove(SIZE)
    stored.close()


def edit_line(path: Path, number: int, change: Callable[[str], str]) -> None:
    lines = path.read_text().splitlines(keepends=True)
    lines[number] = change(lines[number])
    path.write_text("".join(lines))


def drop_line(path: Path, number: int) -> None:
    lines = path.read_text().splitlines(keepends=True)
    del lines[number]
    path.write_text("".join(lines))


def swap_lines(path: Path, number: int) -> None:
    lines = path.read_text().splitlines(keepends=True)
    lines[number : number + 2] = lines[number + 1], lines[number]
    path.write_text("".join(lines))


def swap(text: str, key: str, value: object) -> str:
    row = json.loads(text)
    row[key] = value
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n"


def other_leaf(text: str, export: Path) -> str:
    """Another leaf of the same log under this one's number, its readable fields to match."""
    other = rows(export / "leaves.jsonl")[1]
    other["index"] = json.loads(text)["index"]
    return json.dumps(other, separators=(",", ":")) + "\n"


@pytest.mark.parametrize(
    ("attack", "leaf", "code"),
    [
        (lambda e: edit_line(e / "leaves.jsonl", 3, lambda t: swap(t, "actor", "tax")), 3, "EXPORT_ALTERED"),
        (lambda e: edit_line(e / "leaves.jsonl", 3, lambda t: swap(t, "sentence", "")), 3, "EXPORT_ALTERED"),
        (lambda e: edit_line(e / "leaves.jsonl", 3, lambda t: "{}\n"), 3, "LEAF_MALFORMED"),
        (lambda e: edit_line(e / "leaves.jsonl", 3, lambda t: swap(t, "leaf", "AAAA")), 3, "LEAF_MALFORMED"),
        (lambda e: edit_line(e / "leaves.jsonl", 9, lambda t: swap(t, "body", "AAAA")), 9, "LEAF_MALFORMED"),
        (lambda e: drop_line(e / "leaves.jsonl", 3), 3, "LEAF_MISSING"),
        (lambda e: drop_line(e / "leaves.jsonl", SIZE - 1), SIZE - 1, "LEAF_MISSING"),
        (lambda e: edit_line(e / "leaves.jsonl", 3, lambda t: t + t), 4, "LEAF_MISSING"),  # inserted
        (lambda e: edit_line(e / "leaves.jsonl", 3, lambda t: t + swap(t, "index", 4)), 4, "EXPORT_ALTERED"),
        (lambda e: swap_lines(e / "leaves.jsonl", 3), 3, "LEAF_MISSING"),  # reordered
        (lambda e: [swap_lines(e / name, 3) for name in ("leaves.jsonl", "proofs.jsonl")], 3, "LEAF_MISSING"),
        (lambda e: edit_line(e / "leaves.csv", 4, lambda t: t.replace("coordinator", "tax")), 3, "EXPORT_ALTERED"),
        (lambda e: edit_line(e / "leaves.csv", 0, lambda t: t.upper()), 0, "EXPORT_ALTERED"),
        (lambda e: edit_line(e / "leaves.csv", SIZE, lambda t: t + "=1+1\n"), SIZE, "EXPORT_ALTERED"),
        (lambda e: edit_line(e / "proofs.jsonl", 3, lambda t: swap(t, "path", [])), 3, "LEAF_ALTERED"),
        (lambda e: edit_line(e / "proofs.jsonl", 3, lambda t: swap(t, "tree_size", 5)), 3, "LEAF_ALTERED"),
        (lambda e: edit_line(e / "proofs.jsonl", 3, lambda t: swap(t, "index", 4)), 3, "EXPORT_ALTERED"),
        (lambda e: drop_line(e / "proofs.jsonl", SIZE - 1), SIZE - 1, "LEAF_ALTERED"),
        (lambda e: (e / "checkpoint.txt").unlink(), 0, "LOG_NOT_WITNESSED"),
        (lambda e: (e / "head.txt").write_bytes((e / "checkpoint.txt").read_bytes()), WITNESSED, "LEAF_NOT_SIGNED"),
        (lambda e: (e / "head.txt").write_text("junk"), 0, "CHECKPOINT_INVALID"),
        (lambda e: (e / "extra.txt").write_text("more"), SIZE, "EXPORT_ALTERED"),
        (lambda e: edit_line(e / "manifest.json", 3, lambda t: t.replace(str(SIZE), "3")), SIZE, "EXPORT_ALTERED"),
        (lambda e: (e / "leaves.csv").unlink(), 0, "EXPORT_ALTERED"),
    ],
)
def test_whatever_is_done_to_an_export_shows(
    export: Path, attack: Callable[[Path], object], leaf: int, code: str
) -> None:
    attack(export)
    failure = verify_export(export).failure
    assert failure is not None
    assert (failure.leaf, failure.code) == (leaf, code)


def test_a_leaf_exchanged_for_another_is_named(export: Path) -> None:
    edit_line(export / "leaves.jsonl", 6, lambda text: other_leaf(text, export))
    with (export / "leaves.csv").open(newline="") as file:
        table = file.read().splitlines(keepends=True)
    table[7] = table[2].replace("1,", "6,", 1)
    (export / "leaves.csv").write_text("".join(table))
    failure = verify_export(export).failure
    assert failure is not None
    assert (failure.leaf, failure.code) == (6, "LEAF_ALTERED")


def test_all_leaves_after_a_place_removed_shows(export: Path) -> None:
    for name, head in (("leaves.jsonl", 0), ("leaves.csv", 1), ("proofs.jsonl", 0)):
        lines = (export / name).read_text().splitlines(keepends=True)
        (export / name).write_text("".join(lines[: WITNESSED + head]))
    failure = verify_export(export).failure
    assert failure is not None
    assert (failure.leaf, failure.code) == (WITNESSED, "LEAF_MISSING")


def test_a_verifier_with_its_own_keys_is_not_fooled_by_those_in_the_export(export: Path) -> None:
    stranger = NoteSigner(SIGNER.name, COSIGNER_KEY)
    write_log_keys(export, LogKeys(stranger.verifier))
    assert verify_export(export, KEYS).failure is not None
    failure = verify_export(export).failure
    assert failure is not None
    assert failure.code == "CHECKPOINT_INVALID"


def test_an_export_that_is_signed_again_with_a_stolen_log_key_lacks_the_witnesses(export: Path) -> None:
    """Leaves, proofs, head and checkpoint are made anew over a forged history: the cosignatures cannot be."""
    lines = (export / "leaves.jsonl").read_text().splitlines(keepends=True)[:5]
    table = (export / "leaves.csv").read_text().splitlines(keepends=True)[:6]
    leaves = [base64.b64decode(json.loads(line)["leaf"]) for line in lines]
    frontier = Frontier()
    for leaf in leaves:
        frontier, _ = frontier.push(leaf_hash(leaf))
    (export / "leaves.jsonl").write_text("".join(lines))
    (export / "leaves.csv").write_text("".join(table))
    note = sign_checkpoint(SIGNER, 5, frontier.root())
    (export / "head.txt").write_bytes(note.encode())
    (export / "checkpoint.txt").write_bytes(note.encode())
    failure = verify_export(export, KEYS).failure
    assert failure is not None
    assert (failure.leaf, failure.code) == (0, "LOG_NOT_WITNESSED")


def test_a_known_note_over_more_leaves_shows_a_rolled_back_log(export: Path) -> None:
    known = sign_checkpoint(SIGNER, SIZE + 5, bytes(32)).encode()
    failure = verify_export(export, KEYS, [known]).failure
    assert failure is not None
    assert (failure.leaf, failure.code) == (SIZE, "LEAF_MISSING")
    fork = sign_checkpoint(SIGNER, 5, bytes(32)).encode()
    forked = verify_export(export, KEYS, [fork]).failure
    assert forked is not None
    assert forked.code == "ROOT_MISMATCH"


def test_an_export_is_whole_or_not_there(site: Site, tmp_path: Path) -> None:
    with site.open() as log:
        log.append(make_leaves(0, 5))
        site.witness(log)
    report = verify_directory(site.directory)
    out = tmp_path / "out"

    def fail(index: int) -> None:
        if index == 3:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        export_log(site.directory, out, report, fail)
    assert not out.exists()
    assert not list(tmp_path.glob(".out.*"))
    out.mkdir()
    (out / "precious").write_text("keep")
    with pytest.raises(ConfigurationError, match="not an empty"):
        export_log(site.directory, out, report)
    assert [path.name for path in out.iterdir()] == ["precious"]


def test_a_broken_log_is_not_exported(site: Site, tmp_path: Path) -> None:
    with site.open() as log:
        log.append(make_leaves(0, 5))
    with pytest.raises(ValueError, match="does not verify"):
        export_log(site.directory, tmp_path / "out", verify_directory(site.directory))


def test_keys_read_back(export: Path) -> None:
    assert read_log_keys(export) == KEYS


def test_reading_may_begin_anywhere_in_a_log_and_in_its_export(site: Site, export: Path) -> None:
    stored, exported = StoredLog(site.directory), ExportedLog(export)
    for start in range(SIZE + 2):
        assert [one.index for one in exported.leaves(start)] == list(range(start, SIZE))
        assert list(stored.leaves(start)) == list(exported.leaves(start))
    for log in (stored, exported):
        for outside in (-1, SIZE, SIZE + 9):
            with pytest.raises(ValueError, match="outside"):
                log.leaf(outside)
            with pytest.raises(ValueError, match="outside"):
                log.prove(outside)


def test_a_log_shows_its_checkpoints_and_that_one_extends_the_other(site: Site, export: Path) -> None:
    stored, exported = StoredLog(site.directory), ExportedLog(export)
    (note,) = stored.checkpoints()
    assert list(exported.checkpoints()) == [stored.head, note]
    old, new = stored.root_of(WITNESSED), stored.root_of(SIZE)
    assert old is not None
    assert new == exported.root_of(SIZE) == stored.root
    verify_consistency(WITNESSED, SIZE, old, new, stored.consistency(WITNESSED, SIZE))
    assert stored.root_of(SIZE + 1) is exported.root_of(WITNESSED) is exported.consistency(WITNESSED, SIZE) is None
    with pytest.raises(ValueError, match="not part"):
        stored.consistency(WITNESSED, SIZE + 1)
