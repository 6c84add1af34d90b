"""A sealed body opened in a real Chromium: by a key that the server never sees, and not without a leaf that says so."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from federation.audit.reading.log_view import StoredLog
from federation.audit.verify import verify_directory
from federation.audit.views.auditor_keys import AUDITOR_FILE, create_auditor
from federation.cli.audit.console_sources import sources_of
from federation.console.accounts import Accounts
from federation.console.app import make_console, wall_clock
from federation.console.context import Console
from federation.console.index import Index
from federation.console.sources import Look, SealedBody
from federation.local.federation import LocalFederation
from nodes.keystore import read_cards, write_cards
from protocols.channel.identity import PartyId
from protocols.transparency.leaves import LeafCommitment, LeafKind
from tests.browser.chromium import Browser
from tests.browser.serving import served
from tests.conftest import TrainedFederation
from tests.small_federation import NOW

PHRASE = "a phrase that only Chen knows"
pytestmark = pytest.mark.browser


@dataclasses.dataclass(frozen=True)
class Office:
    """A console over a federation that was asked one question, and the auditor's own folder."""

    folder: Path
    keys: Path
    start: int
    enterprise: str
    console: Console
    address: str

    def leaves(self) -> list[LeafCommitment]:
        """What the log says now."""
        with closing(StoredLog(self.folder)) as log:
            return [one.commitment() for one in log.leaves()]


@pytest.fixture
def office(
    federation_folder: Path, trained: TrainedFederation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    monkeypatch.setattr("federation.audit.views.auditor_keys._LOG2_COST", 12)
    keys, home = tmp_path / "chen", federation_folder / "console"
    card = create_auditor(keys, PartyId("chen"), PHRASE)
    write_cards(federation_folder / "cards", [*read_cards(federation_folder / "cards").cards.values(), card])
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        before = federation.log.size
        federation.assess(trained.ids[:1])
    with closing(StoredLog(federation_folder)) as log:
        asked = (one.index for one in log.leaves(before) if one.commitment().kind is LeafKind.REQUEST)
        start = next(asked)
    with closing(Accounts(home)) as accounts, closing(Index(home / "index.sqlite")) as index:
        accounts.add_auditor(keys, wall_clock())
        console = make_console(sources_of(federation_folder, home), accounts, index)
        with served(console) as address:
            yield Office(federation_folder, keys, start, trained.ids[0], console, address)


@pytest.fixture
def entry(browser: Browser, office: Office) -> Browser:
    """The browser of an auditor who looks at the REQUEST."""
    browser.forget()
    browser.language("en")
    browser.size(1280, 800)
    browser.open(f"{office.address}/login")
    browser.fill("input[name=name]", "chen")
    browser.fill("input[name=password]", PHRASE)
    browser.submit("main button")
    browser.open(f"{office.address}/entries/{office.start}")
    browser.sent.clear()
    return browser


def attempt(browser: Browser, key: Path, phrase: str = PHRASE) -> str:
    """Try to open the body; what came of it."""
    browser.choose("#opening input[type=file]", key)
    browser.fill("#opening input[type=password]", phrase)
    browser.click("#opening button")
    browser.wait("!['', 'busy', undefined].includes(document.getElementById('opening').dataset.result)")
    return str(browser.evaluate("document.getElementById('opening').dataset.result"))


def test_a_body_opens_in_the_page_and_its_key_never_reaches_the_server(entry: Browser, office: Office) -> None:
    before = office.leaves()
    assert attempt(entry, office.keys / AUDITOR_FILE) == "done"
    text = entry.text("#opened")
    assert office.enterprise in text
    assert "ASKED" in text
    (leaf,) = office.leaves()[len(before) :]
    values = dict(leaf.attributes)
    assert (leaf.kind, leaf.actor) == (LeafKind.AUDIT_VIEW, "chen")
    assert (values["view"], values["first_leaf"], values["last_leaf"]) == ("open", office.start, office.start)
    assert f"entry {len(before)} of the log" in text
    assert verify_directory(office.folder).ok
    posted = [body for body in entry.sent if body]
    assert [body.split("=")[0] for body in posted] == ["csrf"]
    assert not any("&" in body or len(body) > 64 for body in posted)
    held = b"".join(path.read_bytes() for path in (office.folder / "console").rglob("*") if path.is_file())
    assert office.enterprise.encode() not in held
    assert (office.keys / AUDITOR_FILE).read_bytes() not in held


def test_a_wrong_passphrase_a_foreign_key_and_a_foreign_file_open_nothing_and_log_nothing(
    entry: Browser, office: Office, tmp_path: Path
) -> None:
    size = len(office.leaves())
    create_auditor(tmp_path / "wang", PartyId("wang"), PHRASE)
    (tmp_path / "junk.key").write_bytes(b"\x82\xa6format\xc1")
    assert attempt(entry, office.keys / AUDITOR_FILE, "another phrase") == "passphrase"
    assert attempt(entry, tmp_path / "wang" / AUDITOR_FILE) == "stranger"
    assert attempt(entry, tmp_path / "junk.key") == "file"
    assert attempt(entry, office.keys / "console.key") == "file"
    assert attempt(entry, office.keys / AUDITOR_FILE, "") == "missing"
    assert [body for body in entry.sent if body] == []
    assert len(office.leaves()) == size
    assert entry.evaluate("document.getElementById('opened').hidden") is True


def test_a_server_that_hands_out_another_entrys_body_is_found_out(
    entry: Browser, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = office.console.sources.looks
    honest = type(book).open_body

    def other(self: object, look: Look) -> SealedBody:
        return honest(book, dataclasses.replace(look, leaves=(office.start + 1,)))

    monkeypatch.setattr(type(book), "open_body", other)
    assert attempt(entry, office.keys / AUDITOR_FILE) == "other"
    assert entry.evaluate("document.getElementById('opened').hidden") is True


@pytest.mark.parametrize(("part", "found"), [("keys", "signature"), ("envelope", "envelope"), ("body", "other")])
def test_the_page_finds_what_was_altered_on_the_way(entry: Browser, office: Office, part: str, found: str) -> None:
    entry.evaluate(
        f"""(() => {{
            const honest = globalThis.fetch;
            globalThis.fetch = async (...asked) => {{
                const answer = await (await honest(...asked)).json();
                const flip = (text, at) => text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
                const part = {json.dumps(part)};
                if (part === 'keys') answer.keys = answer.keys.map((key) => flip(key, 4));
                if (part === 'envelope') answer.envelope = flip(answer.envelope, answer.envelope.length - 400);
                if (part === 'body') answer.body = flip(answer.body, answer.body.length - 40);
                return {{ ok: true, json: async () => answer }};
            }};
        }})()"""
    )
    assert attempt(entry, office.keys / AUDITOR_FILE) == found
    assert entry.evaluate("document.getElementById('opened').hidden") is True


def test_the_pages_scrypt_is_that_of_rfc_7914(entry: Browser) -> None:
    script = """(async () => {
        const text = (value) => new TextEncoder().encode(value);
        const found = await Scrypt.derive(text("SECRET"), text("SALT"), COST, 64);
        return Merkle.toBase64(found);
    })()"""
    vector = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"  # noqa: E501
    asked = script.replace("SECRET", "pleaseletmein").replace("SALT", "SodiumChloride").replace("COST", "14")
    assert base64.b64decode(entry.evaluate(asked)).hex() == vector
