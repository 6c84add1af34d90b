"""Search finds exactly the leaves of those who are asked about, across a query's whole story."""

from __future__ import annotations

import pytest
from stories import HOUR_MS, START_MS, logged, model_hash, query

from federation.audit.reading.search import Criteria, search
from federation.cli.audit.criteria import read_criteria
from protocols.errors import ConfigurationError
from protocols.transparency import LeafKind

LEAVES = [*query(1), *query(2, "other", hour=30), *query(3, denying=("tax",), hour=60)]


def found(criteria: Criteria) -> list[int]:
    return [one.index for one in search(logged(LEAVES), criteria)]


def test_nothing_asked_finds_everything() -> None:
    assert found(Criteria()) == list(range(14))


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (Criteria(bank="bank"), [0, 1, 2, 3, 4, 10, 11, 12, 13]),
        (Criteria(bank="other"), [5, 6, 7, 8, 9]),
        (Criteria(bank="nobody"), []),
        (Criteria(model=model_hash("other")[:10]), [5, 6, 7, 8, 9]),
        (Criteria(model="zz"), []),
        (Criteria(actor="tax"), [2, 7, 12]),
        (Criteria(actor="tax", bank="other"), [7]),
        (Criteria(kinds=frozenset({LeafKind.RESULT, LeafKind.ACK})), [3, 4, 8, 9, 13]),
        (Criteria(decision="DENY"), [12]),
        (Criteria(decision="DENIED"), [13]),
        (Criteria(decision="ACCEPTED", bank="bank"), [4]),
        (Criteria(decision="RELEASE", actor="social"), [1, 6, 11]),
        (Criteria(purpose="assessment", actor="coordinator"), [3, 8]),
        (Criteria(purpose="training"), []),
        (Criteria(since_ms=START_MS + 30 * HOUR_MS), list(range(5, 14))),
        (Criteria(until_ms=START_MS + 30 * HOUR_MS), [0, 1, 2, 3, 4]),
    ],
)
def test_each_criterion(criteria: Criteria, expected: list[int]) -> None:
    assert found(criteria) == expected


def options(**given: str) -> Criteria:
    names = ("since", "until", "actor", "bank", "purpose", "decision", "model")
    values = {name: given.get(name, "") for name in names}
    return read_criteria(values.pop("since"), values.pop("until"), [], **values)


def test_times_are_utc_and_a_last_day_is_whole() -> None:
    assert options() == Criteria()
    assert options(since="2026-03-01").since_ms == START_MS
    assert options(until="2026-03-01").until_ms == START_MS + 24 * HOUR_MS
    assert options(until="2026-03-01T06:00").until_ms == START_MS + 6 * HOUR_MS
    assert options(since="2026-03-01T08:00+08:00").since_ms == START_MS
    assert found(options(until="2026-03-02")) == list(range(10))


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "9999-12-31", "1"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--until"):
        options(until=text)


def test_an_unknown_kind_is_refused_and_the_known_are_named() -> None:
    with pytest.raises(ConfigurationError, match="REQUEST, RELEASE"):
        read_criteria("", "", ["BOGUS"], "", "", "", "", "")
