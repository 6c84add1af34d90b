"""Each consent that a question shows is one leaf, before the question's own, however often and wherever it is shown."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from consent_stories import STORY, consent, forget_at_the_bank, handle, leaves, shown
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.audit.alarms import AlarmRules, Period, watch
from federation.audit.alarms.facts import facts
from federation.audit.alarms.rules import ConsentReuse
from federation.audit.bodies.shredder import SHRED_FILE, Shredder
from federation.audit.reading.search import Criteria, search
from federation.audit.reconciliation.reconcile import reconcile
from federation.audit.storage.rows import LogWriter
from federation.audit.verify import verify_directory
from federation.coordinator.consent_book import FILE, ConsentBook
from federation.coordinator.consents import read_issuers
from federation.local.federation import LocalFederation
from federation.local.layout import BANK, CONSENT_SERVICE, COORDINATOR
from nodes.bank.asking.showing import ConsentStatements
from nodes.keystore import read_keys
from nodes.ledger import ledger_location, open_bank_ledger
from nodes.statements import About, StatementWriter
from protocols.assessment.messages import Subject
from protocols.channel.envelope import Envelope
from protocols.consent import Purpose, consent_handle, split_consent
from protocols.errors import ConfigurationError
from protocols.transparency.leaves import Leaf, LeafKind
from protocols.transparency.statements import open_for_auditor, open_for_subject, verify_statements
from tests.conftest import TrainedFederation
from tests.small_federation import CHEN, NOW, at_node, logged_leaves, stated


@pytest.fixture
def two_are_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lists of two enterprises and more be asked about in batches."""
    monkeypatch.setattr("federation.local.federation.BATCH_FROM", 2)


