"""Assessments over HTTP: asked, read again, shown as reports."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from nodes.bank.store import assessments, replays
from nodes.bank.store.api_keys import Scope
from tests.bank_api import RunningApi
from tests.small_federation import codes


def assess(client: httpx.Client, enterprise: str, key: str | None = None, **more: str) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/v1/assessments", json={"enterprise": enterprise, **more}, headers=headers)


def test_an_assessment_is_answered_and_reads_the_same_afterwards(api: RunningApi) -> None:
    with api.client() as client:
        made = assess(client, codes(1)[0], reference="LN-1")
        assert made.status_code == 201
        told = made.json()
        assert (told["status"], told["enterprise"], told["reference"]) == ("ok", codes(1)[0], "LN-1")
        assert 0 < told["pd"] < 1
        assert told["model"]["hash"] == api.federation.model().model
        assert told["receipt"] is not None
        assert told["advice"].startswith("advisory only")
        again = client.get(made.headers["location"])
        assert again.json() == told
        assert again.headers["cache-control"] == "no-store"


def test_a_denial_is_an_answer_with_its_code(api: RunningApi) -> None:
    withheld = codes()[399]
    api.federation.withhold_consent(withheld)
    with api.client() as client:
        told = assess(client, withheld).json()
        assert (told["status"], told["code"], told["score"]) == ("denied", "CONSENT_MISSING", None)
        page = client.get(f"/v1/assessments/{told['id']}.html", params={"language": "en"})
        assert "has not authorised this bank" in page.text


def test_reports_come_as_page_and_pdf_in_both_languages(api: RunningApi) -> None:
    with api.client() as client:
        where = assess(client, codes(2)[1]).headers["location"]
        chinese, english = (client.get(f"{where}.html", params={"language": name}) for name in ("zh", "en"))
        assert "企业信用评估报告" in chinese.text
        assert "Enterprise credit assessment" in english.text
        assert chinese.headers["content-type"] == "text/html; charset=utf-8"
        pdf = client.get(f"{where}.pdf")
        assert (pdf.headers["content-type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")
        assert client.get(f"{where}.html", params={"language": "fr"}).status_code == 422


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"enterprise": ""}, "INVALID_REQUEST"),
        ({"enterprise": "x" * 129}, "INVALID_REQUEST"),
        ({"enterprise": "91350100M000100Y43", "turnover": 1}, "INVALID_REQUEST"),
        ({"enterprise": "91350100M000100Y43", "purpose": "curiosity"}, "INVALID_REQUEST"),
        ({"enterprise": "91350100M000100Y43", "reference": "a\n"}, "INVALID_REQUEST"),
        ({}, "INVALID_REQUEST"),
        ([], "INVALID_REQUEST"),
    ],
)
def test_what_cannot_be_asked_is_a_problem_that_shows_no_value(api: RunningApi, body: object, code: str) -> None:
    with api.client() as client:
        refused = client.post("/v1/assessments", json=body)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == code
    assert "91350100M000100Y4" not in refused.text
    assert "curiosity" not in refused.text


def test_a_code_that_no_enterprise_can_have_is_not_found(api: RunningApi) -> None:
    with api.client() as client:
        refused = assess(client, "91350100M000100Y44")
    assert (refused.status_code, refused.json()["code"]) == (404, "INVALID_USCC")
    assert "91350100M000100Y4" not in refused.text


def test_unknown_things_are_problems_too(api: RunningApi) -> None:
    with api.client() as client:
        for answer, status, code in (
            (client.get("/v1/assessments/asm_" + "0" * 32), 404, "NOT_FOUND"),
            (client.get("/v1/nothing"), 404, "NOT_FOUND"),
            (client.get("/v1/assessments", params={"enterprise": codes(1)[0]}), 422, "INVALID_REQUEST"),
            (client.put("/v1/assessments"), 405, "METHOD_NOT_ALLOWED"),
            (client.get("/v1/assessments", params={"cursor": "!!"}), 422, "INVALID_REQUEST"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (status, code)


# ---- idempotency


def test_the_same_key_with_the_same_request_gets_the_same_bytes(api: RunningApi) -> None:
    with api.client() as client:
        first, second = (assess(client, codes(1)[0], "again") for _ in range(2))
        assert first.content == second.content
        assert (first.headers["location"], second.headers["location"]) == (first.headers["location"],) * 2
        assert second.headers["idempotent-replayed"] == "true"


def test_the_same_key_with_another_request_is_a_conflict(api: RunningApi) -> None:
    with api.client() as client, api.client() as other:
        assert assess(client, codes(1)[0], "taken").status_code == 201
        conflict = assess(client, codes(2)[1], "taken")
        assert (conflict.status_code, conflict.json()["code"]) == (409, "IDEMPOTENCY_CONFLICT")
        assert assess(other, codes(2)[1], "taken").status_code == 201  # another caller's keys are its own


def test_an_error_is_not_kept_under_its_key(api: RunningApi) -> None:
    with api.client() as client:
        assert assess(client, codes(1)[0], "no spaces").json()["code"] == "INVALID_REQUEST"
        assert assess(client, "91350100M000100Y44", "wrong-first").json()["code"] == "INVALID_USCC"
        assert assess(client, codes(1)[0], "wrong-first").status_code == 201


def test_many_at_once_under_one_key_ask_the_federation_once(api: RunningApi) -> None:
    log_before = api.federation.log.size
    with api.client() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: assess(client, codes(3)[2], "at-once"), range(8)))
        grown = api.federation.log.size - log_before
        single = api.federation.log.size
        assess(client, codes(3)[2], "alone")
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert grown == api.federation.log.size - single


def test_an_answer_is_forgotten_after_its_time(api: RunningApi) -> None:
    with api.client() as client:
        first = assess(client, codes(1)[0], "old").json()
        api.clock.now += replays.KEPT_SECONDS
        try:
            assert assess(client, codes(1)[0], "old").json()["id"] != first["id"]
        finally:
            api.clock.now -= replays.KEPT_SECONDS


# ---- keys, limits, pages, logs


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer cfk_0_x", "Basic abc", "Bearer \u00e9".encode("latin-1")])
def test_without_an_active_key_nothing_is_answered(api: RunningApi, header: str | bytes) -> None:
    refused = httpx.get(f"{api.address}/v1/assessments", headers={"Authorization": header})
    assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")
    assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        (Scope.ASSESS, "POST", "/v1/assessments"),
        (Scope.READ_ASSESSMENTS, "GET", "/v1/assessments"),
        (Scope.READ_ASSESSMENTS, "GET", f"/v1/assessments/asm_{'0' * 32}"),
        (Scope.READ_ASSESSMENTS, "GET", f"/v1/assessments/asm_{'0' * 32}.html"),
        (Scope.READ_ASSESSMENTS, "GET", f"/v1/assessments/asm_{'0' * 32}.pdf"),
        (Scope.SEND_BATCHES, "POST", "/v1/batches"),
        (Scope.READ_BATCHES, "GET", "/v1/batches"),
        (Scope.READ_BATCHES, "GET", f"/v1/batches/bat_{'0' * 32}"),
        (Scope.READ_BATCHES, "GET", f"/v1/batches/bat_{'0' * 32}/results"),
        (Scope.READ_BATCHES, "GET", f"/v1/batches/bat_{'0' * 32}/results.csv"),
        (Scope.READ_BATCHES, "GET", f"/v1/batches/bat_{'0' * 32}/results.jsonl"),
        (Scope.REPORT_OUTCOMES, "POST", "/v1/outcomes"),
        (Scope.READ_OUTCOMES, "GET", "/v1/outcomes"),
        (Scope.MONITOR, "POST", "/v1/monitors"),
        (Scope.MONITOR, "DELETE", f"/v1/monitors/mon_{'0' * 32}"),
        (Scope.READ_MONITORS, "GET", "/v1/monitors"),
        (Scope.READ_MONITORS, "GET", f"/v1/monitors/mon_{'0' * 32}"),
        (Scope.READ_MONITORS, "GET", f"/v1/monitors/mon_{'0' * 32}/events"),
    ],
)
def test_each_resource_wants_its_own_scope(api: RunningApi, scope: Scope, method: str, path: str) -> None:
    with api.client(*(set(Scope) - {scope})) as others, api.client(scope) as own:
        refused = others.request(method, path)
        assert (refused.status_code, refused.json()["code"]) == (403, "SCOPE")
        assert own.request(method, path).status_code in (200, 404, 415, 422)


def test_a_large_request_is_refused_whether_or_not_it_says_so(api: RunningApi) -> None:
    with api.client() as client:
        said = client.post("/v1/assessments", content=b"x" * 300_000)
        unsaid = client.post("/v1/assessments", content=(b"x" * 10_000 for _ in range(30)))
    for refused in (said, unsaid):
        assert (refused.status_code, refused.json()["code"]) == (413, "TOO_LARGE")


def test_a_list_comes_in_pages_that_miss_and_repeat_nothing(api: RunningApi) -> None:
    with api.client() as client:
        for code in codes(3):
            assess(client, code)
        everything = api.database.do(lambda c: assessments.page(c, 1 << 62, 1000))
        found, cursor = [], ""
        while cursor is not None:
            page = client.get("/v1/assessments", params={"cursor": cursor, "limit": 2}).json()
            found += [item["id"] for item in page["items"]]
            cursor = page["next"]
    assert found == [one.id for one in everything]


def test_no_code_and_no_score_is_in_a_log(api: RunningApi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    enterprise = codes(5)[4]
    with api.client() as client:
        told = assess(client, enterprise).json()
        client.get(f"/v1/assessments/{told['id']}.pdf")
        assess(client, f"{enterprise[:-1]}0")
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "POST /v1/assessments" in logged
    assert enterprise[:-1] not in logged
    assert f"{told['pd']}" not in logged
    assert not [
        r for r in caplog.records if "fontTools" not in r.name and f" {told['score']} " in f" {r.getMessage()} "
    ]


@pytest.mark.parametrize("path", ["/v1/assessments", "/v1/batches", "/v1/outcomes", "/v1/monitors"])
def test_the_documented_body_is_taken_as_it_stands(api: RunningApi, path: str) -> None:
    with api.client() as client:
        document = client.get("/openapi.json").json()
        content = document["paths"][path]["post"]["requestBody"]["content"]
        name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        (example,) = document["components"]["schemas"][name]["examples"]
        answered = client.post(path, json=example)
    if path == "/v1/monitors":  # whose webhook's host no operator has allowed here
        assert (answered.status_code, answered.json()["code"]) == (403, "WEBHOOK_REFUSED")
    else:
        assert answered.status_code in (201, 202), answered.text


@pytest.mark.parametrize("path", ["/v1/assessments", "/v1/outcomes", "/v1/monitors"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_is_not_called_json_is_not_read(api: RunningApi, path: str, kind: str) -> None:
    with api.client() as client:
        refused = client.post(path, content=b'{"enterprise": "91350100M000100Y43"}', headers={"content-type": kind})
    assert (refused.status_code, refused.json()["code"]) == (415, "MEDIA_TYPE")
