"""Transcript files: what is written is read back, and a file that was damaged or made up is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.common.serde import message_to_proto
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner
from wire_runs import MINIMUM_BIN, Site, Tape, write_dataset

from federation.cli.main import app
from federation.grid import PARCEL, WHOLE_BYTES, parcel_message
from federation.transcript import MAGIC, Transcript, TranscriptRecorder, open_transcript, parcel_in, recording
from protocols.errors import ConfigurationError, MalformedMessage
from protocols.wire_audit import Observation


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return Site(tmp_path_factory.mktemp("wire")).run(0, assessments=2)


def written(tape: Tape) -> bytes:
    file = io.BytesIO()
    recorder = TranscriptRecorder(file)
    parties = sorted({party for party, _, _ in tape.messages})
    recorder.begin(tape.cards, dict(enumerate(parties)))
    for party, inbound, data in tape.messages:
        recorder.observe(parties.index(party), inbound, data)
    recorder.finish()
    return file.getvalue()


def read(data: bytes) -> tuple[int, list[Observation]]:
    transcript = Transcript(io.BytesIO(data), len(data))
    return len(transcript.cards), list(transcript.observations())


def test_what_is_recorded_is_read_back(tape: Tape) -> None:
    cards, observations = read(written(tape))
    assert cards == len(tape.cards)
    assert observations == tape.observations()
    assert all(observation.parcel is not None for observation in observations)


def test_a_transcript_cut_anywhere_is_refused(tape: Tape) -> None:
    data = written(Tape(tape.cards, tape.messages[:3]))
    for length in [*range(64), *range(64, len(data), 4999), len(data) - 1]:
        with pytest.raises(MalformedMessage):
            read(data[:length])


def test_a_transcript_with_a_message_left_out_or_added_is_refused(tape: Tape) -> None:
    data = written(Tape(tape.cards, tape.messages[:3]))
    fewer = written(Tape(tape.cards, tape.messages[:2]))
    end = data[-(len(data) - data.rindex(b"TranscriptEnd")) :]
    with pytest.raises(MalformedMessage):
        read(fewer[: -len(end)] + end)
    with pytest.raises(MalformedMessage):
        read(data + b"\0")
    with pytest.raises(MalformedMessage):
        read(data + data[len(MAGIC) :])


def test_another_version_is_refused(tape: Tape) -> None:
    data = bytearray(written(Tape(tape.cards)))
    data[len(MAGIC) - 1] += 1
    with pytest.raises(MalformedMessage, match="version"):
        read(bytes(data))


@pytest.mark.parametrize("length", [1 << 20, (1 << 30) + 1, (1 << 32) - 1])
def test_a_length_that_the_file_does_not_hold_allocates_nothing(length: int) -> None:
    with pytest.raises(MalformedMessage):
        read(MAGIC + length.to_bytes(4) + b"\x81")


def test_what_passes_before_the_cards_are_known_is_kept_in_its_order(tape: Tape) -> None:
    file = io.BytesIO()
    recorder = TranscriptRecorder(file)
    recorder.observe(2, True, b"one")
    recorder.observe(1, False, b"two")
    recorder.begin(tape.cards, {1: "tax", 2: "bank"})
    recorder.observe(2, False, b"three")
    recorder.finish()
    _, observations = read(file.getvalue())
    assert [(o.party, o.inbound, o.outer) for o in observations] == [
        ("bank", True, b"one"),
        ("tax", False, b"two"),
        ("bank", False, b"three"),
    ]


def test_a_transcript_without_cards_is_never_finished() -> None:
    with pytest.raises(RuntimeError, match="begins with its cards"):
        TranscriptRecorder(io.BytesIO()).finish()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_made_up_bytes_raise_malformed_message_alone(data: bytes) -> None:
    for candidate in (data, MAGIC + data, MAGIC + len(data).to_bytes(4) + data):
        with pytest.raises(MalformedMessage):
            read(candidate)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_byte_is_read_or_refused_but_never_crashes(tape: Tape, data: st.DataObject) -> None:
    whole = written(Tape(tape.cards, tape.messages[:1]))
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    try:
        read(changed)
    except MalformedMessage:
        return


def test_a_recording_that_fails_leaves_no_file(tmp_path: Path, tape: Tape) -> None:
    def interrupted() -> None:
        with recording(tmp_path / "a.transcript") as recorder:
            recorder.begin(tape.cards, {})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigurationError), recording(tmp_path / "none" / "a.transcript"):
        pass
    with pytest.raises(ConfigurationError), open_transcript(tmp_path / "a.transcript"):
        pass


# ---- Flower's own bytes


def flower(content: RecordDict) -> bytes:
    return bytes(message_to_proto(Message(content, 7, MessageType.QUERY, group_id="1")).SerializeToString())


def test_a_message_with_one_parcel_and_nothing_else_carries_it() -> None:
    for parcel in (b"\x01\x02", bytes(WHOLE_BYTES + 1)):
        assert parcel_in(bytes(message_to_proto(parcel_message(parcel, 7, "1")).SerializeToString())) == parcel


def test_anything_beside_the_parcel_or_in_its_place_is_not_taken_for_one() -> None:
    parcel = Array("uint8", (2,), "numpy.ndarray", b"not an array")
    octets = ArrayRecord({PARCEL: Array(np.frombuffer(b"\x01", dtype=np.uint8))})
    extra = ArrayRecord({**octets, "more": octets[PARCEL]})
    for content in (
        RecordDict({}),
        RecordDict({PARCEL: octets, "debug": ConfigRecord({"a": 1.5})}),
        RecordDict({PARCEL: ConfigRecord({"a": 1.5})}),
        RecordDict({PARCEL: ConfigRecord({PARCEL: b"\x01", "a": 1.5})}),
        RecordDict({PARCEL: ConfigRecord({PARCEL: "\x01"})}),
        RecordDict({PARCEL: ConfigRecord({PARCEL: [b"\x01"]})}),
        RecordDict({PARCEL: MetricRecord({PARCEL: 1})}),
        RecordDict({"other": octets}),
        RecordDict({PARCEL: extra}),
        RecordDict({PARCEL: ArrayRecord({PARCEL: parcel})}),
    ):
        assert parcel_in(flower(content)) is None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_may_pass_for_flowers(data: bytes) -> None:
    assert parcel_in(data) is None


# ---- the command line


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["transcript", *arguments])
    return result.exit_code, result.output


def test_check_passes_an_honest_transcript_and_names_its_findings_otherwise(tape: Tape, tmp_path: Path) -> None:
    file = tmp_path / "honest.transcript"
    file.write_bytes(written(tape))
    code, output = run("check", str(file), "--allow-short-keys", "--json")
    document = json.loads(output)
    assert (code, document["ok"]) == (0, True)
    assert document["transcripts"][0]["observations"] == len(tape.messages)
    assert document["transcripts"][0]["accounts"][0]["revealed"]["row_totals"] == 1
    code, output = run("check", str(tmp_path))
    assert code == 1
    assert "KEY_SHORT" in output
    code, output = run("check", str(tmp_path), "--json")
    document = json.loads(output)
    assert (code, document["ok"]) == (1, False)
    finding = document["transcripts"][0]["findings"][0]
    assert finding["code"] == "KEY_SHORT"
    assert finding["sender"] == "bank"
    assert finding["reason"]


def test_check_looks_for_the_values_of_the_node_files(tape: Tape, tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", 2)
    (tmp_path / "a.transcript").write_bytes(written(tape))
    code, _ = run("check", str(tmp_path), "--allow-short-keys", "--data", str(tmp_path / "data"))
    assert code == 0
    value = (tmp_path / "data" / "node_tax.csv").read_text().splitlines()[1].split(",")[1]
    leaky = Tape(tape.cards, [*tape.messages, (tape.messages[0][0], False, f"row 1: {value}".encode())])
    (tmp_path / "a.transcript").write_bytes(written(leaky))
    code, output = run("check", str(tmp_path), "--allow-short-keys", "--data", str(tmp_path / "data"), "--json")
    assert code == 1
    found = {finding["code"] for finding in json.loads(output)["transcripts"][0]["findings"]}
    assert found == {"CANARY", "PAYLOAD_OUTSIDE_PARCEL"}
    assert value not in output, "a finding never repeats what it found"


def test_check_of_nothing_and_of_a_damaged_file_have_their_own_codes(tape: Tape, tmp_path: Path) -> None:
    assert run("check", str(tmp_path))[0] == 2
    assert run("check", str(tmp_path / "missing.transcript"))[0] == 2
    (tmp_path / "cut.transcript").write_bytes(written(tape)[:-1])
    code, output = run("check", str(tmp_path), "--json")
    assert (code, json.loads(output)["error"]["code"]) == (1, "MALFORMED_MESSAGE")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "opening"),
    [((), "RunSpec"), (("--model", "boosting", "--trees", "3"), "BoostingSpec")],
    ids=["scorecard", "boosting"],
)
def test_record_and_check_at_the_length_that_is_deployed(tmp_path: Path, family: tuple[str, ...], opening: str) -> None:
    write_dataset(tmp_path / "data", 2)
    data, out = str(tmp_path / "data"), tmp_path / "run.transcript"
    plan = ("--min-bin", str(MINIMUM_BIN), "--assess", "2", *family)
    code, output = run("record", "--data", data, "--out", str(out), *plan)
    assert code == 0, output
    code, output = run("check", str(out), "--data", data, "--json")
    document = json.loads(output)
    assert (code, document["ok"]) == (0, True), output
    accounts = document["transcripts"][0]["accounts"]
    assert (len(accounts), [account["opening"] for account in accounts].count(opening)) == (3, 1)
    assert ": " in run("check", str(out))[1].split("run ")[1]


@pytest.mark.parametrize("option", [("--trees", "9"), ("--model", "boosting", "--refinements", "1")])
def test_an_option_of_the_other_family_is_refused(tmp_path: Path, option: tuple[str, ...]) -> None:
    out = tmp_path / "run.transcript"
    code, output = run("record", "--data", str(tmp_path), "--out", str(out), *option)
    assert (code, "OTHER_FAMILY" in output, out.exists()) == (2, True, False)