def test_a_consent_is_logged_before_the_first_question_that_shows_it_and_never_again(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start, enterprise = federation.log.size, trained.ids[0]
    given = consent(federation, enterprise, "shown for the first time")
    (first,) = federation.assess_with([(enterprise, given)])
    federation.assess_with([(enterprise, given)])
    found = leaves(federation, start)
    assert [leaf.kind for leaf in found] == [LeafKind.CONSENT, *STORY, *STORY]
    leaf, request = found[:2]
    assert leaf.reference.hex() == handle("shown for the first time") == dict(request.attributes)["consent_hash"]
    assert (leaf.actor, leaf.purpose, leaf.subject) == (BANK, Purpose.ASSESSMENT, request.subject)
    assert leaf.evidence == hashlib.sha256(split_consent(given)[1].encode()).digest()
    values = dict(leaf.attributes)
    assert (values["issuer"], values["bank"], values["entry"]) == (CONSENT_SERVICE, BANK, first.request)
    assert (values["valid_from_ms"], values["valid_until_ms"]) == (NOW * 1000, (NOW + 3600) * 1000)
    assert "scope_hash" in values
    assert enterprise.encode() not in encode_all(found)


def encode_all(found: list[Leaf]) -> bytes:
    return b"".join(repr(leaf).encode() + leaf.body for leaf in found)


def test_the_body_of_a_consent_opens_to_the_auditor_and_to_its_enterprise_alone(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start, enterprise = federation.log.size, trained.ids[0]
    federation.assess([enterprise])
    leaf = next(leaf for leaf in leaves(federation, start) if leaf.kind is LeafKind.CONSENT)
    sealed = Shredder(federation.folder / COORDINATOR / SHRED_FILE).uncover(leaf.body)
    verify_statements(sealed, federation.pins.cards[BANK])
    statement = open_for_auditor(sealed, read_keys(federation.folder / CHEN).sealing)[0]
    assert (statement.enterprise, statement.decision, statement.leaf) == (enterprise, "SHOWN", LeafKind.CONSENT)
    assert statement.reference == leaf.reference
    assert open_for_subject(sealed, federation.consents.record_key(enterprise)) == {0: statement}
    assert open_for_subject(sealed, federation.consents.record_key(trained.ids[1])) == {}


def test_a_consents_leaf_costs_no_commit_of_its_own(
    federation: LocalFederation, trained: TrainedFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    commit = LogWriter.commit_group

    def counted(writer: LogWriter, rows: list[object], *rest: object) -> None:
        commits.append(len(rows))
        commit(writer, rows, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(LogWriter, "commit_group", counted)
    given = consent(federation, trained.ids[0], "an id of a consent")
    federation.assess_with([(trained.ids[0], given)])
    first, commits[:] = list(commits), []
    federation.assess_with([(trained.ids[0], given)])
    assert len(first) == len(commits)
    assert first[0] == commits[0] + 1  # with the REQUEST


@pytest.mark.parametrize("lost", ["nothing", "the index", "an index of another log", "a damaged index"])
def test_a_consent_is_logged_once_also_across_a_restart(folder: Path, trained: TrainedFederation, lost: str) -> None:
    """The coordinator does not rely on what the bank remembers, nor on its own index."""
    enterprise, index = trained.ids[0], folder / COORDINATOR / FILE
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        given = consent(federation, enterprise, "an id that outlives a process")
        federation.assess_with([(enterprise, given)])
        assert shown(federation) == [handle("an id that outlives a process")]
    forget_at_the_bank(folder)
    if lost == "the index":
        index.unlink()
    if lost == "a damaged index":
        index.write_bytes(b"no database" * 1000)
    if lost == "an index of another log":
        with closing(sqlite3.connect(index, isolation_level=None)) as other:
            other.execute("UPDATE covered SET last = zeroblob(32)")
            other.execute("DELETE FROM consent")
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        start = federation.log.size
        federation.assess_with([(enterprise, given)])
        assert [leaf.kind for leaf in leaves(federation, start)] == STORY
    assert verify_directory(folder).ok


def test_of_two_questions_in_one_commit_the_first_alone_logs_the_consent(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    node, start = at_node(federation.folder, trained.training.model), federation.log.size
    writer = StatementWriter(federation.pins, lambda size: bytes(range(size)))

    def parcel() -> list[Envelope]:
        query = node.query()
        channel = node.bank_channel(query.transcript())
        named = consent_handle(CONSENT_SERVICE, "the id of all consents")
        said = writer.consent(named, query, About(trained.ids[0], "SHOWN"), channel, NOW)
        asked = node.envelopes(query, Subject(trained.ids[0], ""))
        return [said, stated(channel, query, trained.ids[0], LeafKind.REQUEST), *asked]

    federation.coordinator.route_group([(BANK, parcel()), (BANK, parcel()), (BANK, parcel())])
    kinds = [leaf.kind for leaf in leaves(federation, start)]
    assert kinds == [LeafKind.CONSENT, *[LeafKind.REQUEST] * 3]


@pytest.mark.usefixtures("two_are_a_batch")
def test_a_batch_logs_each_consent_that_is_new_and_each_enterprise_finds_its_own(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    asked = trained.ids[:6]
    given = [(one, consent(federation, one, f"the id of number {n:02}")) for n, one in enumerate(asked)]
    federation.assess_with(given[:1])
    federation.withhold_consent(asked[5])
    start = federation.log.size
    results = federation.assess_with([*given[:5], (asked[5], "")])
    assert [result.status for result in results] == ["ok"] * 5 + ["denied"]
    assert shown(federation, start) == [handle(f"the id of number {n:02}") for n in range(1, 5)]
    found = leaves(federation, start)
    kinds = [leaf.kind for leaf in found]
    assert kinds.index(LeafKind.CONSENT) < kinds.index(LeafKind.RELEASE)
    shredder = Shredder(federation.folder / COORDINATOR / SHRED_FILE)
    own = federation.consents.record_key(asked[3])
    opened = [open_for_subject(shredder.uncover(leaf.body), own) for leaf in found if leaf.kind is LeafKind.CONSENT]
    assert [next(iter(one.values())).enterprise if one else "" for one in opened] == ["", "", asked[3], ""]
    start = federation.log.size
    federation.assess_with(given)
    assert shown(federation, start) == [handle("the id of number 05")]


@pytest.mark.usefixtures("two_are_a_batch")
@pytest.mark.parametrize("enterprises", [1, 3])
def test_a_consent_that_its_bank_says_nothing_of_goes_no_further(
    federation: LocalFederation, trained: TrainedFederation, monkeypatch: pytest.MonkeyPatch, enterprises: int
) -> None:
    """A bank that hides whose a consent is gets no answer under it; one that was mistaken says it the next time."""
    start = federation.log.size
    given = [(one, consent(federation, one, f"the id of {one}")) for one in trained.ids[:enterprises]]
    with monkeypatch.context() as silent:
        silent.setattr(ConsentStatements, "write", lambda *arguments: [])
        results = federation.assess_with(given)
    assert {result.denied_by[COORDINATOR] for result in results} == {"BODY_MISSING"}
    assert shown(federation, start) == []
    assert all(result.status == "ok" for result in federation.assess_with(given))


def test_a_bank_that_believes_in_another_log_says_whose_the_consents_are_once_it_is_refused(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    given = consent(federation, trained.ids[0], "never shown in this log")
    with closing(open_bank_ledger(ledger_location(federation.folder / BANK))) as ledger:
        ledger.shown.add([bytes.fromhex(handle("never shown in this log"))])
    (refused,) = federation.assess_with([(trained.ids[0], given)])
    assert refused.code == "BODY_MISSING"
    (answered,) = federation.assess_with([(trained.ids[0], given)])
    assert answered.status == "ok"


def test_a_consent_whose_leaf_could_not_be_written_is_written_the_next_time(
    federation: LocalFederation, trained: TrainedFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = federation.log.size
    given = consent(federation, trained.ids[0], "an id that met a full disk")

    def full(*_: object) -> None:
        raise ConfigurationError("disk full", code="NOT_WRITABLE")

    with monkeypatch.context() as broken:
        broken.setattr(federation.log, "append", full)
        with pytest.raises(ConfigurationError):
            federation.assess_with([(trained.ids[0], given)])
    assert shown(federation, start) == []
    federation.assess_with([(trained.ids[0], given)])
    assert shown(federation, start) == [handle("an id that met a full disk")]


@pytest.mark.parametrize("restarted", [True, False])
def test_an_end_between_the_commit_and_the_index_logs_no_consent_twice(
    folder: Path, trained: TrainedFederation, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    """What a kill, or a full disk, keeps from the index is read from the log, which has it."""

    def killed(book: ConsentBook, leaves: object, receipts: object) -> None:
        with book._writing():
            raise sqlite3.OperationalError("the process ended here")

    with LocalFederation(folder, clock=lambda: NOW) as federation:
        start = federation.log.size
        given = consent(federation, trained.ids[0], "an id whose leaf is durable")
        with monkeypatch.context() as ending:
            ending.setattr(ConsentBook, "settle", killed)
            with pytest.raises(ConfigurationError):
                federation.assess_with([(trained.ids[0], given)])
        assert shown(federation, start) == [handle("an id whose leaf is durable")]
        if not restarted:
            assert federation.assess_with([(trained.ids[0], given)])[0].status == "ok"
            assert len(shown(federation, start)) == 1
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        assert federation.assess_with([(trained.ids[0], given)])[0].status == "ok"
        assert len(shown(federation, start)) == 1


@pytest.mark.usefixtures("two_are_a_batch")
def test_search_by_consent_finds_its_leaves_and_all_that_was_asked_under_it_also_in_batches(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    """A consent that is shown again is written no second time; each question says which it shows."""
    given = [(one, consent(federation, one, f"the id of {one}")) for one in trained.ids[:3]]
    start = federation.log.size
    (single,) = federation.assess_with(given[:1])
    batch = federation.assess_with(given)
    federation.assess_with(given[1:])
    found = search(logged_leaves(federation, start), Criteria(consent=handle(f"the id of {trained.ids[0]}")[:20]))
    kinds = [(leaf.commitment().kind, leaf.commitment().reference.hex()) for leaf in found]
    assert kinds[0] == (LeafKind.CONSENT, handle(f"the id of {trained.ids[0]}"))
    requests = [leaf for leaf in leaves(federation, start) if leaf.kind is LeafKind.REQUEST]
    assert [dict(leaf.attributes).get("enterprises", 1) for leaf in requests] == [1, 3, 2]
    assert {reference for _, reference in kinds[1:]} == {single.request, requests[1].reference.hex()}
    assert {result.status for result in batch} == {"ok"}
    rules = AlarmRules(consent_reuse=ConsentReuse(queries=2, days=1))
    with facts(logged_leaves(federation, start)) as work:
        alarms = watch(work, rules, Period(1000 * NOW + 1), ())
    reused = {one.about for one in alarms if one.rule == "consent_reuse"}
    assert reused == {f"consent {handle(f'the id of {one}')}" for one in trained.ids[:3]}


@pytest.mark.usefixtures("two_are_a_batch")
def test_reconciliation_misses_the_consent_of_one_enterprise_of_a_batch(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    given = [(one, consent(federation, one, f"the id of {one}")) for one in trained.ids[:3]]
    federation.assess_with(given[:1])
    start = federation.log.size
    federation.withhold_consent(trained.ids[3])
    federation.assess_with([*given, (trained.ids[3], "")])
    found = logged_leaves(federation, 0)
    assert reconcile(found, {}).ok
    without = [leaf for leaf in found if leaf.commitment().reference.hex() != handle(f"the id of {trained.ids[0]}")]
    missing = {one.query: (one.code, one.text) for one in reconcile(without, {}).discrepancies}
    assert len(missing) == 2  # the single question under that consent, and the batch
    batch = next(one for leaf in found[start:] if (one := leaf.commitment()).kind is LeafKind.REQUEST)
    code, text = missing[batch.reference.hex()]
    assert code == "CONSENT_MISSING"
    assert "answered about 3 enterprises, and 2 of its consents" in text


def test_search_by_tag_finds_the_leaves_of_its_consents(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start = federation.log.size
    federation.assess(trained.ids[:1])
    federation.assess(trained.ids[1:2])
    found = logged_leaves(federation, start)
    tag = found[0].commitment().subject
    mine = [leaf.commitment().kind for leaf in search(found, Criteria(tag=tag))]
    assert mine == [LeafKind.CONSENT, *STORY]


def test_reconciliation_misses_a_consent_and_finds_one_twice(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start = federation.log.size
    federation.assess(trained.ids[:1])
    found = logged_leaves(federation, 0)
    before, consent, after = found[:start], found[start], found[start + 1 :]
    assert reconcile(found, {}).ok
    assert [one.code for one in reconcile([*before, *after], {}).discrepancies] == ["CONSENT_MISSING"]
    twice = reconcile([*before, consent, consent, *after], {}).discrepancies
    assert [one.code for one in twice] == ["CONSENT_REPEATED"]
    assert twice[0].query == after[0].commitment().reference.hex()


def test_an_issuer_whose_name_no_leaf_can_hold_is_refused_at_the_start(federation: LocalFederation) -> None:
    home = federation.folder / COORDINATOR
    (home / "issuers").mkdir()
    key = Ed25519PrivateKey.generate().public_key()
    (home / "issuers" / "a b.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(ConfigurationError) as refusal:
        read_issuers(home, federation.pins)
    assert refusal.value.code == "BAD_ISSUER"
