"""The monthly reports in the console: made of what was verified, got as files, and each getting is on record."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from console_door import Door, open_door

from federation.audit.reports.month import read_month
from federation.console.accounts import Role
from federation.console.wanted import Wanted
from protocols.errors import ConfigurationError
from tests.console_site import make_site

MONTH = "2026-05"
FILES = [f"{MONTH}-{language}.{kind}" for language in ("zh", "en") for kind in ("html", "pdf")]


@pytest.fixture
def made(door: Door) -> Door:
    """A console whose log was examined, and one month's report made."""
    door.console.examiner.examine()
    door.console.reports.make(MONTH)
    return door


def test_every_month_of_the_log_is_offered_and_made_when_asked_for(door: Door) -> None:
    browser = door.enter()
    text = browser.get("/reports").text
    assert re.findall(r'action="/reports/([0-9-]+)"', text) == ["2026-06", "2026-05", "2026-04"]
    assert "the newest examination does not say so" in text
    assert text.count("disabled") == 3
    csrf = {"csrf": re.findall(r'name="csrf" value="([^"]+)"', text)[0]}
    assert browser.post(f"/reports/{MONTH}", data=csrf).status_code == 404
    door.console.examiner.examine()
    assert browser.post(f"/reports/{MONTH}", data=csrf).status_code == 303
    assert "is being made" in browser.get("/reports").text
    door.console.reports.stop()
    door.console.reports._keep()
    text = browser.get("/reports").text
    assert "is being made" not in text
    assert f"/reports/{MONTH}-zh.pdf" in text
    assert "446 entries, verified" in text


def test_a_report_is_a_page_and_a_pdf_in_both_languages(made: Door) -> None:
    browser = made.enter()
    english, chinese = (browser.get(f"/reports/{MONTH}-{language}.html") for language in ("en", "zh"))
    for text in ("bank_a", "Denials, and why"):
        assert text in english.text
    for text in ("审计月报", "2026 年 5 月"):
        assert text in chinese.text
    for name in FILES:
        answer = browser.get(f"/reports/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="audit-{name}"'
        assert answer.headers["cache-control"] == "no-store"
        assert answer.content.startswith(b"%PDF" if name.endswith("pdf") else b"<!DOCTYPE html>")


def test_getting_a_report_is_a_look_at_its_month(made: Door) -> None:
    browser = made.enter()
    month = read_month(MONTH)
    browser.get(f"/reports/{FILES[0]}")
    places = made.console.index.page(Wanted(month.since_ms, month.until_ms), 10_000).places
    look = made.book.looks[-1]
    leaves = [place.leaf for place in places]
    assert (look.page, look.leaves[0], look.leaves[-1]) == ("report", min(leaves), max(leaves))
    assert look.selection == {"month": MONTH, "language": "zh", "kind": "html"}
    made.book.error = ConfigurationError("the log is full", code="LOG_NOT_WRITABLE")
    answer = browser.get(f"/reports/{FILES[0]}")
    assert (answer.status_code, "审计月报" in answer.text) == (503, False)


@pytest.mark.parametrize(
    "name",
    [
        "2026-13-zh.html",
        f"{MONTH}-fr.html",
        f"{MONTH}-zh.json",
        f"{MONTH}.json",
        "..%2Faccounts.sqlite",
        "%2e%2e/%2e%2e/etc/passwd",
        f"{MONTH}-zh.html%00.pdf",
        f"{MONTH}-zh.html%0d%0aSet-Cookie:%20a=b",
        "2026-01-zh.html",
    ],
)
def test_no_name_leads_to_another_file(made: Door, name: str) -> None:
    answer = made.enter().get(f"/reports/{name}")
    assert (answer.status_code, "set-cookie" in answer.headers) == (404, False)
    assert made.console.reports.get("../accounts") is None


def test_an_operator_gets_no_report_and_a_form_of_another_session_makes_none(made: Door) -> None:
    operator, auditor = made.enter(Role.OPERATOR, "ops"), made.enter()
    assert {operator.get(f"/reports/{name}").status_code for name in FILES} == {403}
    assert operator.get("/reports").status_code == 403
    assert auditor.post("/reports/2026-06", data={"csrf": "x"}).status_code == 403
    assert made.console.reports.making("2026-06") is None


def test_a_log_that_does_not_verify_has_no_report(tmp_path: Path) -> None:
    folder = make_site(tmp_path / "site")
    witnessed = folder / "coordinator" / "log.witnessed"
    witnessed.write_bytes(witnessed.read_bytes().replace(b"433", b"432"))
    (tmp_path / "home").mkdir()
    door = open_door(folder, tmp_path / "home")
    door.console.examiner.examine()
    door.console.reports.make(MONTH)
    assert door.console.reports.get(MONTH) is None
    assert "disabled" in door.enter().get("/reports").text
