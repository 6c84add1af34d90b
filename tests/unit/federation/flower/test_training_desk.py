"""The coordinator's desk for training: what it says of runs that it has not begun, and what keeps a record alive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from flwr.app import Message
from flwr.superlink.grid import http_grid

from federation.flower import desk_messages as d
from federation.flower import serving
from federation.flower.desk import RECORDS, TrainingDesk
from federation.flower.serving import Desk
from federation.grid import EmbeddedGrid
from federation.local.federation import LocalFederation
from federation.local.layout import BANK, COORDINATOR
from federation.traffic import RoundEvent, Traffic
from nodes.bank.training.runs import TrainingTerms
from nodes.flower_relay import make_client_app
from protocols.channel.envelope import pack_parcel
from protocols.errors import PeerRefused, TransportError
from tests.small_federation import MINIMUM_BIN, NODES, PLAN, default_split

RUN = "a-run"
PARTIES = (BANK, *NODES)
END = d.End("", "", {}, {}, 1, {})


@pytest.fixture
def desk(federation_folder: Path) -> Iterator[tuple[TrainingDesk, Path]]:
    """A desk over a real coordinator and log, and the folder of its records; one run was asked for."""
    records = federation_folder / COORDINATOR / RECORDS
    records.mkdir(exist_ok=True)
    with LocalFederation(federation_folder) as federation:
        (records / f"{RUN}.parcel").write_bytes(opening(federation))
        made = TrainingDesk(records.parent, federation.coordinator)
        yield made, records
        made.close()


def opening(federation: LocalFederation) -> bytes:
    """The parcel with which the bank asks for a run of all nodes."""
    split = default_split(federation)
    terms = TrainingTerms(federation.node_entries(), minimum_bin=MINIMUM_BIN, plan=PLAN)
    federation.bank.open_training(split, terms, federation.training_consent(BANK, split))
    return federation.bank.collect()


def ask(desk: TrainingDesk, request: d.Request) -> d.Answer:
    return d.decode_answer(asyncio.run(desk.serve(d.encode(request))))


def lines(records: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (records / f"{RUN}.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_run_is_begun_once_and_its_record_grows(desk: tuple[TrainingDesk, Path]) -> None:
    made, records = desk
    begun = ask(made, d.Begin(RUN))
    assert isinstance(begun, d.Parties)
    assert (begun.first, set(begun.parties)) == (BANK, {BANK, *NODES})
    assert ask(made, d.Alive(RUN)) == d.Noted()
    assert ask(made, d.Report(RUN, RoundEvent(1, "histograms", ("tax",), 10, 0.5))) == d.Noted()
    assert ask(made, d.Finished(RUN, END)) == d.Noted()
    assert [next(iter(line)) for line in lines(records)] == ["alive", "round", "end"]
    assert ask(made, d.Begin(RUN)) == d.Refused("RUN_UNKNOWN", "nobody has asked for this run")


def test_a_run_that_an_earlier_coordinator_began_is_lost_and_says_so(desk: tuple[TrainingDesk, Path]) -> None:
    made, records = desk
    for request in (d.Route(RUN, {BANK: pack_parcel(())}), d.Alive(RUN)):
        answer = ask(made, request)
        assert isinstance(answer, d.Refused)
        assert answer.code == "RUN_LOST"
    assert ask(made, d.Finished(RUN, d.End("RUN_LOST", "why", {}, {}, 1, {}))) == d.Noted()
    (line,) = lines(records)
    assert line["end"]["code"] == "RUN_LOST"  # type: ignore[index]


def test_only_a_sign_of_life_is_taken_for_one() -> None:
    assert d.is_sign_of_life(d.encode(d.Alive(RUN)))
    assert not d.is_sign_of_life(d.encode(d.Begin(RUN)))
    assert not d.is_sign_of_life(d.encode(d.Route(RUN, {BANK: bytes(10_000)})))
    assert not d.is_sign_of_life(b"\xc1")


def test_a_desk_that_is_away_for_a_moment_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "RETRY_SECONDS", 0.01)
    calls = []

    def bring(request: bytes) -> bytes:
        calls.append(request)
        if len(calls) < 3:
            raise ConnectionRefusedError
        return d.encode(d.Noted())

    Desk(bring, RUN).finish(Traffic(), 0.0)
    assert len(calls) == 3
    assert len(set(calls)) == 1


def test_a_desk_that_stays_away_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(serving, "DESK_SECONDS", 0.05)

    def bring(request: bytes) -> bytes:
        raise ConnectionRefusedError

    desk = Desk(bring, RUN)
    desk.alive()  # not worth an error
    with pytest.raises(TransportError) as caught:
        desk.begin()
    assert caught.value.code == "DESK_UNAVAILABLE"


class WithoutTax(EmbeddedGrid):
    """A grid over which the tax office takes messages, and never replies."""

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        tax = next(number for number, name in enumerate(PARTIES) if name == "tax")
        return [reply for reply in super().pull_messages(message_ids) if reply.metadata.src_node_id != tax]


def test_a_party_that_hangs_ends_the_run_and_is_named(
    desk: tuple[TrainingDesk, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "ROUND_SECONDS", 0.3)
    monkeypatch.setattr(http_grid, "pull_objects", http_grid.pull_objects)
    made, records = desk
    names = dict(enumerate(PARTIES))
    grid = WithoutTax(dict.fromkeys(names, make_client_app(lambda data: pack_parcel(()))), names)
    serving.conduct(grid, Desk(lambda request: asyncio.run(made.serve(request)), RUN))
    end = lines(records)[-1]["end"]
    assert isinstance(end, dict)
    assert end["code"] == "TRANSPORT"
    assert end["text"].startswith("tax did not answer (round 1")


def test_a_refusal_of_the_desk_keeps_its_code() -> None:
    with pytest.raises(PeerRefused) as caught:
        Desk(lambda request: d.encode(d.Refused("RUN_LOST", "why")), RUN).begin()
    assert caught.value.code == "RUN_LOST"
