"""Every leaf about an enterprise has a body that its auditors and the enterprise open, and the coordinator does not."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import pytest

from federation.audit.bodies.shredder import SHRED_FILE, Shredder
from federation.audit.reconciliation.reconcile import QUERY_KINDS
from federation.audit.verify import verify_directory
from federation.coordinator.bodies import BodyDesk
from federation.local.federation import LocalFederation
from federation.local.layout import BANK
from nodes.keystore import read_keys
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import encode
from protocols.errors import VerificationFailed
from protocols.transparency.leaves import LeafKind
from protocols.transparency.shredding import decode_body
from protocols.transparency.statements import Statement, open_for_auditor, open_for_subject, verify_statements
from tests.conftest import TrainedFederation
from tests.small_federation import CHEN, NODES, at_node, stated

ANSWERS = [LeafKind.CONSENT, LeafKind.REQUEST, *[LeafKind.RELEASE] * len(NODES), LeafKind.ACK]


def shredder(federation: LocalFederation) -> Shredder:
    return Shredder(federation.folder / "coordinator" / SHRED_FILE)


def opened(
    federation: LocalFederation,
    start: int,
    enterprise: str | None = None,
    kinds: Collection[LeafKind] = tuple(LeafKind),
) -> list[dict[int, Statement]]:
    """What the auditor reads in each body from a leaf on, or what an enterprise does; signatures verified."""
    auditor, keys, found = read_keys(federation.folder / CHEN), shredder(federation), []
    for entry in federation.log.entries(start):
        if entry.leaf.body and entry.leaf.kind in kinds:
            sealed = keys.uncover(entry.leaf.body)
            verify_statements(sealed, federation.pins.cards[PartyId(entry.leaf.actor)])
            if enterprise is None:
                found.append(open_for_auditor(sealed, auditor.sealing))
            else:
                found.append(open_for_subject(sealed, federation.consents.record_key(enterprise)))
    return found


def test_the_auditor_and_the_enterprise_read_whom_a_question_was_about_and_what_each_said(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start, enterprise = federation.log.size, trained.ids[0]
    (result,) = federation.assess([enterprise])
    statements = [found[0] for found in opened(federation, start)]
    assert [statement.leaf for statement in statements] == ANSWERS
    assert {statement.enterprise for statement in statements} == {enterprise}
    assert {statement.reference.hex() for statement in statements[1:]} == {result.request}
    assert [s.decision for s in statements] == ["SHOWN", "ASKED", *["RELEASE"] * len(NODES), "ACCEPTED"]
    assert {s.party for s in statements[2:-1]} == set(NODES)
    assert all(s.rule for s in statements[2:-1])
    assert opened(federation, start, enterprise) == [{0: statement} for statement in statements]
    assert opened(federation, start, trained.ids[1]) == [{}] * len(statements)


def test_a_denial_says_why_also_to_an_enterprise_that_was_asked_about_without_consent(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start, enterprise = federation.log.size, trained.ids[0]
    federation.withhold_consent(enterprise)
    federation.assess([enterprise])
    statements = [found[0] for found in opened(federation, start)]
    assert [s.code for s in statements] == ["", *["CONSENT_MISSING"] * len(NODES), ""]
    assert {s.enterprise for s in statements} == {enterprise}
    assert opened(federation, start, enterprise) == [{}] * len(statements)  # no consent, no key: for the auditors alone


def test_each_enterprise_of_a_batch_finds_its_own_entry_and_no_other(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start, asked = federation.log.size, trained.ids[:20]
    federation.withhold_consent(asked[3])
    federation.assess(asked)
    bodies = opened(federation, start, kinds=QUERY_KINDS)
    assert [sorted(found) for found in bodies] == [list(range(20))] * (1 + len(NODES))
    assert [found[7].enterprise for found in bodies] == [asked[7]] * (1 + len(NODES))
    assert {found[3].code for found in bodies[1:]} == {"CONSENT_MISSING"}
    mine = opened(federation, start, asked[7], QUERY_KINDS)
    assert [list(found) for found in mine] == [[7]] * (1 + len(NODES))
    assert {found[7].decision for found in mine[1:]} == {"RELEASE"}


def test_after_shredding_nobody_reads_and_the_log_still_verifies(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start, asked = federation.log.size, trained.ids[:2]
    federation.assess(asked)
    tag = next(entry.leaf.subject for entry in federation.log.entries(start) if entry.leaf.subject)
    shredder(federation).shred([tag])
    assert {s.enterprise for found in opened(federation, start) for s in found.values()} == {asked[1]}
    assert not any(opened(federation, start, asked[0]))
    federation.assess([asked[0]])  # not even what comes later in that year
    assert not any(opened(federation, start, asked[0]))
    federation._files.close()
    assert verify_directory(federation.folder).ok


def test_the_years_that_are_over_are_shredded_whole(federation: LocalFederation, trained: TrainedFederation) -> None:
    start = federation.log.size
    federation.assess(trained.ids[:1])
    assert shredder(federation).shred_before(2023) == ()
    assert all(opened(federation, start))
    assert shredder(federation).shred_before(2024) == (2023,)
    assert not any(opened(federation, start))


def test_the_old_keys_are_not_left_on_the_disk(federation: LocalFederation, trained: TrainedFederation) -> None:
    federation.assess(trained.ids[:1])
    path = federation.folder / "coordinator" / SHRED_FILE
    before = path.read_bytes()
    with path.open("rb") as held:  # what a reader of the old file's blocks would see
        shredder(federation).shred([bytes(32)])
        assert held.read().strip(b"\0") == b""
    assert path.read_bytes()[:40] != before[:40] or path.read_bytes() != before
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_coordinator_sees_no_enterprise_in_what_it_stores(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start = federation.log.size
    federation.assess(trained.ids[:20])
    federation.assess(trained.ids[:1])
    keys = shredder(federation)
    for entry in federation.log.entries(start):
        uncovered = encode(keys.uncover(entry.leaf.body)) if entry.leaf.body else b""
        assert not any(enterprise.encode() in entry.leaf.body + uncovered for enterprise in trained.ids[:20])


def test_a_question_without_a_body_is_refused_and_not_logged(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    node, size = at_node(federation.folder, trained.training.model), federation.log.size
    query = msgspec.structs.replace(node.query(), slip="")
    channel = node.bank_channel(query.transcript())
    asked = channel.wrap(PartyId("_everyone"), query)
    for wrong in (
        [],
        [stated(channel, query, "x", LeafKind.ACK)],
        [stated(node.bank_channel(bytes(32)), query, "x", LeafKind.REQUEST)],
    ):
        with pytest.raises(VerificationFailed):
            federation.coordinator.route(BANK, [*wrong, asked])
    assert federation.log.size == size
    federation.coordinator.route(BANK, [stated(channel, query, "x", LeafKind.REQUEST), asked])
    assert federation.log.size == size + 1


def test_an_answer_without_a_body_does_not_count(
    federation: LocalFederation, trained: TrainedFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a node says without a statement is not taken for an answer: no product, so no score, is made of it."""
    monkeypatch.setattr(BodyDesk, "take", lambda self, envelope: None)
    size = federation.log.size
    with pytest.raises(VerificationFailed) as refusal:
        federation.assess(trained.ids[:1])
    assert refusal.value.code == "BODY_MISSING"
    assert federation.log.size == size


def test_a_body_of_another_party_is_refused(federation: LocalFederation, trained: TrainedFederation) -> None:
    node = at_node(federation.folder, trained.training.model)
    query = node.query()
    tax = node.site.channel(query.transcript())
    foreign = stated(tax, query, "x", LeafKind.REQUEST)
    claimed = Envelope(foreign.transcript, BANK, "coordinator", foreign.message, False, foreign.body, bytes(64))
    with pytest.raises(VerificationFailed) as refusal:
        federation.coordinator.route(BANK, [claimed])
    assert refusal.value.code == "BODY_INVALID"


def test_what_is_stored_is_a_covered_body(federation: LocalFederation, trained: TrainedFederation) -> None:
    start = federation.log.size
    federation.assess(trained.ids[:1])
    bodies = [decode_body(entry.leaf.body) for entry in federation.log.entries(start) if entry.leaf.body]
    assert {body.year for body in bodies} == {2023}
    assert len({body.nonce for body in bodies}) == len(bodies)
