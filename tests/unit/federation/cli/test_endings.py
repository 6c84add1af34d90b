"""A command that is told to stop puts away what it has begun, keys and all, and says so."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federation.cli.endings import INTERRUPTED, signals_raised
from federation.cli.main import app
from federation.cli.workspace import whole_folder
from nodes.data_node.agent import DataNodeAgent
from tests.small_federation import quick_keys, write_dataset

ASKING = (signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", ASKING)
def test_a_signal_leaves_nothing_of_a_folder(tmp_path: Path, number: signal.Signals) -> None:
    def told_to_stop() -> None:
        with whole_folder(tmp_path / "a" / "out") as folder:
            (folder / "party.key").write_text("secret")
            os.kill(os.getpid(), number)

    with pytest.raises(SystemExit) as ended:
        told_to_stop()
    assert ended.value.code == 128 + number
    assert not [*tmp_path.iterdir()]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_second_signal_does_not_stop_the_tidying() -> None:
    tidied = []

    def told_twice() -> None:
        with signals_raised():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                tidied.append(True)

    with pytest.raises(SystemExit):
        told_twice()
    assert tidied


@pytest.mark.parametrize("number", ASKING)
def test_a_signal_that_is_ignored_stays_so(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with signals_raised():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_interrupted_says_so_and_leaves_no_half_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    data, out, events = write_dataset(tmp_path / "data"), tmp_path / "out", tmp_path / "events.jsonl"
    told = ["train", "--data", str(data), "--out", str(out), "--min-bin", "20", "--events", str(events)]
    handle, calls = DataNodeAgent.handle, [0]

    def interrupted(agent: DataNodeAgent, parcel: bytes) -> bytes:
        calls[0] += 1
        if calls[0] == 6:
            os.kill(os.getpid(), number)
        return handle(agent, parcel)

    monkeypatch.setattr(DataNodeAgent, "handle", interrupted)
    with quick_keys():
        ended = CliRunner().invoke(app, told)
    assert ended.exit_code == 128 + number
    assert ended.stderr.split("\n")[0] == INTERRUPTED
    assert [path.name for path in tmp_path.iterdir() if path not in (data, events)] == []
    last = json.loads(events.read_text().splitlines()[-1])
    assert last == {"event": "failed", "code": "INTERRUPTED", "text": INTERRUPTED}
