"""Every page: what it shows, what it records, what it must never let through, in both languages."""

from __future__ import annotations

import dataclasses
import re
from importlib import resources
from pathlib import Path

import msgspec
import pytest
from console_door import EVIL, Door, open_door
from fastapi.testclient import TestClient

from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.storage.rows import LogReader
from federation.console.accounts import Role
from federation.console.guard import POLICY
from federation.console.health import PartyState
from federation.console.pages.timeline import PAGE_SIZE
from federation.console.phrases import PHRASES
from federation.console.sentences import CHINESE
from federation.console.wording import Language, Words, preferred
from protocols.errors import ConfigurationError
from protocols.transparency import LeafCommitment, LeafKind, parse_log_proof
from tests.console_site import HEALTH, NODES, Book, history, make_site, reference

PAGES = (
    "/overview",
    "/timeline",
    "/timeline?kind=DENY&bank=bank_b",
    "/timeline?bank=nobody",
    "/timeline?tag=xyz&since=never",
    "/entries/0",
    "/entries/445",
    f"/queries/{reference(4).hex()}",
    f"/queries/{reference(91).hex()}",
    "/alarms",
    "/alarms?rule=off_hours",
    "/objections",
    "/objections?state=overdue",
    "/witnesses",
    "/witnesses?below=433",
    "/health",
    "/nothing",
    "/entries/446",
    "/login",
    "/setup",
)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", list(Language))
def test_every_page_stands_in_both_languages_under_a_policy_without_inline_code(
    auditor: TestClient, page: str, language: Language
) -> None:
    answer = auditor.get(page, headers={"accept-language": language.tag})
    assert answer.status_code in (200, 404, 422)
    assert f'<html lang="{language.tag}"' in answer.text
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert "unsafe" not in POLICY
    assert not re.findall(r"<[^>]+ (?:style|on[a-z]+|hx-on[^=]*|hx-vals)=", answer.text)
    assert all(" src=" in script for script in re.findall(r"<script[^>]*>", answer.text))
    loaded = re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"([^\"]*)", answer.text)
    assert loaded
    assert all(address.startswith("/static/") for address in loaded)
    chinese = re.search(r"[\u4e00-\u9fff]{2}", answer.text.replace("中文", ""))
    assert (chinese is not None) == (language is Language.CHINESE)


def test_every_text_is_used_and_none_is_missing() -> None:
    templates = resources.files("federation.console") / "templates"
    sources = [path.read_text("utf-8") for path in templates.iterdir()]
    root = Path(str(templates)).parent
    sources += [path.read_text("utf-8") for path in root.rglob("*.py") if path.parent.name != "phrases"]
    named = {key for text in sources for key in re.findall(r"[\"(]([a-z_]+(?:\.[a-z_0-9]+)?)[\")]", text)}
    made = (
        "rule.",
        "ground.",
        "reason.",
        "objection.",
        "role.",
        "nav.",
        "timeline.",
        "error.",
        "body.say_",
        "story.",
        "leaf.",
        "kind.",
        "field.",
        "decision.",
        "purpose.",
        "leak.",
        "failure.",
    )
    assert [key for key in PHRASES if key not in named and not key.startswith(made)] == []
    assert all(english.strip() and chinese.strip() for english, chinese in PHRASES.values())
    for key, (english, chinese) in PHRASES.items():
        places = [sorted(set(re.findall(r"{(\w+)}", text))) for text in (english, chinese)]
        assert places[0] == places[1], key
    assert set(CHINESE) == {kind.value for kind in LeafKind}


def test_every_entry_is_told_in_chinese_with_the_same_names_and_numbers() -> None:
    english, chinese = Words(Language.ENGLISH), Words(Language.CHINESE)
    for group in history():
        for leaf in group:
            pair = [words.sentence(leaf.commitment()) for words in (english, chinese)]
            assert leaf.actor in pair[0]
            assert leaf.actor in pair[1]
            hashes = [sorted(re.findall(r"\b[0-9a-f]{12}\b", text)) for text in pair]
            assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [("", "zh-CN,en", "zh"), ("en", "zh", "en"), ("", "de,zh", "en"), ("xx", "zh-TW", "zh"), ("", "", "en")],
)
def test_the_language_is_the_chosen_one_or_the_browsers_first(cookie: str, accepted: str, language: str) -> None:
    assert preferred(cookie, accepted).value == language


