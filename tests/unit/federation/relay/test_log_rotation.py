"""The log's key is replaced while it grows; a crash at any point, a stolen key and a lost file change no history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from federation.audit import AuditLog, read_log_keys, read_log_signer
from federation.audit.export.writing import export_log
from federation.audit.log.keys import SUCCESSION_FILE, draw_next_signer, read_successions
from federation.audit.verify import verify_log
from federation.cli.audit.logs import judge
from federation.local.layout import COORDINATOR
from federation.relay import log_rotation
from federation.relay.log_rotation import LogRotation
from nodes.keystore import read_roster
from protocols.channel.identity import PartyId
from protocols.errors import ConfigurationError, VerificationFailed
from protocols.transparency.checkpoints import verify_log_signature
from protocols.transparency.leaves import Leaf, LeafKind, attributes
from protocols.transparency.notes import NoteSigner, VerifierKey, parse_note
from protocols.transparency.succession import follow
from tests.enrolling import Office, make_office

DEADLINE = 60.0


def append(log: AuditLog) -> bytes:
    """Append one leaf; return the note of its receipt."""
    leaf = Leaf(kind=LeafKind.KEY, timestamp_ms=1, actor="tax", attributes=attributes({"role": "tls"}))
    return log.append([leaf])[0].note


def rotation_of(office: Office) -> LogRotation:
    def record(actor: str, values: dict[str, str | int]) -> None:
        office.leaves.append((actor, values))
        office.log.append([Leaf(kind=LeafKind.KEY, timestamp_ms=0, actor=actor, attributes=attributes(values))])

    return LogRotation(office.home, COORDINATOR, office.log, office.registrar, record)


def rotate(office: Office, between: Callable[[], object] = lambda: None) -> None:
    """Let the coordinator take over a next key; `between` happens when everybody is told of it, before it signs."""
    told: list[PartyId | None] = []

    async def scene() -> None:
        async def tell(changed: PartyId | None) -> None:
            told.append(changed)
            if len(told) == 1:
                between()
            else:
                running.cancel()

        running = asyncio.ensure_future(rotation_of(office).run(tell))
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(running, return_exceptions=True)
        if not running.cancelled():
            running.result()

    asyncio.run(scene())


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return make_office(tmp_path / "coordinator")


def first_key(office: Office) -> VerifierKey:
    """Return what a party has pinned that joined before all rotations."""
    return read_log_signer(office.home).verifier


def present_key(office: Office, pinned: VerifierKey) -> VerifierKey:
    """Return the log's key as a party knows it by the newest roster."""
    signed = read_roster(office.home / "cards")
    assert signed is not None
    return follow(pinned, signed.roster.successions)


def test_a_party_believes_receipts_before_between_and_after(office: Office) -> None:
    pinned, notes = first_key(office), [append(office.log)]
    draw_next_signer(office.home)
    rotate(office, lambda: notes.append(append(office.log)))
    notes.append(append(office.log))
    for note in notes:
        verify_log_signature(parse_note(note), present_key(office, pinned))
    with pytest.raises(VerificationFailed):
        verify_log_signature(parse_note(notes[2]), pinned)
    newest = read_log_keys(office.home).log
    assert newest.vkey() != pinned.vkey()
    roster = read_roster(office.home / "cards")
    assert roster is not None
    assert roster.roster.log == newest.vkey()
    steps = [values["step"] for _, values in office.leaves if values["role"] == "log"]
    assert steps == ["named", "rotated"]


def test_the_log_verifies_across_rotations_by_the_first_key_and_by_the_last(office: Office, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    (first / "log.pub").write_text(first_key(office).vkey() + "\n")
    (first / "witnesses.txt").write_text("")
    for _ in range(3):
        append(office.log)
        office.log.checkpoint()
        draw_next_signer(office.home)
        rotate(office)
    append(office.log)
    office.log.close()
    last = tmp_path / "last"
    last.mkdir()
    for name in ("log.pub", "witnesses.txt"):
        (last / name).write_bytes((office.home / name).read_bytes())
    report = judge(office.home)
    assert (report.ok, report.checkpoints) == (True, 3)
    export_log(office.home, tmp_path / "export", report)
    for place in (office.home, tmp_path / "export"):
        for keys in (None, first, last):
            assert judge(place, keys).ok
    with AuditLog(office.home / "log.sqlite", read_log_signer(office.home)) as log:
        append(log)
    assert judge(office.home).ok


def test_without_the_words_an_old_checkpoint_is_a_stranger_s(office: Office) -> None:
    append(office.log)
    office.log.checkpoint()
    draw_next_signer(office.home)
    rotate(office)
    office.log.close()
    (office.home / SUCCESSION_FILE).unlink()
    failure = judge(office.home).failure
    assert failure is not None
    assert failure.code == "CHECKPOINT_INVALID"


def test_the_replaced_key_signs_nothing_more(office: Office) -> None:
    stolen = read_log_signer(office.home).key
    append(office.log)
    draw_next_signer(office.home)
    rotate(office)
    name, size = office.log.keys.log.name, office.log.size
    office.log.close()
    with pytest.raises(VerificationFailed):
        AuditLog(office.home / "log.sqlite", NoteSigner(name, stolen))
    forged = NoteSigner(name, stolen).sign(f"{name}\n{size + 1}\n{parse_note_root(office)}\n").encode()
    with pytest.raises(VerificationFailed) as refused:
        verify_log(office.home / "log.sqlite", read_log_keys(office.home), [forged])
    assert refused.value.code == "KEY_REPLACED"


def parse_note_root(office: Office) -> str:
    """Return some root, as a note writes it."""
    with AuditLog(office.home / "log.sqlite", read_log_signer(office.home)) as log:
        return parse_note(log.checkpoint()).text.split("\n")[2]


@pytest.mark.parametrize("point", ["add_succession", "finish_succession", "signer_of"])
def test_a_crash_at_any_point_is_finished_by_the_next_start(
    office: Office, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(office.log)
    draw_next_signer(office.home)
    before = read_log_keys(office.home).log.vkey()

    def crash(*_: object) -> None:
        raise OSError("the power fails")

    with pytest.raises(OSError, match="power"):
        rotate(office, lambda: monkeypatch.setattr(log_rotation, point, crash))
    monkeypatch.undo()
    office.log.close()
    with AuditLog(office.home / "log.sqlite", read_log_signer(office.home)) as log:
        append(log)
    assert judge(office.home).ok
    changed = point != "add_succession"  # the word of the next key, since when it signs, decides
    assert (read_log_signer(office.home).verifier.vkey() != before) is changed
    assert (office.home / "log.key.next").exists() is not changed
    office.log = AuditLog(office.home / "log.sqlite", read_log_signer(office.home))
    if not changed:
        rotate(office)
        append(office.log)
    assert len(read_successions(office.home)) == 1
    office.log.close()
    assert judge(office.home).ok


def test_one_rotation_at_a_time(office: Office) -> None:
    draw_next_signer(office.home)
    with pytest.raises(ConfigurationError) as refused:
        draw_next_signer(office.home)
    assert refused.value.code == "ROTATION_PENDING"
