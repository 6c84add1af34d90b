"""Runs that banks hand in: pieces that may come twice, in whose name, one at a time; and who reads what of them."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.flower import intake as intake_module
from federation.flower.intake import TrainingIntake
from protocols.channel.envelope import Channel, pack_parcel
from protocols.channel.identity import PartyId, PartyKeys
from protocols.channel.wire import encode
from protocols.errors import PeerRefused
from protocols.scorecard.messages import RunFinished
from protocols.stream import runs as r

ICBC, CCB, TAX = PartyId("icbc"), PartyId("ccb"), PartyId("tax")
BANKS = (ICBC, CCB)


class Engine:
    """Stands for Flower: notes what it was given, and can refuse."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.broken = False

    def submit(self, run: str) -> None:
        if self.broken:
            raise subprocess.CalledProcessError(1, "flwr")
        self.runs.append(run)


def newer(party: PartyId, known: int) -> bytes:
    return b"" if known >= 7 else f"roster 7 for {party}".encode()


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def intake(tmp_path: Path, engine: Engine) -> Iterator[TrainingIntake]:
    made = TrainingIntake(tmp_path / "training", engine.submit, lambda party: party in BANKS, newer)
    yield made
    made.close()


def opening_of(party: PartyId, size: int = 5000) -> bytes:
    keys = PartyKeys.generate(party, secrets.token_bytes)
    envelope = Channel(keys, {}, bytes(32)).wrap(party, RunFinished(bytes(32)), sealed=False)
    return pack_parcel((envelope,) * (size // 200 + 1))


def ask(intake: TrainingIntake, party: PartyId, message: r.Asked) -> bytes:
    return asyncio.run(intake.serve(party, encode(message)))


def hand_in(intake: TrainingIntake, party: PartyId, opening: bytes, name: bytes = bytes(16), step: int = 1000) -> str:
    held = r.RunHeld(0, "")
    while not held.run:
        piece = r.OpeningPiece(name, len(opening), held.size, opening[held.size : held.size + step])
        held = r.decode_held(ask(intake, party, piece))
    return held.run


def read(intake: TrainingIntake, party: PartyId, run: str, at: int = 0) -> bytes:
    return r.decode_record(ask(intake, party, r.RecordQuestion(run, at))).lines


def finish(folder: Path, run: str) -> None:
    with (folder / "training" / f"{run}.jsonl").open("a") as file:
        file.write(json.dumps({"end": {"code": ""}}) + "\n")


def refusal(call: object, *arguments: object) -> str:
    with pytest.raises(PeerRefused) as caught:
        call(*arguments)  # type: ignore[operator]
    return str(caught.value.code)


def test_a_bank_that_was_away_gets_the_newest_roster(intake: TrainingIntake) -> None:
    for known, parcel in ((6, b"roster 7 for icbc"), (7, b"")):
        assert r.decode_roster(ask(intake, ICBC, r.RosterQuestion(known))).parcel == parcel
    assert refusal(r.decode_roster, ask(intake, TAX, r.RosterQuestion(0))) == "NOT_A_BANK"


def test_an_opening_comes_whole_and_its_bank_follows_the_run(
    intake: TrainingIntake, engine: Engine, tmp_path: Path
) -> None:
    opening = opening_of(ICBC)
    run = hand_in(intake, ICBC, opening)
    intake.close()
    assert engine.runs == [run]
    assert (tmp_path / "training" / f"{run}.parcel").read_bytes() == opening


def test_a_piece_that_comes_twice_is_kept_once_and_a_run_is_begun_once(
    intake: TrainingIntake, engine: Engine, tmp_path: Path
) -> None:
    opening = opening_of(ICBC)
    first = r.OpeningPiece(bytes(16), len(opening), 0, opening[:700])
    assert r.decode_held(ask(intake, ICBC, first)) == r.RunHeld(700, "")
    assert r.decode_held(ask(intake, ICBC, first)) == r.RunHeld(700, "")
    last = r.OpeningPiece(bytes(16), len(opening), 700, opening[700:])
    begun = r.decode_held(ask(intake, ICBC, last))
    assert begun.run
    assert r.decode_held(ask(intake, ICBC, last)) == begun
    intake.close()
    assert engine.runs == [begun.run]
    assert (tmp_path / "training" / f"{begun.run}.parcel").read_bytes() == opening


def test_a_data_node_hands_nothing_in(intake: TrainingIntake, engine: Engine) -> None:
    assert refusal(hand_in, intake, TAX, opening_of(TAX)) == "NOT_A_BANK"
    assert refusal(read, intake, TAX, "any") == "NOT_A_BANK"


def test_what_another_bank_has_written_is_not_begun(intake: TrainingIntake, engine: Engine, tmp_path: Path) -> None:
    assert refusal(hand_in, intake, CCB, opening_of(ICBC)) == "VERIFICATION_FAILED"
    assert refusal(hand_in, intake, CCB, pack_parcel(()), b"e" * 16) == "VERIFICATION_FAILED"
    intake.close()
    assert engine.runs == []
    assert not list((tmp_path / "training").iterdir())


def test_another_bank_reads_nothing_of_a_run(intake: TrainingIntake) -> None:
    run = hand_in(intake, ICBC, opening_of(ICBC))
    assert refusal(read, intake, CCB, run) == "RUN_UNKNOWN"
    assert refusal(read, intake, ICBC, "no-such-run") == "RUN_UNKNOWN"
    assert refusal(read, intake, ICBC, "") == "RUN_UNKNOWN"
    assert json.loads(read(intake, ICBC, run).splitlines()[0]) == {"bank": ICBC}


def test_one_run_at_a_time_until_it_has_ended_or_is_silent(
    intake: TrainingIntake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = hand_in(intake, ICBC, opening_of(ICBC))
    assert refusal(hand_in, intake, CCB, opening_of(CCB)) == "TRAINING_BUSY"
    finish(tmp_path, run)
    hand_in(intake, CCB, opening_of(CCB), b"a" * 16)
    assert refusal(hand_in, intake, ICBC, opening_of(ICBC), b"b" * 16) == "TRAINING_BUSY"
    monkeypatch.setattr(intake_module, "SILENCE_SECONDS", -1.0)
    hand_in(intake, ICBC, opening_of(ICBC), b"c" * 16)


def test_a_record_is_read_in_whole_lines_from_where_one_stands(intake: TrainingIntake, tmp_path: Path) -> None:
    run = hand_in(intake, ICBC, opening_of(ICBC))
    first = read(intake, ICBC, run)
    with (tmp_path / "training" / f"{run}.jsonl").open("ab") as file:
        file.write(b'{"alive":true}\n{"half')
    assert read(intake, ICBC, run, len(first)) == b'{"alive":true}\n'
    assert read(intake, ICBC, run, len(first) + 15) == b""


def test_an_engine_that_does_not_take_a_run_ends_it_in_the_record(
    intake: TrainingIntake, engine: Engine, tmp_path: Path
) -> None:
    engine.broken = True
    run = hand_in(intake, ICBC, opening_of(ICBC))
    intake.close()
    last = (tmp_path / "training" / f"{run}.jsonl").read_bytes().splitlines()[-1]
    assert json.loads(last)["end"]["code"] == "ENGINE_UNAVAILABLE"
    assert not (tmp_path / "training" / f"{run}.parcel").exists()


@pytest.mark.parametrize("piece", [(10, b""), (4999, b"12"), (1 << 29, b"1")])
def test_pieces_that_do_not_fit_are_refused(intake: TrainingIntake, piece: tuple[int, bytes]) -> None:
    at, data = piece
    ask(intake, ICBC, r.OpeningPiece(bytes(16), 5000, 0, bytes(10)))
    if at == 4999:
        ask(intake, ICBC, r.OpeningPiece(bytes(16), 5000, 10, bytes(4989)))
    answer = ask(intake, ICBC, r.OpeningPiece(bytes(16), 5000, at, data))
    if at > 5000:
        assert r.decode_held(answer) == r.RunHeld(10, "")  # where it stands, and nothing kept
    else:
        assert refusal(r.decode_held, answer) == "UNEXPECTED_MESSAGE"


def test_pieces_of_an_opening_whose_beginning_is_lost_are_refused(intake: TrainingIntake) -> None:
    assert refusal(r.decode_held, ask(intake, ICBC, r.OpeningPiece(bytes(16), 50, 10, b"1"))) == "OPENING_LOST"


@pytest.mark.parametrize("junk", [b"", b"\xc1", b"\x80", encode(r.RunRefused("A"))])
def test_bytes_that_ask_nothing_are_refused(intake: TrainingIntake, junk: bytes) -> None:
    answer = asyncio.run(intake.serve(ICBC, junk))
    assert refusal(r.decode_held, answer) == "MALFORMED_MESSAGE"
