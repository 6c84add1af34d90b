"""Whoever looks as an auditor leaves a leaf, and nobody opens a body without one."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from federation.audit import AuditLog, read_log_keys, read_log_signer
from federation.audit.bodies.shredder import SHRED_FILE, Shredder
from federation.audit.reading.log_view import StoredLog
from federation.audit.reading.search import Criteria, search
from federation.audit.verify import verify_directory
from federation.audit.views import auditor_keys
from federation.audit.views.auditor import (
    SOCKET_FILE,
    Auditor,
    Reach,
    check_body,
    open_body,
    order_shredding,
    record_view,
    socket_desk,
)
from federation.audit.views.auditor_keys import create_auditor, read_auditor
from federation.audit.views.desk import ViewDesk
from federation.cli.main import app
from federation.local.federation import LocalFederation
from nodes.door import door
from nodes.keystore import read_cards, read_keys
from protocols.channel.envelope import Channel, Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.errors import ConfigurationError, PeerRefused, TransportError, VerificationFailed
from protocols.transparency.leaves import CONSENT_KINDS, LeafKind
from protocols.transparency.views import AuditView, selection_hash
from tests.conftest import TrainedFederation
from tests.small_federation import NOW

CHEN = PartyId("chen")
PHRASE = "a passphrase of chen"


@dataclass(frozen=True)
class Scene:
    """A federation with an auditor, one question asked; where its leaves begin, and whom it was about."""

    folder: Path
    keys: Path
    start: int
    enterprise: str


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditor_keys, "_LOG2_COST", 10)
    monkeypatch.setenv("CREDFED_PASSPHRASE", PHRASE)


@pytest.fixture
def scene(federation_folder: Path, trained: TrainedFederation, tmp_path: Path) -> Scene:
    made = CliRunner().invoke(
        app, ["audit", "init-auditor", str(tmp_path / "keys"), "--name", CHEN, "--federation", str(federation_folder)]
    )
    assert made.exit_code == 0, made.output
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        start = federation.log.size + 1  # the REQUEST, after the CONSENT that it is the first to show
        federation.assess(trained.ids[:1])
    return Scene(federation_folder, tmp_path / "keys", start, trained.ids[0])


@pytest.fixture
def log(scene: Scene) -> Iterator[AuditLog]:
    home = scene.folder / "coordinator"
    with AuditLog(home / "log.sqlite", read_log_signer(home), read_log_keys(home).witnesses) as log:
        yield log


@pytest.fixture
def desk(scene: Scene, log: AuditLog) -> ViewDesk:
    home, cards = scene.folder / "coordinator", read_cards(scene.folder / "cards").cards
    return ViewDesk(log, Shredder(home / SHRED_FILE), read_keys(home), cards, lambda: NOW * 1000)


@pytest.fixture
def chen(scene: Scene) -> Auditor:
    cards = read_cards(scene.folder / "cards").cards
    key = read_log_keys(scene.folder / "coordinator").log
    return Auditor(read_auditor(scene.keys, PHRASE), cards, key, clock=lambda: NOW)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["audit", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def views(folder: Path) -> list[dict[str, str | int]]:
    with closing(StoredLog(folder)) as log:
        leaves = [logged.commitment() for logged in log.leaves()]
    return [{"who": leaf.actor} | dict(leaf.attributes) for leaf in leaves if leaf.kind is LeafKind.AUDIT_VIEW]


def test_every_command_that_looks_leaves_a_leaf_that_does_not_say_for_what(scene: Scene, tmp_path: Path) -> None:
    folder, me = str(scene.folder), ["--as", str(scene.keys)]
    found = json.loads(run("search", folder, "--kind", "REQUEST", *me, "--json"))
    run("show", folder, str(scene.start), *me)
    run("export", folder, "--out", str(tmp_path / "export"), *me)
    seen = views(scene.folder)
    assert [(view["who"], view["view"]) for view in seen] == [(CHEN, "search"), (CHEN, "show"), (CHEN, "export")]
    assert [view["entries"] for view in seen] == [len(found), 1, scene.start + 7 + 2]
    assert seen[0]["selection_hash"] == selection_hash({"kinds": "REQUEST"}).hex()
    assert seen[1]["first_leaf"] == seen[1]["last_leaf"] == scene.start
    assert verify_directory(scene.folder).ok
    assert "export" in (tmp_path / "export" / "leaves.jsonl").read_text()


def test_a_look_without_a_name_leaves_none(scene: Scene) -> None:
    run("search", str(scene.folder))
    assert views(scene.folder) == []


def test_an_auditor_opens_a_body_and_its_leaf_says_so(scene: Scene) -> None:
    opened = json.loads(run("open", str(scene.folder), str(scene.start), "--as", str(scene.keys), "--json"))
    (statement,) = opened["statements"]
    assert (statement["enterprise"], statement["decision"]) == (scene.enterprise, "ASKED")
    assert opened["shredded"] == []
    (view,) = views(scene.folder)
    assert (view["view"], view["first_leaf"]) == ("open", scene.start)
    people = run("open", str(scene.folder), str(scene.start + 1), "--as", str(scene.keys))
    assert scene.enterprise in people
    assert "RELEASE" in people


def test_true_statements_under_another_leaf_are_noticed(scene: Scene, desk: ViewDesk, chen: Auditor) -> None:
    """Who writes the log could put a node's body under another node's leaf, or under another question's."""
    first, second = (entry.leaf.commitment() for entry in desk._log.entries(scene.start + 1, scene.start + 3))
    sealed, statements, _ = open_body(desk.handle, chen, scene.start + 1)
    cards = (chen.cards[PartyId(first.actor)], chen.cards[PartyId(second.actor)])
    check_body(first, sealed, statements, cards)
    for other in (
        second,
        msgspec.structs.replace(first, reference=bytes(16)),
        msgspec.structs.replace(first, kind=LeafKind.DENY),
    ):
        with pytest.raises(VerificationFailed):
            check_body(other, sealed, statements, cards)
    with pytest.raises(VerificationFailed):
        check_body(first, sealed, statements, cards[1:])


