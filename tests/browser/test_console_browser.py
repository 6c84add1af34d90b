"""The console in a real Chromium: what people see and do, and what the browser itself finds of the proofs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from federation.audit import AuditLog
from federation.audit.reading.log_view import StoredLog
from federation.console.accounts import Accounts, Role
from federation.console.app import make_console
from federation.console.context import Console
from federation.console.index import Index
from protocols.transparency.hashing import EMPTY_ROOT, leaf_hash
from protocols.transparency.prover import Frontier, consistency_path, inclusion_path
from tests.browser.chromium import Browser
from tests.browser.serving import served
from tests.console_site import NOW, SIGNER, Book, make_site, question, reference, sources

PASSWORD = "correct horse battery"  # noqa: S105  of an account that lives as long as a test
DONE = "document.documentElement.dataset.proofs === 'done'"
QUERY = f"/queries/{reference(4).hex()}"
PAGES = ("/overview", "/timeline", "/entries/40", QUERY, "/alarms", "/objections", "/witnesses", "/health", "/nothing")
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_site(tmp_path_factory.mktemp("browser") / "site")
    (folder / "console").mkdir()
    return folder


@pytest.fixture(scope="module")
def console(site: Path) -> Iterator[Console]:
    with (
        closing(Accounts(site / "console")) as accounts,
        closing(Index(site / "console" / "index.sqlite")) as index,
    ):
        made = make_console(sources(site, Book()), accounts, index, lambda: NOW)
        made.examiner.examine()
        yield made


@pytest.fixture(scope="module")
def address(console: Console) -> Iterator[str]:
    with served(console) as url:
        yield url


@pytest.fixture
def auditor(browser: Browser, console: Console, address: str) -> Browser:
    """The browser, logged in as an auditor, in English, with a fresh record of what it did."""
    enter(browser, console, address, "lin.wei", Role.AUDITOR)
    browser.size(1280, 800)
    browser.requests.clear()
    browser.complaints.clear()
    return browser


def enter(browser: Browser, console: Console, address: str, name: str, role: Role) -> None:
    """Log in as a person would, the account set up if it is not yet."""
    browser.forget()
    browser.language("en")
    if name not in {one.name for one in console.accounts.every()}:
        token = console.accounts.add(name, role, console.clock())
        browser.open(f"{address}/setup")
        for field, value in (("name", name), ("token", token), ("password", PASSWORD), ("again", PASSWORD)):
            browser.fill(f"input[name={field}]", value)
        browser.submit("main button")
        assert "Your password is set" in browser.text()
    browser.open(f"{address}/login")
    browser.fill("input[name=name]", name)
    browser.fill("input[name=password]", PASSWORD)
    browser.submit("main button")
    assert name in browser.text("header")


def test_people_come_in_by_token_and_password_and_leave(browser: Browser, console: Console, address: str) -> None:
    enter(browser, console, address, "zhang.min", Role.OPERATOR)
    (cookie,) = [one for one in browser.cookies() if one["name"] == "credfed_console"]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    assert browser.evaluate("document.cookie") == ""
    assert "not connected" in browser.text("main")
    assert "Timeline" not in browser.text("header")
    browser.open(f"{address}/timeline")
    assert "Your role does not include this page" in browser.text("main")
    browser.submit("header button")
    assert browser.evaluate("location.pathname") == "/login"
    browser.open(f"{address}/health")
    assert browser.evaluate("location.pathname") == "/login"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_fits_its_window_and_asks_nobody_else(
    auditor: Browser, address: str, width: int, language: str
) -> None:
    auditor.size(width, 800)
    auditor.open(f"{address}/language?to={language}&back=/overview")
    for page in PAGES:
        auditor.open(address + page)
        assert auditor.evaluate("document.documentElement.lang").startswith(language)
        assert auditor.evaluate("document.documentElement.scrollWidth <= innerWidth"), page
        assert auditor.evaluate("document.querySelectorAll('h1').length") == 1
    foreign = [one for one in auditor.requests if not one.startswith((address + "/", "data:"))]
    assert foreign == []
    assert [one for one in auditor.complaints if "404" not in one] == []


def test_a_query_is_proved_by_the_browser_itself(auditor: Browser, address: str) -> None:
    auditor.open(address + QUERY)
    auditor.wait(DONE)
    results = auditor.evaluate("[...document.querySelectorAll('[data-inclusion]')].map(e => e.dataset.result)")
    assert results == ["holds"] * 6
    texts = auditor.evaluate("[...document.querySelectorAll('[data-inclusion]')].map(e => e.textContent)")
    assert set(texts) == {"path · log's signature · 5/5 witnesses"}
    assert "6 proofs" in auditor.text("main")


@pytest.mark.parametrize("part", ["leaf", "path", "index", "root", "signature", "cosignatures"])
def test_the_browser_finds_what_a_lying_server_changed(auditor: Browser, address: str, part: str) -> None:
    """The page is delivered with one part of the proof altered, and a server that claims that it holds."""
    auditor.open(address + "/entries/40")
    auditor.wait(DONE)
    assert auditor.evaluate("document.querySelector('[data-inclusion]').dataset.result") == "holds"
    outcome = auditor.evaluate(
        f"""(async () => {{
            const place = document.querySelector('[data-inclusion]'), sheet = document.getElementById('proof-sheet');
            const proof = JSON.parse(place.dataset.inclusion), notes = JSON.parse(sheet.dataset.notes);
            const flip = (text) => (text[0] === 'A' ? 'B' : 'A') + text.slice(1);
            const part = {json.dumps(part)}, lines = notes[proof.note].split('\\n');
            if (part === 'leaf') proof.leaf = flip(proof.leaf);
            if (part === 'path') proof.path[2] = flip(proof.path[2]);
            if (part === 'index') proof.index += 1;
            if (part === 'root') lines[2] = flip(lines[2]);
            const forge = (line) => {{
                const cut = line.lastIndexOf(' ') + 20;
                return line.slice(0, cut) + flip(line.slice(cut));
            }};
            if (part === 'signature') lines[4] = forge(lines[4]);
            if (part === 'cosignatures') for (const line of [5, 6]) lines[line] = forge(lines[line]);
            notes[proof.note] = lines.join('\\n');
            place.dataset.inclusion = JSON.stringify(proof);
            sheet.dataset.notes = JSON.stringify(notes);
            delete document.documentElement.dataset.proofs;
            document.dispatchEvent(new Event('DOMContentLoaded'));
        }})()"""
    )
    assert outcome is None
    auditor.wait(DONE)
    assert auditor.evaluate("document.querySelector('[data-inclusion]').dataset.result") == "fails"


class _Tree:
    """A tree in memory, from which the prover reads."""

    def __init__(self, size: int) -> None:
        self._nodes: dict[tuple[int, int], bytes] = {}
        self.roots, frontier = [EMPTY_ROOT], Frontier()
        for number in range(size):
            frontier, nodes = frontier.push(leaf_hash(bytes([number])))
            self._nodes |= {(node.level, node.index): node.hash for node in nodes}
            self.roots.append(frontier.root())

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """Subtrees' hashes."""
        return [self._nodes[place] for place in places]


