"""Batches over HTTP: sent as files, answered row by row, taken as files."""

from __future__ import annotations

import csv
import io
import json
import time

import httpx
import pytest

from nodes.bank.api.batch_file import MAX_ROWS
from tests.bank_api import RunningApi
from tests.small_federation import codes

CSV = {"Content-Type": "text/csv"}


def send(client: httpx.Client, lines: list[str], **headers: str) -> httpx.Response:
    return client.post("/v1/batches", content="\n".join(lines).encode(), headers=CSV | headers)


def finished(client: httpx.Client, where: str) -> dict[str, object]:
    """The batch once all its rows are answered."""
    for _ in range(200):
        batch = client.get(where).json()
        if batch["status"] == "done":
            return dict(batch)
        time.sleep(0.05)
    raise AssertionError(batch)


def test_a_file_is_answered_row_by_row_and_one_row_harms_no_other(api: RunningApi) -> None:
    fine, refusing, again = codes()[10], codes()[398], codes()[10]
    api.federation.withhold_consent(refusing)
    wrong = f"{fine[:-1]}{'0' if fine[-1] != '0' else '1'}"
    with api.client() as client:
        rows = [f"{fine},LN-1", f"{refusing},LN-2", f"{wrong},LN-3", f"{again},LN-4", f"{codes()[11]},LN-5"]
        sent = send(client, ["enterprise,reference", *rows])
        assert sent.status_code == 202
        batch = finished(client, sent.headers["location"])
        counts = {name: batch[name] for name in ("rows", "answered", "ok", "denied", "failed", "invalid")}
        assert counts == {"rows": 5, "answered": 5, "ok": 2, "denied": 1, "failed": 0, "invalid": 2}
        items = client.get(f"{sent.headers['location']}/results").json()["items"]
        assert [(item["reference"], item["status"], item["code"]) for item in items] == [
            ("LN-1", "ok", ""),
            ("LN-2", "denied", "CONSENT_MISSING"),
            ("LN-3", "invalid", "INVALID_USCC"),
            ("LN-4", "invalid", "REPEATED"),
            ("LN-5", "ok", ""),
        ]
        single = client.get(f"/v1/assessments/{items[0]['result']['id']}").json()
        assert single == items[0]["result"]
        assert client.get(f"/v1/assessments/{single['id']}.pdf").status_code == 200


def test_a_chinese_reference_comes_back_as_it_is_and_a_wrong_one_harms_no_other_row(api: RunningApi) -> None:
    fine, again = "沪贷〔2026〕第42号", "浦东/2026（1）"
    wrong = {"formula": "=1+1", "turned": "LN\u202e24", "two lines": '"LN\n1"'}
    with api.client() as client:
        rows = [
            f"{codes()[14]},{fine}",
            *(f"{codes()[15]},{text}" for text in wrong.values()),
            f"{codes()[15]},{again}",
        ]
        where = send(client, ["enterprise,reference", *rows]).headers["location"]
        assert finished(client, where)["invalid"] == len(wrong)
        table = client.get(f"{where}/results.csv")
        told = [json.loads(line) for line in client.get(f"{where}/results.jsonl").text.splitlines()]
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    for row in (told, list(csv.DictReader(io.StringIO(table.text)))):
        assert [(one["reference"], one["status"], one["code"]) for one in row] == [
            (fine, "ok", ""),
            *[("", "invalid", "INVALID_REFERENCE")] * len(wrong),
            (again, "ok", ""),
        ]


def test_results_come_as_csv_and_as_json_lines(api: RunningApi) -> None:
    lines = [json.dumps({"enterprise": code, "reference": f"LN-{n}"}) for n, code in enumerate(codes(3))]
    with api.client() as client:
        headers = {"Content-Type": "application/x-ndjson"}
        where = client.post("/v1/batches", content="\n".join(lines), headers=headers).headers["location"]
        finished(client, where)
        table = list(csv.DictReader(io.StringIO(client.get(f"{where}/results.csv").text)))
        told = [json.loads(line) for line in client.get(f"{where}/results.jsonl").text.splitlines()]
    assert [row["reference"] for row in table] == ["LN-0", "LN-1", "LN-2"]
    assert [int(row["score"]) for row in table] == [row["result"]["score"] for row in told]
    assert [row["enterprise"] for row in told] == codes(3)


def test_pages_of_results_follow_the_file(api: RunningApi) -> None:
    with api.client() as client:
        where = send(client, ["enterprise", *codes(7)]).headers["location"]
        found, cursor = [], ""
        while cursor is not None:
            page = client.get(f"{where}/results", params={"limit": 3, "cursor": cursor}).json()
            found += [item["row"] for item in page["items"]]
            cursor = page["next"]
    assert found == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("content", "media", "status", "code"),
    [
        (b"enterprise\n", "text/csv", 422, "BATCH_FILE"),
        (b"name\nx\n", "text/csv; charset=utf-8", 422, "BATCH_FILE"),
        (b'{"enterprise": 1}', "application/x-ndjson", 422, "BATCH_FILE"),
        (b"[]", "application/xml", 415, "MEDIA_TYPE"),
        (b"[]", "application/json", 422, "BATCH_FILE"),
        (b"enterprise\n" + b"x\n" * (MAX_ROWS + 1), "text/csv", 422, "BATCH_FILE"),
    ],
)
def test_a_wrong_file_is_refused_whole(api: RunningApi, content: bytes, media: str, status: int, code: str) -> None:
    with api.client() as client:
        before = [batch["id"] for batch in client.get("/v1/batches").json()["items"]]
        refused = client.post("/v1/batches", content=content, headers={"Content-Type": media})
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert [batch["id"] for batch in client.get("/v1/batches").json()["items"]] == before


def test_a_file_sent_twice_under_one_key_is_one_batch(api: RunningApi) -> None:
    with api.client() as client:
        lines = ["enterprise", *codes(2)]
        first, second = (send(client, lines, **{"Idempotency-Key": "file"}) for _ in range(2))
        other = send(client, ["enterprise", *codes(3)], **{"Idempotency-Key": "file"})
    assert first.content == second.content
    assert other.status_code == 409


def test_a_consent_is_forgotten_once_its_row_is_answered(api: RunningApi) -> None:
    code = codes()[20]
    token = api.federation.consent_of(code)
    with api.client() as client:
        batch = finished(client, send(client, ["enterprise,consent", f"{code},{token}"]).headers["location"])
    assert batch["ok"] == 1
    assert api.database.do(lambda c: c.execute("SELECT count(*) FROM batch_row WHERE consent != ''").fetchone()) == (0,)
