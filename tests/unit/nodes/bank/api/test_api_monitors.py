"""Monitors over HTTP: an enterprise is scored again on its day, and what got worse is told, signed."""

from __future__ import annotations

import itertools
import json
import time

import httpx
import msgspec
import pytest

from nodes.bank.store import monitors
from nodes.bank.store.monitors import Standing
from nodes.bank.watching.webhooks import MAX_ATTEMPTS
from tests.bank_api import RunningApi
from tests.small_federation import NOW, codes
from tests.webhook_receiver import Receiver, receiving, verified

DAY = 86_400


def watch(client: httpx.Client, enterprise: str, receiver: Receiver, **more: object) -> str:
    body = {"enterprise": enterprise, "webhook": receiver.address, "every_days": 1, **more}
    made = client.post("/v1/monitors", json=body)
    assert made.status_code == 201, made.text
    return str(made.headers["location"])


def scored(client: httpx.Client, where: str, other_than: str | None = None) -> str:
    """The id of a monitor's latest assessment, once there is a new one."""
    for _ in range(200):
        latest = client.get(where).json()["latest"]
        if latest not in (None, other_than):
            return str(latest)
        time.sleep(0.05)
    raise AssertionError("the monitor was not scored")


def remember(api: RunningApi, where: str, standing: Standing) -> None:
    """Let a monitor remember that its enterprise stood otherwise before."""
    identifier, kept = where.rsplit("/", 1)[1], msgspec.json.encode(standing)
    api.database.do(lambda c: c.execute("UPDATE monitor SET standing = ? WHERE id = ?", (kept, identifier)))


@pytest.fixture
def day(api: RunningApi) -> object:
    """Hands out days one by one, and puts the clock back."""

    def pass_one() -> None:
        api.clock.now += DAY

    yield pass_one
    api.clock.now = NOW


def test_a_fall_by_two_grades_and_a_doubled_pd_are_told_with_a_signature_that_holds(
    api: RunningApi, day: object
) -> None:
    with api.client() as client, receiving() as receiver:
        where = watch(client, codes()[30], receiver, reference="LN-30")
        first = scored(client, where)
        now = client.get(f"/v1/assessments/{first}").json()
        remember(api, where, Standing(now["pd"] / 3, now["score"] + 100, "AAA", ()))
        day()  # type: ignore[operator]
        second = scored(client, where, first)
        receiver.wait(2)
        key = client.get("/v1/webhook-key").json()["public_key"]
        events = [verified(key, headers, body, api.clock.now) for headers, body in receiver.requests]
        assert {event["type"] for event in events if event} == {"monitor.grade_fell", "monitor.pd_doubled"}
        assert all(event["assessment"] == second and event["reference"] == "LN-30" for event in events if event)
        assert all(codes()[30].encode() not in body for _, body in receiver.requests)
        told = client.get(f"{where}/events").json()["items"]
        assert all(event["delivered"] for event in told)
        # what was told is where the next comparison starts
        day()  # type: ignore[operator]
        scored(client, where, second)
        assert len(client.get(f"{where}/events").json()["items"]) == 2


def test_an_unchanged_enterprise_is_scored_and_nothing_is_told(api: RunningApi, day: object) -> None:
    with api.client() as client, receiving() as receiver:
        where = watch(client, codes()[31], receiver)
        first = scored(client, where)
        day()  # type: ignore[operator]
        scored(client, where, first)
        assert client.get(f"{where}/events").json()["items"] == []
        assert receiver.requests == []


def test_two_monitors_of_one_enterprise_are_both_scored(api: RunningApi) -> None:
    with api.client() as client, receiving() as receiver:
        places = [watch(client, codes()[32], receiver) for _ in range(2)]
        assert len({scored(client, place) for place in places}) == 2


def test_a_reported_default_is_a_hard_event(api: RunningApi) -> None:
    loan = {"loan": "LN-33", "drawn_on": "2022-01-01", "observed_on": "2022-08-01", "days_past_due": 120}
    with api.client() as client, receiving() as receiver:
        where = watch(client, codes()[33], receiver)
        scored(client, where)
        for _ in range(2):
            client.post("/v1/outcomes", json={"outcomes": [{"enterprise": codes()[33], **loan}]})
        receiver.wait(1)
        (event,) = client.get(f"{where}/events").json()["items"]
        assert event["type"] == "monitor.hard_event"
        assert json.loads(receiver.requests[0][1])["reason"] == "default_reported"


