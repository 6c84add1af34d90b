"""Objections as the log has them: who must decide, by when, and what became of each."""

from __future__ import annotations

import pytest
from stories import HOUR_MS, START_MS, logged

from federation.audit.alarms import Alarm, AlarmRules, Period, watch
from federation.audit.alarms.facts import facts
from federation.audit.alarms.rules import ObjectionOverdue
from federation.audit.reading.objections import LoggedObjection, ObjectionState, read_objections
from protocols.transparency import Leaf, LeafKind, attributes

DAY_MS = 24 * HOUR_MS
PSEUDONYM = "enterprise-00112233445566778899aabbccddeeff"


def leaf(kind: LeafKind, actor: str, number: int, day: float, values: dict[str, str | int]) -> Leaf:
    return Leaf(
        kind=kind,
        timestamp_ms=START_MS + round(day * DAY_MS),
        actor=actor,
        reference=number.to_bytes(16, "big"),
        attributes=attributes(values),
    )


def filed(number: int, node: str = "tax", day: float = 0) -> Leaf:
    return leaf(LeafKind.OBJECTION, PSEUDONYM, number, day, {"node": node, "code": "RECORD_WRONG", "entry": "ab" * 16})


def decided(number: int, node: str = "tax", day: float = 1, verdict: str = "CORRECTED") -> Leaf:
    return leaf(LeafKind.DECISION, node, number, day, {"decision": verdict, "code": "RECORD_CORRECTED"})


def at(day: float, *leaves: Leaf) -> tuple[LoggedObjection, ...]:
    return read_objections(logged(list(leaves)), START_MS + round(day * DAY_MS))


@pytest.mark.parametrize(
    ("day", "state", "left"),
    [(0, "pending", 20), (0.5, "pending", 20), (19.5, "pending", 1), (20, "pending", 0), (20.01, "overdue", 0)],
)
def test_an_open_objection_counts_down_and_is_overdue_after_twenty_days(day: float, state: str, left: int) -> None:
    (found,) = at(day, filed(1))
    assert (found.state, found.days_left, found.late) == (state, left, state == "overdue")
    assert (found.node, found.ground, found.entry, found.enterprise) == ("tax", "RECORD_WRONG", "ab" * 16, PSEUDONYM)


@pytest.mark.parametrize("verdict", ["CORRECTED", "UPHELD", "REJECTED", "INADMISSIBLE"])
def test_a_decision_ends_the_clock(verdict: str) -> None:
    (found,) = at(300, filed(1), decided(1, verdict=verdict))
    assert (found.state, found.days_left, found.late) == (verdict.lower(), None, False)
    assert (found.leaf, found.decision_leaf, found.reason) == (0, 1, "RECORD_CORRECTED")


def test_a_decision_that_came_late_stays_late() -> None:
    (found,) = at(300, filed(1), decided(1, day=21))
    assert (found.state, found.late) == (ObjectionState.CORRECTED, True)


def test_each_node_decides_for_itself_and_the_first_decision_stands() -> None:
    leaves = (filed(1, "tax"), filed(1, "social"), decided(1, "social", verdict="REJECTED"), decided(1, "social"))
    states = {one.node: one.state for one in at(2, *leaves)}
    assert states == {"tax": "pending", "social": "rejected"}


@pytest.mark.parametrize("stray", [decided(2), decided(1, "social"), decided(1, verdict="FORGOTTEN")])
def test_a_decision_of_another_node_about_another_objection_or_of_no_known_kind_decides_nothing(stray: Leaf) -> None:
    (found,) = at(2, filed(1), stray)
    assert found.state is ObjectionState.PENDING


def test_an_objection_that_is_logged_again_does_not_start_its_clock_anew() -> None:
    (found,) = at(21, filed(1), filed(1, day=15))
    assert found.state is ObjectionState.OVERDUE


def test_a_question_that_is_asked_again_after_an_objection_is_listed_with_it() -> None:
    again = leaf(LeafKind.REQUEST, "bank", 7, 2, {"objection": (1).to_bytes(16, "big").hex()})
    (found,) = at(3, filed(1), decided(1), again)
    assert found.reassessed == (2,)


def overdue(day: float, *leaves: Leaf, days: int = 20, since: float = 0) -> list[Alarm]:
    rules = AlarmRules(unacknowledged=None, reconciliation=False, objection_overdue=ObjectionOverdue(days=days))
    period = Period(START_MS + round(day * DAY_MS), START_MS + round(since * DAY_MS))
    with facts(logged(list(leaves))) as work:
        return watch(work, rules, period)


def test_the_alarm_names_the_node_that_has_not_decided_in_time() -> None:
    assert overdue(20, filed(1)) == []
    (alarm,) = overdue(23.5, filed(1), filed(2, day=10))
    assert (alarm.rule, alarm.party, alarm.first_leaf) == ("objection_overdue", "tax", 0)
    assert (alarm.threshold, alarm.seen) == ("decided in 20 d", "not decided after 23 d")
    assert alarm.about == f"objection {(1).to_bytes(16, 'big').hex()}"


def test_the_alarm_also_names_who_decided_late_and_nobody_who_decided_in_time() -> None:
    (alarm,) = overdue(40, filed(1), decided(1, day=22), filed(2, "social"), decided(2, "social", day=19))
    assert (alarm.party, alarm.seen, alarm.last_leaf) == ("tax", "decided after 22 d", 1)
    assert overdue(40, filed(1), decided(1, day=22), since=30) == []


def test_the_days_are_a_setting() -> None:
    assert len(overdue(6, filed(1), days=5)) == 1
