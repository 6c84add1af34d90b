"""`credfed train --events`: every round as it happens, and how the run ended, whatever ended it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federation.cli.endings import INTERRUPTED
from federation.cli.events import Started, event_log
from federation.cli.main import app
from federation.outlook import Standing
from nodes.data_node.agent import DataNodeAgent
from protocols.errors import ConfigurationError, TransportError
from tests.small_federation import write_dataset

STARTED = Started("firms", "scorecard")
STANDING = Standing(1, "opening", ("bank",), 10, 30, 0.5, 1.5, None)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_written_when_its_round_is_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with event_log(path, STARTED) as record:
        assert read(path) == [{"event": "started", "dataset": "firms", "model": "scorecard"}]
        record(STANDING)
        expected = {"event": "round", "round": 1, "phase": "opening", "parties": ["bank"], "bytes": 10}
        timing = {"bytes_total": 30, "seconds": 0.5, "elapsed": 1.5, "seconds_left": None}
        assert read(path)[1:] == [expected | timing]
    assert read(path)[2:] == [{"event": "finished"}]


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (TransportError("tax is gone"), "TRANSPORT", "tax is gone"),
        (KeyboardInterrupt(), "INTERRUPTED", INTERRUPTED),
        (SystemExit(143), "INTERRUPTED", INTERRUPTED),
        (RuntimeError("a secret"), "INTERNAL", "RuntimeError"),
    ],
)
def test_a_run_that_breaks_off_says_so_last(tmp_path: Path, error: BaseException, code: str, text: str) -> None:
    path = tmp_path / "events.jsonl"
    with pytest.raises(type(error)), event_log(path, STARTED):
        raise error
    assert read(path)[-1] == {"event": "failed", "code": code, "text": text}


def test_a_file_that_cannot_be_written_is_the_operators_to_correct(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no/events") as caught, event_log(tmp_path / "no/events", STARTED):
        pass
    assert caught.value.code == "EVENTS_NOT_WRITABLE"
    with event_log(None, STARTED) as record:
        record(STANDING)


@pytest.mark.slow
def test_a_broken_run_leaves_one_line_and_no_folder_and_the_next_is_followed_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out, events = write_dataset(tmp_path / "data"), tmp_path / "out", tmp_path / "events.jsonl"
    command = ["train", "--data", str(data), "--out", str(out), "--min-bin", "20", "--events", str(events)]
    calls: list[bytes] = []

    def failing(agent: DataNodeAgent, parcel: bytes) -> bytes:
        calls.append(parcel)
        if len(calls) == 6:
            raise RuntimeError("the disk is gone")
        return handle(agent, parcel)

    handle = DataNodeAgent.handle
    with monkeypatch.context() as patch:
        patch.setattr(DataNodeAgent, "handle", failing)
        broken = CliRunner().invoke(app, command)
    assert broken.exit_code == 1
    (line,) = broken.stderr.splitlines()
    assert line.startswith("error TRANSPORT: ")
    assert "did not answer (round " in line
    assert "disk" not in line
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir() if path not in (data, events)] == []
    assert read(events)[-1] == {"event": "failed", "code": "TRANSPORT", "text": line.removeprefix("error TRANSPORT: ")}

    whole = CliRunner().invoke(app, command)
    assert whole.exit_code == 0, whole.stderr
    assert (out / "bank" / "model.json").is_file()
    started, *rounds, finished = read(events)
    assert (started["event"], finished["event"]) == ("started", "finished")
    assert [event["round"] for event in rounds] == list(range(len(rounds)))
    assert rounds[0]["phase"] == "labels"
    assert rounds[-1]["bytes_total"] == sum(event["bytes"] for event in rounds) > 100_000
    assert all(event["seconds_left"] >= 0 for event in rounds)
    assert rounds[-1]["seconds_left"] < rounds[0]["seconds_left"]
