"""A grid that looks for replies soon, and tells the parties' work from the engine's time."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.supercore.inflatable.inflatable_utils import ObjectUnavailableError
from flwr.superlink.grid import http_grid

from federation.flower.prompt_grid import AGAIN_SECONDS, TOOK, PromptGrid, ask_again_soon
from federation.grid import WHOLE_BYTES, EmbeddedGrid, parcel_message, reply_parcel
from nodes import flower_relay
from nodes.flower_relay import make_client_app

NODES = {1: "tax", 2: "social"}
WORK_SECONDS = 0.3


class SlowGrid(EmbeddedGrid):
    """A grid whose replies are there only some time after their messages, and which must not be waited in."""

    ready = 0.0

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return super().pull_messages(message_ids) if time.monotonic() > self.ready else []

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        raise AssertionError("Flower's own method waits three seconds a time")


def slow_grid(seconds: float) -> SlowGrid:
    grid = SlowGrid(dict.fromkeys(NODES, make_client_app(lambda data: b"heard " + data)), NODES)
    grid.ready = time.monotonic() + seconds
    return grid


def test_all_replies_come_once_they_are_there() -> None:
    grid = PromptGrid(slow_grid(0.5))
    replies = list(grid.send_and_receive([parcel_message(b"x", node, "1") for node in NODES]))
    assert [reply_parcel(reply) for reply in replies] == [b"heard x", b"heard x"]
    assert grid.carrying_seconds >= 0.4  # no party has said that it worked
    assert [node.name for node in grid.get_nodes()] == list(NODES.values())


def test_a_reply_that_does_not_come_is_waited_for_no_longer_than_asked() -> None:
    grid = PromptGrid(slow_grid(3600))
    assert list(grid.send_and_receive([parcel_message(b"x", 1, "1")], timeout=0.2)) == []


class SayingGrid(EmbeddedGrid):
    """A grid whose replies say what a test wants them to say of their party's work."""

    said: ArrayRecord | MetricRecord | ConfigRecord | None = None

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        time.sleep(WORK_SECONDS)
        replies = list(super().pull_messages(message_ids))
        for reply in replies:
            if self.said is not None:
                reply.content[TOOK] = self.said
        return replies


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        (ConfigRecord({TOOK: WORK_SECONDS}), True),
        (ConfigRecord({TOOK: 1e9}), True),  # no party works longer than its exchange lasts
        (ConfigRecord({TOOK: -1.0}), False),
        (ConfigRecord({TOOK: float("nan")}), False),
        (ConfigRecord({TOOK: [1.0, 2.0]}), False),
        (ConfigRecord({"other": 1.0}), False),
        (ConfigRecord({TOOK: "1"}), False),
        (MetricRecord({TOOK: 1.0}), False),
        (ArrayRecord(), False),
        (None, False),
    ],
)
def test_a_partys_word_about_its_work_is_taken_within_reason(
    said: ArrayRecord | MetricRecord | ConfigRecord | None, believed: bool
) -> None:
    inner = SayingGrid({1: make_client_app(lambda data: data)}, {1: "tax"})
    inner.said = said
    grid = PromptGrid(inner)
    (reply,) = grid.send_and_receive([parcel_message(b"x", 1, "1")])
    assert reply_parcel(reply) == b"x"
    assert grid.carrying_seconds >= 0
    if not believed:
        assert grid.carrying_seconds >= WORK_SECONDS


@pytest.mark.parametrize("size", [1, WHOLE_BYTES + 1])
def test_the_relay_of_a_deployed_party_says_how_long_its_agent_took(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(path: object, parcel: bytes) -> bytes:
        time.sleep(WORK_SECONDS)
        return parcel

    monkeypatch.setattr(flower_relay, "ask_socket", slow)
    inner = EmbeddedGrid({1: flower_relay.make_socket_app()}, {1: "tax"})
    inner._contexts[1].node_config["door"] = "/nowhere"
    grid = PromptGrid(inner)
    started = time.monotonic()
    (reply,) = grid.send_and_receive([parcel_message(bytes(size), 1, "1")])
    assert reply_parcel(reply) == bytes(size)
    assert grid.carrying_seconds <= time.monotonic() - started - WORK_SECONDS
    assert TOOK == flower_relay.TOOK


def test_flowers_own_grid_asks_again_soon_for_a_part_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_grid, "pull_objects", http_grid.pull_objects)
    asked: list[str] = []

    def arriving(part: str) -> bytes:
        asked.append(part)
        if len(asked) < 3:
            raise ObjectUnavailableError(part)
        return b"here"

    ask_again_soon()
    assert http_grid.pull_objects(["part"], arriving) == {"part": b"here"}
    assert http_grid.pull_objects.keywords["initial_backoff"] == AGAIN_SECONDS  # type: ignore[attr-defined]