def test_a_lost_consent_suspends_the_monitor_and_says_so(api: RunningApi) -> None:
    refusing = codes()[397]
    api.federation.withhold_consent(refusing)
    with api.client() as client, receiving() as receiver:
        where = watch(client, refusing, receiver)
        scored(client, where)
        receiver.wait(1)
        assert client.get(where).json()["status"] == "suspended"
        body = json.loads(receiver.requests[0][1])
        assert (body["type"], body["reason"]) == ("monitor.suspended", "CONSENT_MISSING")


def test_a_webhook_that_is_not_taken_is_sent_again_later_and_given_up_in_the_end(api: RunningApi) -> None:
    refusing = codes()[396]
    api.federation.withhold_consent(refusing)
    try:
        with api.client() as client, receiving() as receiver:
            receiver.answers = [500] * MAX_ATTEMPTS
            where = watch(client, refusing, receiver)
            waits = []
            for attempt in range(1, MAX_ATTEMPTS + 1):
                receiver.wait(attempt)
                while (event := client.get(f"{where}/events").json()["items"][0])["attempts"] < attempt:
                    time.sleep(0.02)
                if event["next_attempt"] is None:
                    break
                due = api.database.do(lambda c: c.execute("SELECT max(next_at) FROM event").fetchone()[0])
                waits.append(due - api.clock.now)
                api.clock.now = due
            assert event["attempts"] == MAX_ATTEMPTS
            assert event["delivered"] is None
            assert all(later > 2 * earlier for earlier, later in itertools.pairwise(waits[:6]))
            assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1
            assert len({headers["webhook-timestamp"] for headers, _ in receiver.requests}) == MAX_ATTEMPTS
    finally:
        api.clock.now = NOW


def test_a_redirect_is_not_followed(api: RunningApi) -> None:
    refusing = codes()[395]
    api.federation.withhold_consent(refusing)
    with api.client() as client, receiving() as receiver:
        receiver.answers = [307]
        where = watch(client, refusing, receiver, webhook=f"{receiver.address}/moved")
        receiver.wait(1)
        while not client.get(f"{where}/events").json()["items"][0]["attempts"]:
            time.sleep(0.02)
        assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "webhook",
    [
        "https://elsewhere.example/hook",
        "http://loans.bank.example/hook",
        "http://169.254.169.254/latest",
        "http://localhost.evil.example/",
        "https://user:secret@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "https:///hook",
    ],
)
def test_no_event_goes_where_the_operator_has_not_allowed_it(api: RunningApi, webhook: str) -> None:
    with api.client() as client:
        refused = client.post("/v1/monitors", json={"enterprise": codes(1)[0], "webhook": webhook})
    assert (refused.status_code, refused.json()["code"]) == (403, "WEBHOOK_REFUSED")
    assert "secret" not in refused.text


def test_a_deleted_monitor_is_forgotten(api: RunningApi) -> None:
    with api.client() as client, receiving() as receiver:
        where = watch(client, codes()[34], receiver)
        scored(client, where)
        assert client.delete(where).status_code == 204
        assert client.get(where).status_code == 404
        assert client.delete(where).status_code == 404
        assert where.rsplit("/", 1)[1] not in client.get("/v1/monitors").text
    assert api.database.do(lambda c: monitors.watching(c, codes()[34])) == []


def test_a_signature_over_anything_else_does_not_hold(api: RunningApi) -> None:
    refusing = codes()[394]
    api.federation.withhold_consent(refusing)
    with api.client() as client, receiving() as receiver:
        watch(client, refusing, receiver)
        receiver.wait(1)
        key, now = client.get("/v1/webhook-key").json()["public_key"], api.clock.now
        headers, body = receiver.requests[0]
    assert verified(key, headers, body, now) is not None
    assert verified(key, headers, body.replace(b"CONSENT", b"CONTENT"), now) is None
    assert verified(key, headers | {"webhook-id": "evt_other"}, body, now) is None
    assert verified(key, headers | {"webhook-timestamp": str(now + 1)}, body, now) is None
    assert verified(key, headers, body, now + 301) is None