def test_the_browsers_verifier_accepts_all_proofs_of_small_trees_and_no_other(auditor: Browser, address: str) -> None:
    size = 17
    tree = _Tree(size)
    inclusion = [
        [leaf_hash(bytes([i])).hex(), i, n, [h.hex() for h in inclusion_path(tree, i, n)], tree.roots[n].hex()]
        for n in range(1, size + 1)
        for i in range(n)
    ]
    consistency = [
        [m, n, tree.roots[m].hex(), tree.roots[n].hex(), [h.hex() for h in consistency_path(tree, m, n)]]
        for n in range(size + 1)
        for m in range(n + 1)
    ]
    auditor.open(address + "/health")
    script = """(async () => {
        const hex = Merkle.fromHex, hexes = (list) => list.map(hex), wrong = [];
        const other = (bytes) => bytes.map((byte, place) => (place ? byte : byte ^ 1));
        for (const [leaf, i, n, path, root] of INCLUSION) {
            const check = Merkle.inclusion, p = hexes(path), r = hex(root), l = hex(leaf);
            if (!(await check(l, i, n, p, r))) wrong.push(["inclusion", i, n]);
            const bad = [[other(l), i, n, p, r], [l, i, n, p, other(r)], [l, i, n, [...p, r], r], [l, n, n, p, r],
                [l, -1, n, p, r], [l, i, n, p.slice(1), n > 1 ? r : other(r)], [l, 0.5, n, p, r],
                [l, i, n, [p[0] || l, ...p], r]];
            if (n > 1) bad.push([l, i ^ 1, n, p, r], [l, i, n, [other(p[0]), ...p.slice(1)], r]);
            for (const one of bad) if (await check(...one)) wrong.push(["accepted", i, n, one[1], one[2]]);
        }
        for (const [m, n, before, after, path] of CONSISTENCY) {
            const p = hexes(path), a = hex(before), b = hex(after), check = Merkle.consistency;
            if (!(await check(m, n, a, b, p))) wrong.push(["consistency", m, n]);
            const bad = [[m, n, other(a), b, p], [m, n, a, b, [...p, b]], [n + 1, n, a, b, p]];
            if (m > 0) bad.push([m, n, a, other(b), p]);
            if (0 < m && m < n) bad.push([m, n, a, b, p.slice(1)], [m, n, a, b, []]);
            for (const one of bad) if (await check(...one)) wrong.push(["accepted", m, n]);
        }
        return JSON.stringify(wrong);
    })()"""
    script = script.replace("INCLUSION", json.dumps(inclusion)).replace("CONSISTENCY", json.dumps(consistency))
    assert auditor.evaluate(script) == "[]"