def test_a_shredded_body_opens_for_no_auditor(scene: Scene) -> None:
    with closing(StoredLog(scene.folder)) as log:
        tag = log.leaf(scene.start).commitment().subject
    Shredder(scene.folder / "coordinator" / SHRED_FILE).shred([tag])
    opened = json.loads(run("open", str(scene.folder), str(scene.start), "--as", str(scene.keys), "--json"))
    assert (opened["statements"], opened["shredded"]) == ([], [0])
    assert verify_directory(scene.folder).ok


def test_shred_by_command_says_so_in_the_log_and_leaves_it_verifying(scene: Scene) -> None:
    folder, me = str(scene.folder), ["--as", str(scene.keys), "--json"]
    done = json.loads(run("shred", folder, "--leaf", str(scene.start), "--json"))
    opened = json.loads(run("open", folder, str(scene.start), *me))
    assert (opened["statements"], opened["shredded"]) == ([], [0])
    shown = json.loads(run("show", folder, str(done["leaf"]), "--json"))["leaf"]
    assert (shown["kind"], shown["actor"], [shown["subject"]]) == ("SHRED", "coordinator", done["tags"])
    assert verify_directory(scene.folder).ok
    for wrong in (["shred", folder], ["shred", folder, "--leaf", "0"], ["shred", folder, "--tag", "zz"]):
        assert CliRunner().invoke(app, ["audit", *wrong]).exit_code == 2


def test_bodies_end_with_their_retention_and_not_before(desk: ViewDesk, chen: Auditor, scene: Scene) -> None:
    home = scene.folder / "coordinator"
    now = datetime(2029, 1, 1, tzinfo=UTC).timestamp()  # the question is of 2023
    operator = Auditor(read_keys(home), chen.cards, chen.log_key, clock=lambda: now)
    later = ViewDesk(desk._log, Shredder(home / SHRED_FILE), read_keys(home), chen.cards, lambda: round(1000 * now))
    with pytest.raises(PeerRefused) as refusal:
        order_shredding(later.handle, operator, (), before_year=2025)
    assert refusal.value.code == "RETENTION"
    assert open_body(desk.handle, chen, scene.start)[1]
    receipt = order_shredding(later.handle, operator, (), before_year=2024)
    with pytest.raises(PeerRefused) as gone:
        open_body(desk.handle, chen, scene.start)
    assert gone.value.code == "NO_SUCH_BODY"
    assert not any(entry.leaf.body for entry in desk._log.entries())
    (leaf,) = [entry.leaf for entry in desk._log.entries(receipt.leaf, receipt.leaf + 1)]
    assert (leaf.kind, dict(leaf.attributes)) == (LeafKind.SHRED, {"before_year": 2024})