# ---- the timeline


def indices(text: str) -> list[int]:
    """The entries of a timeline's page, in order."""
    return [int(found) for found in re.findall(r'<td class="num"><a href="/entries/(\d+)">', text)]


def test_pages_follow_each_other_without_a_gap_and_back(auditor: TestClient) -> None:
    seen, address, addresses = [], "/timeline", list[str]()
    while address:
        addresses.append(address)
        text = auditor.get(address).text
        seen.append(indices(text))
        older = re.search(r'rel="next" href="([^"]+)"', text)
        address = older[1].replace("&amp;", "&") if older else ""
    flat = [index for page in seen for index in page]
    assert len(flat) == 446
    assert sorted(flat) == list(range(446))
    assert [len(page) for page in seen[:-1]] == [PAGE_SIZE] * 8
    newer = re.search(r'rel="prev" href="([^"]+)"', auditor.get(addresses[2]).text)
    assert newer is not None
    assert indices(auditor.get(newer[1].replace("&amp;", "&")).text) == seen[1]


@pytest.mark.parametrize(
    "address",
    [
        "/timeline?since=" + "9" * 300,
        "/timeline?since=10000-01-01&until=0000-00-00",
        "/timeline?before=1.2.3",
        "/timeline?before=" + "9" * 40 + ".1",
        "/timeline?after=-1.-1",
        "/timeline?kind=REQUEST'--",
        "/timeline?kind=request",
        "/timeline?model=%zz",
        "/timeline?tag=" + "a" * 63,
        "/timeline?bank=" + "b" * 129,
        "/timeline?bank=%00",
        "/timeline?actor=%3Cscript%3E",
        "/witnesses?below=99999999999999999999",
        "/witnesses?below=-1",
        "/witnesses/growth?old=0&new=1",
        "/witnesses/growth?old=9&new=3",
        "/witnesses/growth?old=1&new=999999",
        "/witnesses/growth?old=a",
        "/entries/-1",
        "/entries/01",
        "/entries/" + "9" * 30,
        "/entries/1e3",
        "/entries/%F0%9F%92%A9",
        "/entries/9999/proof",
        "/queries/",
        "/queries/zz",
        "/queries/abc",
        "/queries/" + "ab" * 65,
        "/queries/" + "ab" * 16,
        "/alarms?rule=" + "x" * 3000,
        "/objections?state=%27",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_address_makes_the_console_fail_or_quote_it(auditor: TestClient, address: str) -> None:
    answer = auditor.get(address)
    assert answer.status_code in (200, 404, 422)
    assert "<script>" not in answer.text.replace('<script src="/static/', "")
    assert "Traceback" not in answer.text
    assert answer.headers["content-security-policy"] == POLICY


def test_what_was_typed_comes_back_as_text(auditor: TestClient) -> None:
    for field in ("since", "until", "kind", "bank", "actor", "purpose", "decision", "model", "tag", "rule", "state"):
        for page in ("/timeline", "/alarms", "/objections", "/login"):
            text = auditor.get(page, params={field: EVIL}).text
            assert "<script>alert" not in text
            assert "<img" not in text
            assert "\u202e" not in text


def test_hostile_texts_of_leaves_parties_and_witnesses_are_shown_as_texts(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = LoggedLeaf.commitment

    def hostile(logged: LoggedLeaf) -> LeafCommitment:
        leaf = read(logged)
        msgspec.structs.force_setattr(leaf, "actor", EVIL)
        msgspec.structs.force_setattr(leaf, "purpose", EVIL)
        values = tuple((name, EVIL if isinstance(value, str) else value) for name, value in leaf.attributes)
        msgspec.structs.force_setattr(leaf, "attributes", values)
        return leaf

    parties = (PartyState(EVIL, EVIL, True, EVIL, 1), *HEALTH.parties)
    evil = dataclasses.replace(HEALTH, parties=parties, software=EVIL)
    object.__setattr__(door.console.sources, "health", lambda: evil)
    object.__setattr__(door.console.sources, "name", EVIL)
    monkeypatch.setattr(LoggedLeaf, "commitment", hostile)
    browser = door.enter()
    door.console.examiner.examine()
    for page in PAGES:
        text = browser.get(page).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "\u202e" not in text
    assert "&lt;script&gt;alert" in browser.get("/entries/3").text


# ---- entries, queries, proofs


def test_an_entry_shows_its_fields_and_a_proof_that_holds(auditor: TestClient, shared: Door) -> None:
    text = auditor.get("/entries/40").text
    assert "in the tree of 433 entries" in text
    assert text.count('class="verdict good"') == 1
    proof = parse_log_proof(auditor.get("/entries/40/proof").content)
    with shared.sources.open_log() as log:
        proof.verify(log.leaf(40).data, log.keys)


def test_a_query_is_told_whole_with_a_proof_for_each_step(auditor: TestClient) -> None:
    text = auditor.get(f"/queries/{reference(4).hex()}").text
    for word in ("REQUEST", "RELEASE", "DENY", "ACK", "CONSENT_EXPIRED", "DENIED", *NODES):
        assert word in text
    assert text.count("data-inclusion=") == text.count('class="verdict good"') == 6
    assert "The log&#39;s own story is whole" in text
    for after in ("+0 ms", "+18 ms", "+88 ms"):
        assert after in text


def test_a_query_that_is_not_whole_says_what_is_missing(auditor: TestClient) -> None:
    text = auditor.get(f"/queries/{reference(91).hex()}").text
    assert "ACK_MISSING" in text
    assert "not witnessed yet" in text


def test_a_leaf_that_was_altered_in_the_file_is_shown_as_not_proved(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    with door.sources.open_log() as log:
        theirs = log.leaf(43)
    honest = LogReader.leaves

    def forged(reader: LogReader, start: int, end: int) -> list[tuple[int, bytes, bytes, bytes]]:
        return [
            (index, theirs.data if index == 44 else data, body, chain)
            for index, data, body, chain in honest(reader, start, end)
        ]

    browser = door.enter()
    assert browser.get("/entries/44").status_code == 200
    monkeypatch.setattr(LogReader, "leaves", forged)
    for page in ("/entries/44", f"/queries/{reference(4).hex()}"):
        text = browser.get(page).text
        assert "DOES NOT HOLD" in text
        assert "INCLUSION_PROOF" in text


def test_each_look_is_recorded_with_its_auditor_before_the_page_is_shown(door: Door) -> None:
    browser = door.enter()
    for page, name, leaves in (
        ("/entries/7", "entry", (7,)),
        ("/entries/7/proof", "proof", (7,)),
        (f"/queries/{reference(4).hex()}", "query", tuple(range(42, 48))),
    ):
        browser.get(page)
        last = door.book.looks[-1]
        assert (last.auditor, last.page, last.leaves) == ("lin.wei", name, leaves)
    browser.get("/timeline")
    assert (door.book.looks[-1].page, len(door.book.looks[-1].leaves)) == ("timeline", PAGE_SIZE)
    browser.get("/objections")
    assert door.book.looks[-1].page == "objections"
    number = len(door.book.looks)
    for page in ("/overview", "/witnesses", "/health", "/timeline?bank=nobody", "/alarms"):
        browser.get(page)
    assert len(door.book.looks) == number
    door.console.examiner.examine()
    browser.get("/alarms")
    assert door.book.looks[-1].page == "alarms"


def test_a_look_that_cannot_be_recorded_shows_nothing(door: Door) -> None:
    browser = door.enter()
    door.console.examiner.examine()
    door.book.error = ConfigurationError("the log is full", code="LOG_NOT_WRITABLE")
    for page in (
        "/timeline",
        "/entries/7",
        "/entries/7/proof",
        f"/queries/{reference(4).hex()}",
        "/alarms",
        "/objections",
    ):
        answer = browser.get(page)
        assert answer.status_code == 503
        assert "LOG_NOT_WRITABLE" in answer.text
        assert not any(word in answer.text for word in ("masked share", "bank_a", "out of hours", "overdue"))


# ---- alarms, witnesses, health, objections


def test_alarms_come_from_the_examination_and_can_be_narrowed(auditor: TestClient) -> None:
    text = auditor.get("/alarms").text
    for word in ("out of hours", "objection overdue", "does not reconcile", "250 enterprises"):
        assert word in text
    narrowed = auditor.get("/alarms?rule=off_hours").text
    assert narrowed.count('class="flag"') == 1


def test_before_the_first_examination_nothing_is_claimed(door: Door) -> None:
    browser = door.enter()
    assert "The log is being examined" in browser.get("/overview").text
    assert "The log verifies" not in browser.get("/overview").text
    assert "No alarm" not in browser.get("/alarms").text


def test_a_log_that_does_not_verify_says_so_and_has_no_alarms(tmp_path: Path) -> None:
    folder = make_site(tmp_path / "site")
    witnessed = folder / "coordinator" / "log.witnessed"
    witnessed.write_bytes(witnessed.read_bytes().replace(b"433", b"432"))
    (tmp_path / "home").mkdir()
    door = open_door(folder, tmp_path / "home")
    browser, found = door.enter(), door.console.examiner.examine()
    assert found.alarms is None
    for page in ("/overview", "/alarms"):
        assert "The log does not verify" in browser.get(page).text
    assert "The log verifies" not in browser.get("/overview").text


def test_witnesses_show_who_cosigned_and_that_each_checkpoint_extends_the_last(auditor: TestClient) -> None:
    text = auditor.get("/witnesses").text
    assert text.count("data-consistency=") == 2
    assert text.count('class="seal"') == 14
    assert "A checkpoint counts with 4 of 5 witnesses" in text
    assert auditor.get("/witnesses/growth?old=14&new=446").json()["path"]


def test_health_names_what_is_wrong(auditor: TestClient, tmp_path: Path, site: Path) -> None:
    text = auditor.get("/health").text
    for word in ("2 of 5 parties not connected", "EXPIRED", "3 days left", "not the coordinator&#39;s", "list 812"):
        assert word in text
    (tmp_path / "other").mkdir()
    copy = open_door(site, tmp_path / "other", live=False)
    assert "copy of the log" in copy.enter().get("/health").text


def test_objections_stand_in_the_order_of_their_urgency(auditor: TestClient) -> None:
    text = auditor.get("/objections").text
    states = re.findall(r'class="state s-(\w+)"', text)
    assert states == ["overdue", "pending", "rejected", "corrected"]
    assert "5 days over" in text
    assert "15 days left" in text


def test_an_empty_log_has_pages_too(tmp_path: Path) -> None:
    folder = make_site(tmp_path / "site", [[]], witnessed=0)
    (tmp_path / "home").mkdir()
    door = open_door(folder, tmp_path / "home")
    browser = door.enter()
    door.console.examiner.examine()
    for page in ("/overview", "/timeline", "/alarms", "/objections", "/witnesses", "/health"):
        assert browser.get(page).status_code == 200, page
    assert "holds no entry yet" in browser.get("/timeline").text


def test_a_look_book_that_is_not_the_log_says_so(site: Path, tmp_path: Path) -> None:
    door = open_door(site, tmp_path)
    object.__setattr__(door.console.sources, "looks", _Local())
    assert "recorded beside the console" in door.enter(Role.AUDITOR).get("/timeline").text


class _Local(Book):
    logged = False


def test_what_was_asked_for_goes_with_the_look(door: Door) -> None:
    browser = door.enter()
    browser.get("/timeline?bank=bank_a&kind=")
    assert door.book.looks[-1].selection == {"bank": "bank_a"}
    browser.get("/entries/7")
    assert door.book.looks[-1].selection == {"entry": "7"}
