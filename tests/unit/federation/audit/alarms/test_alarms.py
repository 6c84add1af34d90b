"""Each rule fires at its threshold, names what was seen between which leaves, and is silent one below it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from questions import DAY_MS, LATER, NOON_MS, query
from stories import HOUR_MS, NODES, START_MS, logged, model_hash

from federation.audit.alarms import Alarm, AlarmRules, Period, watch
from federation.audit.alarms.facts import facts
from federation.audit.alarms.rules import (
    Bulk,
    ConsentDenials,
    ConsentReuse,
    DenialRate,
    OffHours,
    Requery,
    Sequential,
    SilentNode,
    SlowNode,
    Unacknowledged,
)
from federation.audit.reconciliation.reconcile import Reconciliation, reconcile
from protocols.transparency import Leaf

SECOND_MS = 1000
OFF = AlarmRules(
    bulk=None,
    sequential=None,
    off_hours=None,
    consent_denials=None,
    consent_reuse=None,
    requery=None,
    denial_rate=None,
    slow_node=None,
    silent_node=None,
    unacknowledged=None,
    reconciliation=False,
)


def alarms(queries: Sequence[list[Leaf]], rules: AlarmRules, period: Period = LATER) -> list[Alarm]:
    leaves = [one for whole in queries for one in whole]
    fits = reconcile(logged(leaves), {}) if rules.reconciliation else Reconciliation(0, ())
    with facts(logged(leaves), period.until_ms) as work:
        return watch(work, rules, period, fits.discrepancies)


def rules(**on: object) -> AlarmRules:
    """Rules of which only those given are on."""
    return AlarmRules(**{**{name: getattr(OFF, name) for name in OFF.__struct_fields__}, **on})  # type: ignore[arg-type]


def several(count: int, apart_ms: int = 60_000, **terms: object) -> list[list[Leaf]]:
    return [query(number, NOON_MS + number * apart_ms, **terms) for number in range(count)]  # type: ignore[arg-type]


def test_bulk_scraping_is_seen_within_any_hour_also_across_its_turn() -> None:
    bulk = rules(bulk=Bulk(per_hour=5, per_day=1000))
    (alarm,) = alarms(several(5, 14 * 60_000), bulk)
    assert (alarm.rule, alarm.party) == ("bulk", "bank")
    assert (alarm.threshold, alarm.seen) == ("5 enterprises in 1 h", "5 enterprises in 1 h")
    assert (alarm.first_leaf, alarm.last_leaf) == (0, 20)
    assert (alarm.first_time, alarm.last_time) == ("2026-03-01T12:00:00.000Z", "2026-03-01T12:56:00.000Z")
    assert alarms(several(5, 15 * 60_000), bulk) == []
    assert alarms(several(4), bulk) == []


def test_the_enterprises_of_a_batch_count_each() -> None:
    bulk = rules(bulk=Bulk(per_hour=1000, per_day=30))
    (alarm,) = alarms(several(3, HOUR_MS, enterprises=10), bulk)
    assert alarm.seen == "30 enterprises in 1 d"
    assert alarms([*several(2, HOUR_MS, enterprises=10), query(9, NOON_MS, enterprises=9)], bulk) == []


def test_two_banks_are_not_added_up() -> None:
    mixed = [*several(4), *(query(10 + n, NOON_MS, bank="other") for n in range(4))]
    assert alarms(mixed, rules(bulk=Bulk(per_hour=5, per_day=5))) == []


def test_a_bank_that_reuses_its_query_id_still_counts_each_request() -> None:
    (alarm,) = alarms([query(1)] * 5, rules(bulk=Bulk(per_hour=5)))
    assert alarm.seen == "5 enterprises in 1 h"


def test_a_burst_is_one_alarm_and_two_bursts_are_two() -> None:
    early, late = several(8), [query(50 + n, NOON_MS + DAY_MS) for n in range(6)]
    found = alarms([*early, *late], rules(bulk=Bulk(per_hour=5, per_day=1000)))
    assert [(one.seen, one.first_leaf, one.last_leaf) for one in found] == [
        ("8 enterprises in 1 h", 0, 35),
        ("6 enterprises in 1 h", 40, 65),
    ]


def test_a_program_that_walks_a_list_below_the_bulk_threshold() -> None:
    walk = rules(sequential=Sequential(queries=4, gap_seconds=10))
    (alarm,) = alarms(several(4, 10 * SECOND_MS), walk)
    assert (alarm.rule, alarm.seen, alarm.last_leaf) == ("sequential", "4 queries at most 10 s apart", 15)
    assert alarms(several(3, 10 * SECOND_MS), walk) == []
    assert alarms(several(4, 10 * SECOND_MS + 1), walk) == []


@pytest.mark.parametrize(
    ("hour", "off"), [(22, True), (6, True), (7, False), (21, False), (7 + 4 * 24, False), (7 + 5 * 24, True)]
)
def test_off_hours_are_by_the_banks_clock(hour: int, off: bool) -> None:
    monday = START_MS + DAY_MS - 8 * HOUR_MS  # 00:00 in China
    asked = [query(n, monday + hour * HOUR_MS) for n in range(3)]
    assert [one.rule for one in alarms(asked, rules(off_hours=OffHours(enterprises=3)))] == ["off_hours"] * off
    assert alarms(asked, rules(off_hours=OffHours(enterprises=4))) == []


def test_weekends_may_be_working_days() -> None:
    found = several(3)
    assert len(alarms(found, rules(off_hours=OffHours(enterprises=3)))) == 1
    assert alarms(found, rules(off_hours=OffHours(enterprises=3, weekends=False))) == []


@pytest.mark.parametrize("code", ["CONSENT_MISSING", "CONSENT_EXPIRED", "CONSENT_OVERUSED"])
def test_consents_missing_expired_or_overused_are_counted_by_query(code: str) -> None:
    consents = rules(consent_denials=ConsentDenials(per_day={code: 3, "OTHER": 1}))
    denied = several(3, denying=dict.fromkeys(NODES, code))
    (alarm,) = alarms(denied, consents)
    assert (alarm.rule, alarm.party, alarm.seen) == ("consent_denials", "bank", f"3 queries denied {code} in 1 d")
    assert alarms(denied[:2], consents) == []


def test_one_consent_shown_again_and_again() -> None:
    reuse = rules(consent_reuse=ConsentReuse(queries=3, days=2))
    (alarm,) = alarms(several(3, DAY_MS - 1, consent="a" * 64), reuse)
    assert (alarm.rule, alarm.party, alarm.about) == ("consent_reuse", "bank", "consent " + "a" * 64)
    assert alarms(several(3, DAY_MS, consent="a" * 64), reuse) == []
    assert alarms([query(n, consent=c * 64) for n, c in enumerate("abab")], reuse) == []


def test_one_enterprise_asked_about_again_and_again() -> None:
    again = rules(requery=Requery(queries=3, days=30))
    (alarm,) = alarms(several(3, DAY_MS, tag=b"t" * 32), again)
    assert (alarm.about, alarm.seen) == ("enterprise " + (b"t" * 32).hex(), "3 queries about one enterprise in 30 d")
    assert alarms([query(n, tag=t * 32) for n, t in enumerate((b"t", b"u", b"t", b"u"))], again) == []


def test_a_high_share_of_denials() -> None:
    rate = rules(denial_rate=DenialRate(share=0.5, enterprises=4))
    good, bad = several(2), several(2, denying={NODES[0]: "PURPOSE_DENIED"})
    (alarm,) = alarms([*good, *bad], rate)
    assert (alarm.rule, alarm.seen) == ("denial_rate", "2 of 4 enterprises denied")
    assert alarms([*good, query(9), *bad], rate) == []
    assert alarms([*good[:1], *bad], rate) == []


def test_denials_inside_a_batch_count() -> None:
    rate = rules(denial_rate=DenialRate(share=0.5, enterprises=10))
    (alarm,) = alarms([query(1, enterprises=10, denied=5)], rate)
    assert alarm.seen == "5 of 10 enterprises denied"
    assert alarms([query(1, enterprises=10, denied=4)], rate) == []


def test_a_node_that_is_always_slow() -> None:
    slow = rules(slow_node=SlowNode(seconds=30, share=1.0, answers=3))
    found = alarms(several(3, takes=30 * SECOND_MS), slow)
    assert [(one.party, one.seen) for one in found] == [
        (node, "3 of 3 answers after 30 s or more") for node in sorted(NODES)
    ]
    assert alarms(several(3, takes=30 * SECOND_MS - 1), slow) == []
    assert alarms(several(2, takes=30 * SECOND_MS), slow) == []


def test_batches_are_neither_a_walk_nor_slow() -> None:
    batches = several(3, SECOND_MS, enterprises=9, takes=30 * SECOND_MS)
    assert alarms(batches, rules(sequential=Sequential(queries=3), slow_node=SlowNode(answers=3))) == []


def test_a_node_that_stops_answering_is_named() -> None:
    silence = rules(silent_node=SilentNode(share=0.75, queries=4))
    answered, quiet = several(1), [query(5 + n, NOON_MS + n, silent=NODES[:1]) for n in range(3)]
    (alarm,) = alarms([*answered, *quiet], silence)
    assert (alarm.rule, alarm.party, alarm.seen) == ("silent_node", NODES[0], "3 of 4 queries not answered")
    assert alarms([*answered, *quiet[:2]], silence) == []


def test_a_node_that_never_answered_is_counted_though_its_name_is_not_in_the_log() -> None:
    (alarm,) = alarms(several(3, silent=NODES[:1]), rules(silent_node=SilentNode(queries=3)))
    assert (alarm.party, alarm.about) == ("?", f"a node of model {model_hash('bank')}")
    just_asked = Period(NOON_MS + 600 * SECOND_MS)
    assert alarms([query(n, silent=NODES[:1]) for n in range(3)], rules(silent_node=SilentNode(queries=3)), just_asked)
    assert alarms(several(3, silent=NODES[:1]), rules(silent_node=SilentNode(queries=3)), just_asked) == []


def test_a_node_is_not_silent_where_another_denied_or_time_is_left() -> None:
    silence = rules(silent_node=SilentNode(queries=1, share=0.1, wait_seconds=600))
    denied = query(2, silent=NODES[:1], denying={NODES[1]: "PURPOSE_DENIED"})
    assert alarms([query(1), denied], silence) == []
    open_still = [query(1), query(2, silent=NODES[:1])]
    assert alarms(open_still, silence, Period(NOON_MS + 599 * SECOND_MS)) == []
    assert len(alarms(open_still, silence, Period(NOON_MS + 600 * SECOND_MS))) == 1


def test_a_bank_that_never_acknowledges() -> None:
    closing = rules(unacknowledged=Unacknowledged(share=0.5, queries=4, wait_seconds=60))
    open_still = several(2, acknowledged=False)
    (alarm,) = alarms([*several(2), *open_still], closing)
    assert (alarm.rule, alarm.party, alarm.seen) == ("unacknowledged", "bank", "2 of 4 queries not acknowledged")
    assert alarms([*several(3), *open_still[1:]], closing) == []
    assert alarms([*several(2), *open_still], closing, Period(NOON_MS + 59 * SECOND_MS)) == []


def test_what_does_not_reconcile_is_an_alarm_once_its_time_is_up() -> None:
    fits = rules(reconciliation=True, unacknowledged=Unacknowledged(queries=100, wait_seconds=60))
    (alarm,) = alarms([query(1), query(2, acknowledged=False)], fits)
    assert (alarm.rule, alarm.seen) == ("reconciliation", "ACK_MISSING: 0 ACK leaves, not 1")
    assert (alarm.first_leaf, alarm.last_leaf) == (5, 8)
    assert alarms([query(1)], fits) == []
    assert alarms([query(2, acknowledged=False)], fits, Period(NOON_MS + 59 * SECOND_MS)) == []


def test_a_query_after_the_period_does_not_fail_in_it() -> None:
    fits = rules(reconciliation=True)
    broken = query(2, NOON_MS + DAY_MS, acknowledged=False)
    assert len(alarms([query(1), broken], fits)) == 1
    assert alarms([query(1), broken], fits, Period(LATER.now_ms, until_ms=NOON_MS + DAY_MS)) == []
    assert alarms([query(1), broken], fits, Period(LATER.now_ms, since_ms=NOON_MS + 2 * DAY_MS)) == []


def test_leaves_that_count_beyond_any_batch_cannot_overflow_a_sum() -> None:
    requests = [query(n, enterprises=(1 << 53) - 1)[:1] for n in range(1025)]
    found = alarms(requests, rules(bulk=Bulk()))
    assert [one.seen for one in found] == [f"{1025 << 20} enterprises in {span}" for span in ("1 h", "1 d")]


def test_a_share_is_written_as_it_was_set() -> None:
    (alarm,) = alarms(several(2, denying={"tax": "QUOTA"}), rules(denial_rate=DenialRate(share=0.125, enterprises=2)))
    assert alarm.threshold == "12.5% of 2 or more enterprises denied in 1 d"


def test_a_period_shows_what_was_not_over_before_it_and_was_seen_up_to_its_end() -> None:
    bulk, queries = rules(bulk=Bulk(per_hour=5, per_day=1000)), several(5)
    end = NOON_MS + 4 * 60_000
    assert len(alarms(queries, bulk, Period(LATER.now_ms, since_ms=end))) == 1
    assert alarms(queries, bulk, Period(LATER.now_ms, since_ms=end + 1)) == []
    assert len(alarms(queries, bulk, Period(LATER.now_ms, until_ms=end + 1))) == 1
    assert alarms(queries, bulk, Period(LATER.now_ms, until_ms=end)) == []


def test_ordinary_traffic_raises_nothing_by_default() -> None:
    monday = START_MS + DAY_MS + 2 * HOUR_MS  # 10:00 in China
    traffic = [query(n, monday + n * 60_000, tag=n.to_bytes(32, "big")) for n in range(60)]
    assert alarms(traffic, AlarmRules()) == []