def test_only_the_coordinator_orders_to_shred_and_only_once_its_leaf_is_on_disk(
    desk: ViewDesk, chen: Auditor, scene: Scene, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = next(entry.leaf.subject for entry in log.entries(scene.start))
    with pytest.raises(PeerRefused) as refusal:
        order_shredding(desk.handle, chen, (tag,))
    assert refusal.value.code in ("NOT_THE_COORDINATOR", "UNEXPECTED_MESSAGE")
    operator = Auditor(read_keys(scene.folder / "coordinator"), chen.cards, chen.log_key, clock=lambda: NOW)
    with pytest.raises(PeerRefused) as nothing:
        order_shredding(desk.handle, operator, ())
    assert nothing.value.code == "NOTHING_TO_SHRED"
    with monkeypatch.context() as full:
        full.setattr(log, "append", lambda _: pytest.fail("disk full"))
        with pytest.raises((PeerRefused, pytest.fail.Exception)):
            order_shredding(desk.handle, operator, (tag,))
    assert open_body(desk.handle, chen, scene.start)[1]


def test_nothing_is_opened_before_its_leaf_is_on_disk(
    desk: ViewDesk, chen: Auditor, log: AuditLog, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ConfigurationError("disk full", code="LOG_NOT_WRITABLE")

    monkeypatch.setattr(log, "append", fail)
    with pytest.raises(PeerRefused) as refusal:
        open_body(desk.handle, chen, scene.start)
    assert refusal.value.code == "LOG_NOT_WRITABLE"


def view_of(chen: Auditor, **changes: object) -> tuple[Channel, Envelope]:
    made = AuditView(
        auditor=CHEN, view="search", selection=bytes(32), first=0, last=0, entries=0, issued=NOW, nonce=bytes(16)
    )
    view = msgspec.structs.replace(made, **changes)
    channel = Channel(chen.keys, chen.cards, view.transcript())
    return channel, channel.wrap(PartyId("coordinator"), view, sealed=False)


def refused(desk: ViewDesk, envelope: Envelope) -> str:
    with pytest.raises(PeerRefused) as refusal:
        open_parcel(desk.handle(pack_parcel((envelope,))))
    return refusal.value.code


def test_a_view_in_anothers_name_again_or_of_another_time_is_refused(
    desk: ViewDesk, chen: Auditor, scene: Scene, log: AuditLog
) -> None:
    size = log.size
    for name in ("bank", "consent_service", "tax"):
        keys = read_keys(scene.folder / name)
        lying = Auditor(keys, chen.cards, chen.log_key, clock=lambda: NOW)
        with pytest.raises(PeerRefused) as refusal:
            open_body(desk.handle, lying, scene.start)
        assert refusal.value.code == "NOT_AN_AUDITOR"
    bank = Channel(read_keys(scene.folder / "bank"), chen.cards, view_of(chen)[0].transcript)
    forged = bank.wrap(
        PartyId("coordinator"), AuditView(CHEN, "search", bytes(32), 0, 0, 0, NOW, bytes(16)), sealed=False
    )
    assert refused(desk, msgspec.structs.replace(forged, sender=CHEN)) == "VERIFICATION_FAILED"
    assert refused(desk, view_of(chen, issued=NOW - 301)[1]) == "VIEW_STALE"
    assert refused(desk, view_of(chen, issued=NOW + 301)[1]) == "VIEW_STALE"
    assert log.size == size
    open_parcel(desk.handle(pack_parcel((view_of(chen)[1],))))
    assert refused(desk, view_of(chen)[1]) == "VIEW_REPEATED"
    assert log.size == size + 1


@pytest.mark.parametrize("leaf", [0, 10_000])
def test_a_leaf_without_a_body_or_outside_the_log_is_not_opened_and_not_logged(
    desk: ViewDesk, chen: Auditor, log: AuditLog, leaf: int
) -> None:
    size = log.size
    with pytest.raises(PeerRefused) as refusal:
        open_body(desk.handle, chen, leaf)
    assert refusal.value.code == "NO_SUCH_BODY"
    assert log.size == size


def test_a_view_holds_no_free_text(desk: ViewDesk, chen: Auditor) -> None:
    for name in ("91350100M000100Y43", "two words", "", "x" * 65):
        assert refused(desk, view_of(chen, view=name, nonce=secrets.token_bytes(16))[1]) == "MALFORMED_MESSAGE"


def test_views_enter_a_running_coordinators_log_by_its_socket(desk: ViewDesk, chen: Auditor, log: AuditLog) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        path = Path(short) / SOCKET_FILE
        with pytest.raises(TransportError):
            record_view(socket_desk(path), chen, "console.timeline", {}, Reach(0, 1, 1))
        assert asyncio.run(_by_socket(path, desk, chen)) == log.size - 1


async def _by_socket(path: Path, desk: ViewDesk, chen: Auditor) -> int:
    """Look by the socket of a process that serves; return the leaf."""
    running = asyncio.get_running_loop()
    async with door(path, lambda parcel: running.run_in_executor(None, desk.handle, parcel)):
        looking = asyncio.to_thread(record_view, socket_desk(path), chen, "search", {}, Reach(0, 1, 1))
        return (await looking).leaf


def test_an_auditors_key_opens_under_its_passphrase_alone(tmp_path: Path) -> None:
    card = create_auditor(tmp_path, CHEN, PHRASE)
    assert read_auditor(tmp_path, PHRASE).signing.public_key().public_bytes_raw() == card.verify_key
    stored = (tmp_path / "auditor.key").read_bytes()
    assert (tmp_path / "auditor.key").stat().st_mode & 0o777 == 0o600
    assert read_auditor(tmp_path, PHRASE).to_bytes()[:32] not in stored
    for wrong in ("", PHRASE + "x"):
        with pytest.raises(ConfigurationError) as refusal:
            read_auditor(tmp_path, wrong)
        assert refusal.value.code == "PASSPHRASE"
    with pytest.raises(ConfigurationError):
        create_auditor(tmp_path, CHEN, PHRASE)
    for name, phrase in (("../x", PHRASE), ("li", "short")):
        with pytest.raises(ConfigurationError):
            create_auditor(tmp_path / "other", PartyId(name), phrase)
    (tmp_path / "auditor.key").write_bytes(stored[:-1] + bytes([stored[-1] ^ 1]))
    with pytest.raises(ConfigurationError):
        read_auditor(tmp_path, PHRASE)


def test_a_tag_finds_single_questions_and_the_batch_that_holds_it(
    scene: Scene, trained: TrainedFederation, tmp_path: Path
) -> None:
    with LocalFederation(scene.folder, clock=lambda: NOW) as federation:
        batch = federation.log.size
        federation.assess(trained.ids[:20])
        federation.assess([trained.ids[30]])
        end = federation.log.size
        tag = next(entry.leaf.subject for entry in federation.log.entries(scene.start))
        found = list(search(StoredLog(scene.folder).leaves(), Criteria(tag=tag)))
        of_queries = [one.index for one in found if one.commitment().kind not in CONSENT_KINDS]
        own = [entry.index for entry in federation.log.entries() if entry.leaf.kind not in CONSENT_KINDS]
        ranges = (*range(scene.start, scene.start + 7), *range(batch, end - 8))
        assert of_queries == [index for index in own if index in ranges]
        assert len(found) == len(of_queries) + 2  # its two consents, and no other's of the batch
    run("export", str(scene.folder), "--out", str(tmp_path / "out"))
    by_command = json.loads(run("search", str(tmp_path / "out"), "--tag", tag.hex(), "--json"))
    assert len(by_command) == len(found)
    assert json.loads(run("search", str(scene.folder), "--tag", "0" * 64, "--json")) == []
    wrong = CliRunner().invoke(app, ["audit", "search", str(scene.folder), "--tag", "91350100M000100Y43"])
    assert wrong.exit_code == 2
