"""Looks at a coordinator's own log are leaves that the auditor signed; those at a copy stand beside the console."""

from __future__ import annotations

import base64
import json
import re
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from federation.audit import AuditLog, read_log_signer, verify_directory
from federation.audit.export.writing import export_log
from federation.audit.reading.log_view import StoredLog
from federation.audit.views.auditor import selection_hash
from federation.audit.views.auditor_keys import AUDITOR_FILE, CONSOLE_FILE, create_auditor, read_auditor
from federation.cli.audit.console_sources import sources_of
from federation.cli.main import app as credfed
from federation.console import accounts as rules
from federation.console.accounts import Accounts, Role
from federation.console.app import create_app, make_console, wall_clock
from federation.console.index import Index
from federation.console.look_book import LocalLookBook
from federation.console.sources import Look
from federation.local.coordinator_home import found_coordinator
from federation.local.federation import LocalFederation
from federation.local.processes import free_ports
from nodes.keystore import read_cards
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import decode
from protocols.errors import ConfigurationError, VerificationFailed
from protocols.transparency import Leaf, LeafKind
from protocols.transparency.statements import open_for_auditor
from protocols.transparency.views import OpenedBody
from tests.conftest import TrainedFederation
from tests.console_site import HOSTS
from tests.small_federation import NOW

BASE = "https://127.0.0.1:8470"
PHRASE = "a phrase that only Chen knows"


