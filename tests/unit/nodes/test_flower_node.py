"""The pace of a party's SuperNode: soon while a run is on, seldom otherwise, and no process that asks in vain."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from nodes import flower_node
from nodes.flower_node import Pace, Wakening

POLL_SECONDS = 3.0


class Clock:
    """A clock that goes on only while somebody sleeps, or is made to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(flower_node, "time", clock)
    return clock


def test_a_node_asks_soon_after_a_message_and_seldom_long_after_it(clock: Clock) -> None:
    pace = Pace(lambda: None, lambda: None)
    for _ in range(40):
        pace.sleep(POLL_SECONDS)
    assert clock.slept[0] == flower_node.SOONEST_SECONDS
    assert clock.slept == sorted(clock.slept)
    assert clock.slept[-1] == POLL_SECONDS
    pace.sleep(0.5)
    pace.sleep(POLL_SECONDS)
    assert clock.slept[-1] == flower_node.SOONEST_SECONDS


def test_a_node_whose_question_was_held_asks_again_at_once(clock: Clock) -> None:
    pace = Pace(lambda: None, lambda: None)
    for _ in range(40):
        pace.sleep(POLL_SECONDS)
    clock.now += POLL_SECONDS  # the SuperLink has held the question
    pace.sleep(POLL_SECONDS)
    assert clock.slept[-1] == 0


def test_whoever_executes_tasks_is_woken_while_a_message_is_worked_on(clock: Clock) -> None:
    told: list[float] = []
    pace = Pace(lambda: told.append(clock.now), lambda: None)
    pace.sleep(POLL_SECONDS)
    assert told == []
    pace.sleep(0.5)
    assert len(told) == 1


def test_a_node_at_rest_ends_when_its_key_was_replaced_and_not_between_messages(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", ended.append)
    key = tmp_path / "supernode.key"
    key.write_text("first")
    os.utime(key, ns=(1, 1))
    pace = Pace(lambda: None, flower_node.ends_when_replaced(key))
    while clock.now < 2 * flower_node.RESTING_SECONDS:
        pace.sleep(POLL_SECONDS)
    assert ended == []
    key.write_text("second")
    pace.sleep(0.5)  # a message is worked on
    while clock.now < 2.9 * flower_node.RESTING_SECONDS:
        pace.sleep(POLL_SECONDS)
    assert ended == []
    while clock.now < 4 * flower_node.RESTING_SECONDS:
        pace.sleep(POLL_SECONDS)
    assert signal.SIGTERM in ended


def test_a_wakening_is_heard_once_whenever_it_came_and_never_blocks() -> None:
    wakening = Wakening()
    for _ in range(1 << 17):  # more than a pipe holds
        wakening.tell()
    started = time.monotonic()
    wakening.wait(3600)
    assert time.monotonic() - started < 60
    started = time.monotonic()
    wakening.wait(0.2)
    assert time.monotonic() - started >= 0.19
