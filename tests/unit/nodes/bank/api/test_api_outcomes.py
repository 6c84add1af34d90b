"""Outcomes over HTTP: what the bank reports becomes labels, and contradicts nothing."""

from __future__ import annotations

import datetime
import json

import pytest

from nodes.bank.store import outcomes
from nodes.bank.store.outcomes import Label
from tests.bank_api import RunningApi
from tests.small_federation import codes


def outcome(number: int, days: int, loan: str = "LN", observed: str = "2023-06-01") -> dict[str, object]:
    return {
        "enterprise": codes()[number],
        "loan": loan,
        "drawn_on": "2022-03-01",
        "observed_on": observed,
        "days_past_due": days,
    }


def labels(api: RunningApi) -> dict[str, Label]:
    """The labels that the bank would train on now."""
    return api.database.do(lambda c: outcomes.labels(c, outcomes.latest_day(api.clock())))


def test_outcomes_become_labels(api: RunningApi) -> None:
    said = [
        outcome(100, 0),
        outcome(101, 91),
        outcome(102, 30),
        outcome(103, 90),
        outcome(104, 12, observed="2022-09-01"),
        outcome(105, 0),
        outcome(105, 95, loan="LN-2"),
    ]
    with api.client() as client:
        told = client.post("/v1/outcomes", json={"outcomes": said})
        assert told.status_code == 201
        counted = {"good": 2, "default": 2, "indeterminate": 2, "open": 1}
        assert told.json() == {"recorded": 7, "known": 0, "labels": counted}
        again = client.post("/v1/outcomes", json={"outcomes": said}).json()
        assert (again["recorded"], again["known"]) == (0, 7)
        listed = client.get("/v1/outcomes", params={"limit": 1}).json()["items"]
        assert [(item["loan"], item["label"]) for item in listed] == [("LN-2", "default")]
    found = labels(api)
    assert [found[codes()[n]] for n in range(100, 106)] == [
        Label.GOOD,
        Label.DEFAULT,
        Label.INDETERMINATE,
        Label.INDETERMINATE,
        Label.OPEN,
        Label.DEFAULT,
    ]


def test_a_contradiction_refuses_the_whole_list(api: RunningApi) -> None:
    with api.client() as client:
        client.post("/v1/outcomes", json={"outcomes": [outcome(110, 5)]})
        refused = client.post("/v1/outcomes", json={"outcomes": [outcome(111, 5), outcome(110, 6)]})
        assert (refused.status_code, refused.json()["code"]) == (409, "OUTCOME_CONFLICT")
        later = client.post("/v1/outcomes", json={"outcomes": [outcome(110, 6, observed="2023-07-01")]})
        assert later.status_code == 201
    assert codes()[111] not in labels(api)


def test_the_latest_observation_counts_and_a_correction_replaces_all_before_it(api: RunningApi) -> None:
    def say(days: int, observed: str = "2023-06-01", **more: object) -> tuple[int, Label | None]:
        told = client.post("/v1/outcomes", json={"outcomes": [outcome(130, days, observed=observed) | more]})
        return told.json().get("recorded", -1), labels(api).get(codes()[130])

    with api.client() as client:
        assert say(120) == (1, Label.DEFAULT)
        assert say(0) == (-1, Label.DEFAULT)  # a contradiction, not marked as a correction
        assert say(0, correction=True) == (1, Label.GOOD)
        assert say(0, correction=True) == (0, Label.GOOD)
        assert say(120) == (0, Label.GOOD)  # what was withdrawn comes late once more
        assert say(45, observed="2023-09-01") == (1, Label.INDETERMINATE)
        assert say(3, observed="2023-10-01") == (1, Label.GOOD)
        assert say(3, observed="2023-10-01", drawn_on="2023-01-01", correction=True) == (1, Label.OPEN)
        listed = client.get("/v1/outcomes").json()["items"]
    assert [(item["drawn_on"], item["days_past_due"]) for item in listed if item["enterprise"] == codes()[130]] == [
        ("2023-01-01", 3)
    ]


def test_nobody_observes_tomorrow_and_what_was_seen_later_is_not_known_yet(api: RunningApi) -> None:
    with api.client() as client:
        for observed, status in (("2023-11-15", 201), ("2023-11-16", 409)):  # it is the 14th; the 15th further east
            said = [outcome(140, 99, observed=observed, loan=observed)]
            assert client.post("/v1/outcomes", json={"outcomes": said}).status_code == status
    before = api.database.do(lambda c: outcomes.labels(c, datetime.date(2023, 11, 14)))
    assert codes()[140] not in before


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"correction": "yes"}, 422, "INVALID_REQUEST"),
        ({"observed_on": "2022-02-01"}, 409, "OUTCOME_CONFLICT"),
        ({"days_past_due": -1}, 422, "INVALID_REQUEST"),
        ({"days_past_due": True}, 422, "INVALID_REQUEST"),
        ({"drawn_on": 0}, 422, "INVALID_REQUEST"),
        ({"drawn_on": "2022-01-01T00:00:00"}, 422, "INVALID_REQUEST"),
        ({"drawn_on": "yesterday"}, 422, "INVALID_REQUEST"),
        ({"enterprise": "91350100M000100Y44"}, 404, "INVALID_USCC"),
        ({"loan": "=1+1"}, 422, "INVALID_REQUEST"),
    ],
)
def test_a_wrong_outcome_is_refused(api: RunningApi, change: dict[str, object], status: int, code: str) -> None:
    with api.client() as client:
        refused = client.post("/v1/outcomes", json={"outcomes": [outcome(120, 0) | change]})
    assert (refused.status_code, refused.json()["code"]) == (status, code)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "1.5", "9" * 400])
def test_a_number_without_end_is_a_wrong_request_and_no_failure(api: RunningApi, number: str) -> None:
    text = json.dumps({"outcomes": [outcome(121, 0)]}).replace('"days_past_due": 0', f'"days_past_due": {number}')
    with api.client() as client:
        refused = client.post("/v1/outcomes", content=text, headers={"content-type": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_REQUEST")