def test_checkpoints_are_tied_together_and_the_browser_remembers_the_last(
    auditor: Browser, address: str, site: Path
) -> None:
    auditor.open(f"{address}/witnesses")
    auditor.wait(DONE)
    auditor.evaluate("localStorage.clear()")
    auditor.open(f"{address}/witnesses")
    auditor.wait(DONE)
    results = auditor.evaluate("[...document.querySelectorAll('[data-consistency]')].map(e => e.dataset.result)")
    assert results == ["holds", "holds"]
    assert "for the first time" in auditor.text("#memory")
    with AuditLog(site / "coordinator" / "log.sqlite", SIGNER, StoredLog(site).keys.witnesses) as log:
        log.append(question(300, 0))
        log.checkpoint()
    auditor.open(f"{address}/witnesses")
    auditor.wait(DONE)
    assert "453 entries extends the one of 433" in auditor.text("#memory")
    auditor.evaluate(
        "localStorage.setItem(Object.keys(localStorage)[0], JSON.stringify({size: 433, root: '00'.repeat(32)}))"
    )
    auditor.open(f"{address}/witnesses")
    auditor.wait(DONE)
    assert auditor.evaluate("document.getElementById('memory').dataset.result") == "fails"
    assert "does NOT extend" in auditor.text("#memory")


def test_filters_change_the_list_in_place_and_the_address_with_it(auditor: Browser, address: str) -> None:
    auditor.open(f"{address}/timeline")
    auditor.evaluate("globalThis.marked = true")
    auditor.fill("select[name=kind]", "DENY")
    auditor.wait("location.search.includes('kind=DENY') && !document.querySelector('#results .k-request')")
    assert auditor.evaluate("globalThis.marked === true")
    assert set(auditor.evaluate("[...document.querySelectorAll('#results .kind')].map(e => e.textContent)")) == {"DENY"}
    auditor.fill("input[name=tag]", "no tag")
    auditor.wait("document.querySelector('#results .verdict.bad')")
    auditor.open(f"{address}/timeline?bank=nobody")
    assert "No entry matches" in auditor.text("#results")


def test_the_keyboard_alone_leads_to_the_content(auditor: Browser, address: str) -> None:
    auditor.open(f"{address}/timeline")
    auditor.press("Tab")
    assert auditor.evaluate("document.activeElement.className") == "skip"
    auditor.press("Enter")
    auditor.wait("document.activeElement.id === 'content'")


def test_a_session_that_ended_sends_the_next_click_to_the_door(
    auditor: Browser, console: Console, address: str
) -> None:
    auditor.open(f"{address}/timeline")
    console.accounts.reset("lin.wei", console.clock())
    console.accounts.remove("lin.wei")
    auditor.fill("select[name=kind]", "DENY")
    auditor.wait("location.pathname === '/login'")


def test_an_injected_script_does_not_run(auditor: Browser, address: str) -> None:
    auditor.open(f"{address}/health")
    auditor.evaluate(
        """(() => {
            const script = document.createElement('script');
            script.textContent = 'globalThis.owned = true';
            document.body.append(script);
            document.body.insertAdjacentHTML('beforeend', '<img src="x" onerror="globalThis.owned = true">');
            const far = document.createElement('script');
            far.src = 'https://evil.example/x.js';
            document.body.append(far);
        })()"""
    )
    auditor.wait("true")
    assert auditor.evaluate("globalThis.owned === undefined")
    assert any("Content Security Policy" in one for one in auditor.complaints)
