"""Banks that together cover one enterprise with questions: each alone looks harmless, and no tag tells them apart."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from federation.audit.alarms import Alarm, AlarmRules, Period, watch
from federation.audit.alarms.facts import facts
from federation.audit.alarms.rules import Requery
from federation.audit.reading.log_view import StoredLog
from federation.local.federation import LocalFederation
from nodes.keystore import create_party
from nodes.ledger import Answer
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import encode
from protocols.transparency.leaves import LeafKind
from tests.conftest import TrainedFederation
from tests.small_federation import NOW

OTHERS = [PartyId(f"bank_{number}") for number in range(4)]
TAX = PartyId("tax")
DAY = 86_400


@pytest.fixture
def federation(federation_folder: Path) -> Iterator[LocalFederation]:
    """The trained federation with four more banks: five, from which on a node speaks of many."""
    for name in OTHERS:
        card = create_party(federation_folder / name, name, PartyRole.BANK, None)
        (federation_folder / "cards" / f"{name}.card").write_bytes(encode(card))
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        yield federation


def asked(federation: LocalFederation, enterprise: str, bank: str, days_ago: int = 0) -> None:
    """Put on the tax office's record that another bank asked, and was denied."""
    answer = Answer(
        query=secrets.token_bytes(16),
        transcript=bytes(32),
        bank=bank,
        subject=enterprise,
        nodes=bytes(32),
        model=bytes(32),
        at=NOW - days_ago * DAY,
        rule="",
        code="NODE_DENIED",
        response=b"",
    )
    federation._sites[TAX].ledger.answers.deny(answer)


def crowded(federation: LocalFederation, start: int) -> dict[str, object]:
    """What the leaves from `start` on say of crowds, by who says it."""
    leaves = [entry.leaf for entry in federation.log.entries(start)]
    return {leaf.actor: dict(leaf.attributes)["crowded"] for leaf in leaves if "crowded" in dict(leaf.attributes)}


def alarms(federation: LocalFederation) -> list[Alarm]:
    with closing(StoredLog(federation.folder)) as log, facts(log.leaves()) as work:
        found = watch(work, AlarmRules(), Period(NOW * 1000))
    return [alarm for alarm in found if alarm.rule == "many_banks"]


def test_five_banks_that_ask_about_one_enterprise_are_an_alarm_that_names_it_to_nobody(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    enterprise, start = trained.ids[0], federation.log.size
    for bank in OTHERS:
        asked(federation, enterprise, bank)
    (result,) = federation.assess([enterprise])
    assert result.status == "ok"
    assert crowded(federation, start) == {TAX: 1}
    (alarm,) = alarms(federation)
    assert (alarm.party, alarm.about, alarm.seen) == ("bank", "", "1 enterprises that many banks ask about in 1 d")
    (leaf,) = [e.leaf for e in federation.log.entries(start) if e.leaf.actor == TAX and e.leaf.kind is LeafKind.RELEASE]
    assert enterprise.encode() not in encode_all(leaf.body, leaf.attributes)
    assert not any(bank.encode() in encode_all(leaf.body, leaf.attributes) for bank in OTHERS)


def encode_all(body: bytes, attributes: tuple[tuple[str, str | int], ...]) -> bytes:
    return body + repr(attributes).encode()


def test_one_bank_fewer_another_enterprise_or_long_ago_is_no_crowd(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start = federation.log.size
    for bank in OTHERS[:3]:
        asked(federation, trained.ids[0], bank)
        asked(federation, trained.ids[0], bank)  # the same bank again is no other bank
        asked(federation, trained.ids[1], bank)
    asked(federation, trained.ids[2], OTHERS[3])
    asked(federation, trained.ids[1], OTHERS[3], days_ago=30)
    federation.assess(trained.ids[:2])
    assert crowded(federation, start) == {}
    assert alarms(federation) == []


def test_a_batch_counts_its_crowded_enterprises(federation: LocalFederation, trained: TrainedFederation) -> None:
    start = federation.log.size
    for enterprise in trained.ids[:3]:
        for bank in OTHERS:
            asked(federation, enterprise, bank, days_ago=29)
    federation.assess(trained.ids[:20])
    assert crowded(federation, start) == {TAX: 3}
    (alarm,) = alarms(federation)
    assert alarm.seen.startswith("3 enterprises")


def test_one_enterprise_asked_about_again_and_again_in_batches_does_not_hide_among_the_others(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    for start in (0, 19, 38):
        federation.assess([trained.ids[0], *trained.ids[start + 1 : start + 20]])
    with closing(StoredLog(federation.folder)) as log, facts(log.leaves()) as work:
        found = watch(work, AlarmRules(requery=Requery(queries=3)), Period(NOW * 1000))
    (alarm,) = [alarm for alarm in found if alarm.rule == "requery"]
    assert alarm.seen == "3 queries about one enterprise in 30 d"


def test_where_fewer_banks_are_known_nothing_is_counted(
    federation_folder: Path, trained: TrainedFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalFederation(federation_folder, clock=lambda: NOW) as alone:
        askers = alone._sites[TAX].ledger.askers
        monkeypatch.setattr(type(askers), "banks", lambda self, subject, since: pytest.fail("counted"))
        (result,) = alone.assess(trained.ids[:1])
        assert result.status == "ok"
