"""Outcomes over HTTP: what the bank reports becomes labels, and contradicts nothing."""

from __future__ import annotations

import pytest

from nodes.bank.store import outcomes
from nodes.bank.store.outcomes import Label
from tests.bank_api import RunningApi
from tests.small_federation import codes


def outcome(number: int, days: int, loan: str = "LN", observed: str = "2025-06-01") -> dict[str, object]:
    return {
        "enterprise": codes()[number],
        "loan": loan,
        "drawn_on": "2024-03-01",
        "observed_on": observed,
        "days_past_due": days,
    }


def test_outcomes_become_labels(api: RunningApi) -> None:
    said = [
        outcome(100, 0),
        outcome(101, 91),
        outcome(102, 30),
        outcome(103, 90),
        outcome(104, 12, observed="2024-09-01"),
        outcome(105, 0),
        outcome(105, 95, loan="LN-2"),
    ]
    with api.client() as client:
        told = client.post("/v1/outcomes", json={"outcomes": said})
        assert told.status_code == 201
        labels = {"good": 2, "default": 2, "indeterminate": 2, "open": 1}
        assert told.json() == {"recorded": 7, "known": 0, "labels": labels}
        again = client.post("/v1/outcomes", json={"outcomes": said}).json()
        assert (again["recorded"], again["known"]) == (0, 7)
        listed = client.get("/v1/outcomes", params={"limit": 1}).json()["items"]
        assert [(item["loan"], item["label"]) for item in listed] == [("LN-2", "default")]
    found = api.database.do(outcomes.labels)
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
        later = client.post("/v1/outcomes", json={"outcomes": [outcome(110, 6, observed="2025-07-01")]})
        assert later.status_code == 201
    assert codes()[111] not in api.database.do(outcomes.labels)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"observed_on": "2024-02-01"}, 409, "OUTCOME_CONFLICT"),
        ({"days_past_due": -1}, 422, "INVALID_REQUEST"),
        ({"days_past_due": True}, 422, "INVALID_REQUEST"),
        ({"drawn_on": 0}, 422, "INVALID_REQUEST"),
        ({"drawn_on": "2024-01-01T00:00:00"}, 422, "INVALID_REQUEST"),
        ({"drawn_on": "yesterday"}, 422, "INVALID_REQUEST"),
        ({"enterprise": "91350100M000100Y44"}, 404, "INVALID_USCC"),
        ({"loan": "=1+1"}, 422, "INVALID_REQUEST"),
    ],
)
def test_a_wrong_outcome_is_refused(api: RunningApi, change: dict[str, object], status: int, code: str) -> None:
    with api.client() as client:
        refused = client.post("/v1/outcomes", json={"outcomes": [outcome(120, 0) | change]})
    assert (refused.status_code, refused.json()["code"]) == (status, code)
