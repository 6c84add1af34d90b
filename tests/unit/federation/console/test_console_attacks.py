"""What a security team would try on the console beyond its doors and pages: each test is named after the attack."""

from __future__ import annotations

import dataclasses
import re
from contextlib import closing
from pathlib import Path

import pytest
from console_door import EVIL, PASSWORD, Door

from federation.audit.views.auditor_keys import create_auditor
from federation.console import accounts as rules
from federation.console.access import COOKIE
from federation.console.accounts import Accounts, Role
from protocols.channel.identity import PartyId

PLANTED = "a-token-that-the-attacker-knows"


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretch passwords little: how long it takes is not what is tested here."""
    monkeypatch.setattr(rules, "_COST", 1 << 8)


def test_session_fixation_a_planted_cookie_is_never_made_a_session(door: Door) -> None:
    door.enter()
    victim, attacker = door.visit(), door.visit()
    for browser in (victim, attacker):
        browser.cookies.set(COOKIE, PLANTED, domain="127.0.0.1")
    answer = victim.post("/login", data={"name": "lin.wei", "password": PASSWORD})
    given = re.findall(rf"{COOKIE}=([^;]+)", answer.headers["set-cookie"])
    assert (answer.status_code, PLANTED in given) == (303, False)
    assert attacker.get("/overview").status_code == 303


def test_session_fixation_the_session_that_a_browser_came_with_ends_when_it_logs_in_anew(door: Door) -> None:
    first, thief = door.enter(), door.visit()
    thief.cookies.set(COOKIE, first.cookies[COOKIE], domain="127.0.0.1")
    assert thief.get("/overview").status_code == 200
    first.post("/login", data={"name": "lin.wei", "password": PASSWORD})
    assert thief.get("/overview").status_code == 303


@pytest.mark.parametrize(
    "path",
    [
        "/static/../accounts.sqlite",
        "/static/..%2faccounts.py",
        "/static/%2e%2e/%2e%2e/cli/main.py",
        "/static//etc/passwd",
        "/static/..%5c..%5caccounts.sqlite",
        "/static/",
        "/entries/..%2f..%2faccounts/proof",
        "/entries/1%00/proof",
        "/queries/..%2f..%2faccounts.sqlite",
        "/reports/..%2faccounts.sqlite",
    ],
)
def test_path_traversal_leads_to_no_file(door: Door, path: str) -> None:
    answer = door.enter().get(path)
    assert answer.status_code == 404
    assert not any(word in answer.text for word in ("root:", "SQLite", "import annotations"))


@pytest.mark.parametrize(
    "path",
    [
        "/entries/3/proof%0d%0aSet-Cookie:%20owned=1",
        "/reports/2026-05-zh.html%0d%0aX-Owned:%201",
        "/language?to=zh&back=/%0d%0aSet-Cookie:%20owned=1",
        "/language?to=zh%0d%0aSet-Cookie:%20owned=1&back=/",
        "/login?ready=1%0d%0aX-Owned:%201",
    ],
)
def test_header_injection_adds_no_header(door: Door, path: str) -> None:
    answer = door.enter().get(path)
    assert "x-owned" not in answer.headers
    assert "owned" not in answer.headers.get("set-cookie", "")
    assert answer.headers.get("location", "/") == "/"


def test_role_escalation_an_operator_reaches_no_body_no_report_and_no_proof_by_any_method(door: Door) -> None:
    operator = door.enter(Role.OPERATOR, "ops")
    csrf = {"csrf": re.findall(r'name="csrf" value="([^"]+)"', operator.get("/health").text)[0]}
    for path in ("/entries/3/body", "/reports/2026-05", "/examine"):
        assert operator.post(path, data=csrf).status_code == 403
        assert operator.get(path).status_code in (403, 404, 405)
    for path in ("/entries/3", "/entries/3/proof", "/timeline", "/reports", "/reports/2026-05-zh.pdf"):
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            answer = operator.request(method, path)
            assert answer.status_code in (403, 405, 413), (method, path)
            assert "RELEASE" not in answer.text
    assert door.book.looks == []


def test_role_escalation_a_form_cannot_name_a_role(door: Door) -> None:
    token = door.accounts.add("ops", Role.OPERATOR, door.clock())
    form = {"name": "ops", "token": token, "password": PASSWORD, "again": PASSWORD, "role": "auditor", "keyed": "1"}
    browser = door.visit()
    assert browser.post("/setup", data=form).status_code == 303
    browser.post("/login", data={"name": "ops", "password": PASSWORD, "role": "auditor"})
    assert browser.get("/timeline").status_code == 403


def test_timing_an_unknown_name_a_wrong_password_and_a_lost_key_file_cost_the_same_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is counted is how often something is stretched: it is all the time that a login takes."""
    monkeypatch.setattr("federation.audit.views.auditor_keys._LOG2_COST", 8)
    stretched: list[str] = []
    ours, theirs = rules._stretch, rules.read_console_key
    monkeypatch.setattr(rules, "_stretch", lambda *asked: stretched.append("password") or ours(*asked))
    create_auditor(tmp_path / "chen", PartyId("chen"), PASSWORD)
    create_auditor(tmp_path / "lost", PartyId("lost"), PASSWORD)

    def key(path: Path, phrase: str) -> object:
        found = theirs(path, phrase) if path.parent.name == "lost" else None
        stretched.append("key")
        return theirs(path, phrase) if found is None else found

    monkeypatch.setattr(rules, "read_console_key", key)
    with closing(Accounts(tmp_path / "home")) as accounts:
        for name in ("chen", "lost"):
            accounts.add_auditor(tmp_path / name, 0)
        accounts.add("waits", Role.OPERATOR, 0)
        (tmp_path / "home" / "auditors" / "lost" / "console.key").unlink()
        for name in ("nobody", "waits", "chen", "lost", "' OR 1=1 --", ""):
            stretched.clear()
            assert accounts.log_in(name, "a wrong password", 0) is None
            assert len(stretched) == 1, name


def test_downgrade_a_console_under_tls_wants_browsers_to_stay_there(door: Door) -> None:
    assert door.visit().get("/login").headers["strict-transport-security"].startswith("max-age=")


def test_script_injection_by_a_name_in_an_address_reaches_no_attribute_of_a_page(door: Door) -> None:
    object.__setattr__(door.console, "sources", dataclasses.replace(door.console.sources, place=EVIL, name=EVIL))
    text = door.enter().get("/entries/42").text
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "\u202e" not in text


def test_forgery_opening_a_body_needs_the_sessions_own_token_and_origin(door: Door) -> None:
    browser = door.enter()
    token = re.findall(r'name="csrf" value="([^"]+)"', browser.get("/overview").text)[0]
    looks = len(door.book.looks)
    for body, headers in (
        ({}, {}),
        ({"csrf": "x"}, {}),
        ({"csrf": token}, {"origin": "https://evil.example"}),
        ({"csrf": token}, {"origin": "null"}),
    ):
        assert browser.post("/entries/42/body", data=body, headers=headers).status_code == 403
    assert len(door.book.looks) == looks
    assert browser.post("/entries/42/body", data={"csrf": token}).status_code == 200
    assert len(door.book.looks) == looks + 1
