"""Who gets in: passwords, tokens, sessions, roles; and what a page of another site can do, which is nothing."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from console_door import PASSWORD, SECURE, Door

from federation.console import accounts as rules
from federation.console.access import COOKIE
from federation.console.accounts import ACCOUNTS_FILE, IDLE_SECONDS, SESSION_SECONDS, SETUP_SECONDS, Role
from federation.console.brake import TRIES_BY_NAME, TRIES_IN_ALL, WINDOW_SECONDS, Brake
from federation.console.guard import MAX_BODY
from protocols.errors import ConfigurationError
from tests.console_site import reference

ENTRY_PAGES = (
    "/overview",
    "/timeline",
    "/entries/3",
    "/entries/3/proof",
    f"/queries/{reference(4).hex()}",
    "/alarms",
    "/objections",
)
SHARED_PAGES = ("/witnesses", "/witnesses/growth?old=14&new=214", "/health")


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretch passwords little: how long it takes is not what is tested here."""
    monkeypatch.setattr(rules, "_COST", 1 << 8)


def test_nobody_sees_anything_without_logging_in(door: Door) -> None:
    browser = door.visit()
    for page in (*ENTRY_PAGES, *SHARED_PAGES, "/"):
        answer = browser.get(page)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert answer.text == ""
    answer = browser.get("/timeline", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login")
    assert door.book.looks == []


def test_an_operator_sees_health_and_witnesses_and_no_entry(door: Door) -> None:
    browser = door.enter(Role.OPERATOR, "ops")
    assert browser.get("/").headers["location"] == "/health"
    for page in SHARED_PAGES:
        assert browser.get(page).status_code == 200
    for page in ENTRY_PAGES:
        answer = browser.get(page)
        assert answer.status_code == 403
        assert not any(word in answer.text for word in ("bank_a", "RELEASE", "masked share", "sealed to"))
    assert browser.post("/examine", data={"csrf": csrf(browser.get("/health").text)}).status_code == 403
    assert door.book.looks == []


def test_a_session_is_a_cookie_that_scripts_and_other_sites_never_see(door: Door) -> None:
    token = door.accounts.add("lin.wei", Role.AUDITOR, door.clock())
    door.accounts.set_up("lin.wei", token, PASSWORD, door.clock())
    answer = door.visit().post("/login", data={"name": "Lin.Wei ", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for attribute in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie


def test_sessions_end_when_idle_when_old_and_with_their_account(door: Door) -> None:
    browser = door.enter()
    door.clock.now += IDLE_SECONDS - 1
    assert browser.get("/overview").status_code == 200
    door.clock.now += IDLE_SECONDS
    assert browser.get("/overview").status_code == 303
    browser = door.enter()
    for _ in range(SESSION_SECONDS // (IDLE_SECONDS - 1) + 1):
        door.clock.now += IDLE_SECONDS - 1
        last = browser.get("/overview").status_code
    assert last == 303
    browser = door.enter()
    door.accounts.remove("lin.wei")
    assert browser.get("/overview").status_code == 303


def test_logging_out_ends_the_session_for_whoever_copied_its_cookie(door: Door) -> None:
    browser, thief = door.enter(), door.visit()
    thief.cookies.set(COOKIE, browser.cookies[COOKIE], domain="127.0.0.1")
    assert thief.get("/overview").status_code == 200
    assert browser.post("/logout", data={"csrf": csrf(browser.get("/overview").text)}).status_code == 303
    assert thief.get("/overview").status_code == 303


def test_a_form_without_the_sessions_token_is_refused(door: Door) -> None:
    browser, other = door.enter(), door.enter(name="other")
    foreign = csrf(other.get("/overview").text)
    for path in ("/logout", "/examine"):
        for body in ({}, {"csrf": ""}, {"csrf": foreign}, {"csrf": "é"}):
            assert browser.post(path, data=body).status_code == 403
    assert browser.get("/overview").status_code == 200
    assert not door.console.examiner.busy


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": SECURE.replace("127.0.0.1", "localhost")},
        {"origin": "", "sec-fetch-site": "cross-site"},
        {"origin": SECURE, "host": "evil.example"},
        {"host": "127.0.0.1.evil.example:8470"},
    ],
)
def test_what_comes_from_another_site_or_by_a_strange_name_is_refused(door: Door, headers: dict[str, str]) -> None:
    browser = door.enter()
    body = {"csrf": csrf(browser.get("/overview").text)}
    assert browser.post("/examine", data=body, headers=headers).status_code in (403, 421)
    if "host" in headers:
        assert browser.get("/overview", headers=headers).status_code == 421
    assert not door.console.examiner.busy


def test_wrong_names_and_wrong_passwords_look_alike(door: Door) -> None:
    door.enter()
    answers = [
        door.visit().post("/login", data={"name": name, "password": word})
        for name, word in (("lin.wei", "wrong"), ("nobody", "wrong"), ("lin.wei", ""), ("' OR 1=1 --", PASSWORD))
    ]
    assert {answer.status_code for answer in answers} == {401}
    verdicts = {re.sub(r'value="[^"]*"', "", answer.text) for answer in answers}
    assert len(verdicts) == 1


def test_guessing_is_braked_for_the_name_and_the_right_password_waits_too(door: Door) -> None:
    door.enter()
    for _ in range(TRIES_BY_NAME):
        assert door.visit().post("/login", data={"name": "lin.wei", "password": "guess"}).status_code == 401
    answer = door.visit().post("/login", data={"name": "lin.wei", "password": PASSWORD})
    assert answer.status_code == 429
    assert "set-cookie" not in answer.headers
    assert door.enter(name="other").get("/overview").status_code == 200


def test_the_brake_lets_go_after_its_window_and_counts_all_names_together() -> None:
    now = 0.0
    brake = Brake(lambda: now)
    for number in range(TRIES_IN_ALL):
        assert brake.wait_seconds("fresh") == 0
        brake.failed(f"name{number}")
    assert brake.wait_seconds("fresh") == WINDOW_SECONDS
    now = WINDOW_SECONDS + 1
    assert brake.wait_seconds("fresh") == 0


def test_those_who_log_in_brake_nobody() -> None:
    brake = Brake(lambda: 0.0)
    for _ in range(2 * TRIES_IN_ALL):
        brake.failed("lin.wei")
        brake.passed("Lin.Wei")
    assert brake.wait_seconds("lin.wei") == brake.wait_seconds("other") == 0


def test_a_setup_token_works_once_in_time_for_its_own_name(door: Door) -> None:
    token = door.accounts.add("lin.wei", Role.AUDITOR, door.clock())
    other = door.accounts.add("other", Role.OPERATOR, door.clock())
    assert not door.accounts.set_up("lin.wei", other, PASSWORD, door.clock())
    assert not door.accounts.set_up("lin.wei", token, PASSWORD, door.clock() + SETUP_SECONDS)
    form = {"name": "lin.wei", "token": token, "password": PASSWORD, "again": PASSWORD}
    for wrong in ({"password": "short", "again": "short"}, {"again": PASSWORD + "x"}, {"token": "x"}):
        assert door.visit().post("/setup", data=form | wrong).status_code in (401, 422)
    assert door.visit().post("/setup", data=form).headers["location"] == "/login?ready=1"
    assert door.visit().post("/setup", data=form).status_code == 401
    assert door.accounts.log_in("lin.wei", PASSWORD, door.clock()) is not None
    assert door.accounts.log_in("other", "", door.clock()) is None


def test_a_reset_takes_password_and_sessions_away(door: Door) -> None:
    browser = door.enter()
    door.accounts.reset("lin.wei", door.clock())
    assert browser.get("/overview").status_code == 303
    assert door.accounts.log_in("lin.wei", PASSWORD, door.clock()) is None
    with pytest.raises(ConfigurationError):
        door.accounts.reset("nobody", door.clock())


@pytest.mark.parametrize("name", ["", "a", "Lin", "1ab", "a b", "lin\n", "x" * 33, "<b>", "../etc"])
def test_names_of_accounts_are_plain(door: Door, name: str) -> None:
    with pytest.raises(ConfigurationError):
        door.accounts.add(name, Role.AUDITOR, door.clock())


def test_the_file_of_accounts_holds_no_password_and_no_token_and_is_its_owners_alone(
    door: Door, tmp_path: Path
) -> None:
    browser = door.enter()
    setup = door.accounts.add("other", Role.AUDITOR, door.clock())
    path = tmp_path / ACCOUNTS_FILE
    with closing(sqlite3.connect(path)) as work:
        kept = repr(work.execute("SELECT * FROM account").fetchall() + work.execute("SELECT * FROM session").fetchall())
    assert "lin.wei" in kept
    for secret in (PASSWORD, setup, browser.cookies[COOKIE]):
        assert secret not in kept
    assert path.stat().st_mode & 0o077 == 0


def test_large_and_broken_forms_are_refused(door: Door) -> None:
    browser = door.visit()
    assert browser.post("/login", content=b"x" * (MAX_BODY + 1)).status_code == 413
    assert browser.post("/login", content=iter([b"name=a"])).status_code == 413
    for body in (b"\xff\xfe=1", b"&" * 4000, b"name=" + b"%00" * 500 + b"&password=%", b""):
        assert browser.post("/login", content=body).status_code == 401


@pytest.mark.parametrize(
    "back", ["//evil.example/", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\n"]
)
def test_changing_the_language_leads_nowhere_else(door: Door, back: str) -> None:
    answer = door.visit().get("/language", params={"to": "zh", "back": back})
    assert answer.headers["location"] == "/"
    assert door.visit().get("/language", params={"to": "<script>", "back": "/login"}).headers.get("set-cookie") is None


def csrf(page: str) -> str:
    """The token that a page's forms carry."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]