@pytest.fixture
def auditor(tmp_path: Path, federation_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an auditor whom all parties know."""
    monkeypatch.setattr("federation.audit.views.auditor_keys._LOG2_COST", 10)
    monkeypatch.setattr(rules, "_COST", 1 << 8)
    create_auditor(tmp_path / "chen", PartyId("Chen"), PHRASE)
    shutil.copyfile(tmp_path / "chen" / "Chen.card", federation_folder / "cards" / "Chen.card")
    return tmp_path / "chen"


def browser(folder: Path, home: Path) -> TestClient:
    """A browser before a console as the command line makes it."""
    accounts, index = Accounts(home), Index(home / "index.sqlite")
    console = make_console(sources_of(folder, home), accounts, index)
    app = create_app(console, HOSTS)
    return TestClient(app, BASE, headers={"origin": BASE}, follow_redirects=False, raise_server_exceptions=False)


def log_in(visitor: TestClient, name: str, password: str) -> int:
    """Log in; the answer's status."""
    return visitor.post("/login", data={"name": name, "password": password}).status_code


def test_a_look_is_a_leaf_that_the_auditor_signed_before_the_page_is_shown(
    federation_folder: Path, auditor: Path
) -> None:
    home = federation_folder / "console"
    command = ["console", "add-user", str(federation_folder), "Chen", "--role", "auditor", "--auditor", str(auditor)]
    assert CliRunner().invoke(credfed, command).exit_code == 0
    visitor = browser(federation_folder, home)
    assert log_in(visitor, "Chen", "another phrase") == 401
    assert log_in(visitor, "chen", PHRASE) == 303
    size = verify_directory(federation_folder).leaves
    assert visitor.get("/timeline?kind=KEY").status_code == 200
    report = verify_directory(federation_folder)
    assert (report.ok, report.leaves) == (True, size + 1)
    with closing(StoredLog(federation_folder)) as log:
        leaf = log.leaf(size).commitment()
        keys = [one.index for one in log.leaves() if one.commitment().kind is LeafKind.KEY]
    values = dict(leaf.attributes)
    assert (leaf.kind, leaf.actor, values["view"]) == (LeafKind.AUDIT_VIEW, "Chen", "console.timeline")
    assert (values["first_leaf"], values["last_leaf"], values["entries"]) == (keys[0], keys[-1], len(keys))
    assert values["selection_hash"] == selection_hash({"kind": "KEY"}).hex()
    assert "AUDIT_VIEW" in visitor.get("/timeline").text
    assert PHRASE.encode() not in b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_keys_live_no_longer_than_the_console(federation_folder: Path, auditor: Path) -> None:
    home = federation_folder / "console"
    with closing(Accounts(home)) as accounts:
        accounts.add_auditor(auditor, wall_clock())
    visitor = browser(federation_folder, home)
    assert log_in(visitor, "Chen", PHRASE) == 303
    restarted = browser(federation_folder, home)
    restarted.cookies = visitor.cookies
    assert visitor.get("/witnesses").status_code == 200
    assert restarted.get("/witnesses").status_code == 303


def test_an_auditor_without_keys_or_whom_the_coordinator_does_not_know_is_shown_nothing(
    federation_folder: Path, auditor: Path
) -> None:
    home = federation_folder / "console"
    (federation_folder / "cards" / "Chen.card").unlink()
    with closing(Accounts(home)) as accounts:
        token = accounts.add("plain", Role.AUDITOR, wall_clock())
        assert accounts.set_up("plain", token, PHRASE, wall_clock())
        accounts.add_auditor(auditor, wall_clock())
    before = verify_directory(federation_folder).leaves
    for name, code in (("plain", "NO_AUDITOR_KEY"), ("Chen", "could not be recorded")):
        visitor = browser(federation_folder, home)
        assert log_in(visitor, name, PHRASE) == 303
        answer = visitor.get("/timeline")
        assert (answer.status_code, code in answer.text) == (503, True), answer.text
        assert 'class="entries' not in answer.text
    assert verify_directory(federation_folder).leaves == before


def test_looks_at_an_export_stand_beside_the_console(federation_folder: Path, auditor: Path, tmp_path: Path) -> None:
    export = tmp_path / "export"
    export_log(federation_folder, export, verify_directory(federation_folder))
    made = CliRunner().invoke(credfed, ["console", "add-user", str(export), "plain", "--role", "auditor", "--json"])
    home = tmp_path / "export.console"
    with closing(Accounts(home)) as accounts:
        assert accounts.set_up("plain", json.loads(made.stdout)["token"], PHRASE, wall_clock())
    visitor = browser(export, home)
    assert log_in(visitor, "plain", PHRASE) == 303
    assert "recorded beside the console" in visitor.get("/entries/3").text
    visitor.get("/timeline?kind=KEY")
    looks = [json.loads(line) for line in (home / "looks.jsonl").read_text().splitlines()]
    assert [(look["auditor"], look["page"]) for look in looks] == [("plain", "entry"), ("plain", "timeline")]
    assert looks[0]["first_leaf"] == looks[0]["last_leaf"] == 3
    assert not [path for path in export.iterdir() if "sqlite" in path.name or path.is_dir()]


def test_add_user_refuses_the_key_that_opens_bodies(federation_folder: Path, auditor: Path) -> None:
    """Handed the wrong file, the console takes nothing: that key opens every body, and stays with the auditor."""
    command = ["console", "add-user", str(federation_folder), "Chen", "--role", "auditor", "--auditor"]
    refused = CliRunner().invoke(credfed, [*command, str(auditor / AUDITOR_FILE)])
    assert (refused.exit_code, "console.key alone" in " ".join(refused.output.split())) == (2, True)
    (auditor / CONSOLE_FILE).rename(auditor / "aside")
    shutil.copyfile(auditor / AUDITOR_FILE, auditor / CONSOLE_FILE)
    assert CliRunner().invoke(credfed, [*command, str(auditor)]).exit_code == 2
    kept = b"".join(path.read_bytes() for path in (federation_folder / "console").rglob("*") if path.is_file())
    assert (auditor / AUDITOR_FILE).read_bytes() not in kept


def test_a_body_is_handed_out_sealed_after_a_leaf_says_so_and_the_console_cannot_open_it(
    federation_folder: Path, trained: TrainedFederation, auditor: Path
) -> None:
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        start = federation.log.size
        federation.assess(trained.ids[:1])
    home = federation_folder / "console"
    with closing(Accounts(home)) as accounts:
        accounts.add_auditor(auditor, wall_clock())
        held = accounts._unlock("Chen", PHRASE)
    visitor = browser(federation_folder, home)
    assert log_in(visitor, "Chen", PHRASE) == 303
    page = visitor.get(f"/entries/{start}").text
    size = verify_directory(federation_folder).leaves
    address, csrf = f"/entries/{start}/body", {"csrf": re.findall(r'data-csrf="([^"]+)"', page)[0]}
    refused = visitor.post(address, data={"csrf": "x"}).status_code, visitor.post("/entries/0/body", data=csrf)
    assert (refused[0], refused[1].status_code, visitor.get(address).status_code) == (403, 404, 405)
    assert verify_directory(federation_folder).leaves == size
    answer = visitor.post(address, data=csrf)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    with closing(StoredLog(federation_folder)) as log:
        assert dict(log.leaf(size).commitment().attributes)["view"] == "open"
    envelope = decode(base64.b64decode(answer.json()["envelope"]), Envelope)
    keys = read_auditor(auditor, PHRASE)
    cards = read_cards(federation_folder / "cards").cards
    opened = Channel(keys, cards, envelope.transcript).unwrap(envelope, OpenedBody)
    (statement,) = open_for_auditor(opened.statements, keys.sealing).values()
    assert statement.enterprise == trained.ids[0]
    assert trained.ids[0].encode() not in answer.content
    assert held is not None
    assert held.signing.private_bytes_raw() == keys.signing.private_bytes_raw()
    with pytest.raises(VerificationFailed):
        Channel(held, cards, envelope.transcript).unwrap(envelope, OpenedBody)
    with pytest.raises(VerificationFailed):
        open_for_auditor(opened.statements, held.sealing)


def test_a_copy_of_a_log_hands_out_no_body(federation_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        LocalLookBook(tmp_path, wall_clock).open_body(Look("chen", "body", (3,), {}))
    assert refused.value.code == "NO_SHREDDING_KEYS"


def test_a_coordinators_own_directory_is_a_place_for_a_console(tmp_path: Path, auditor: Path) -> None:
    """As `credfed coordinator init` makes it: no folder `coordinator/` in it, its cards where its settings say."""
    home = tmp_path / "srv" / "coordinator"
    home.parent.mkdir()
    found_coordinator(home, "127.0.0.1:7443", "", "", 2048, "coordinator.test/log")
    early = CliRunner().invoke(credfed, ["console", "run", str(home), "--check"])
    assert (early.exit_code, "not begun yet" in " ".join(early.output.split())) == (2, True)
    with AuditLog(home / "log.sqlite", read_log_signer(home), ()) as log:
        log.append([Leaf(kind=LeafKind.POLICY, timestamp_ms=5, actor="tax")])
    shutil.copyfile(auditor / "Chen.card", home / "cards" / "Chen.card")
    key = str(auditor / CONSOLE_FILE)
    command = ["console", "add-user", str(home), "Chen", "--role", "auditor", "--auditor", key]
    assert CliRunner().invoke(credfed, command).exit_code == 0
    port = free_ports(1)[0]
    (home / "console.yaml").write_text(f"port: {port}\nnames: [audit.test]\n")
    checked = CliRunner().invoke(credfed, ["console", "run", str(home), "--check", "--json"])
    facts = json.loads(checked.stdout)
    assert (facts["ok"], facts["console"], facts["entries"]) == (True, f"http://audit.test:{port}", 1)
    assert (facts["auditors"], facts["looks"]) == (1, "leaves of the log")
    visitor = browser(home, home / "console")
    assert log_in(visitor, "Chen", PHRASE) == 303
    assert "POLICY" in visitor.get("/entries/0").text
    assert visitor.get("/health").status_code == 200
    report = verify_directory(home)
    assert (report.ok, report.leaves) == (True, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port: 99999", "port"),
        ("host: 0.0.0.0", "TLS certificate"),
        ("listen: 1", "listen"),
        ("names: ['a b']", "names"),
        ("certificate: missing.pem", "certificate and its key"),
        ("{", "not YAML"),
    ],
)
def test_wrong_settings_are_one_line_that_names_them(federation_folder: Path, text: str, said: str) -> None:
    (federation_folder / "console.yaml").write_text(text)
    refused = CliRunner().invoke(credfed, ["console", "run", str(federation_folder), "--check"])
    assert (refused.exit_code, said in " ".join(refused.output.split())) == (2, True), refused.output
