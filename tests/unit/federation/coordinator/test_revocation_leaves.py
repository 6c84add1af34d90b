"""Each withdrawal of a consent is one leaf, which its enterprise opens, although nobody named that to the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from consent_stories import consent, handle, leaves

from federation.audit.bodies.shredder import SHRED_FILE, Shredder
from federation.local.federation import LocalFederation
from federation.local.layout import BANK, CONSENT_SERVICE, COORDINATOR
from nodes.keystore import read_keys
from nodes.statements import About, StatementWriter
from protocols.assessment.messages import Subject
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.consent import consent_handle
from protocols.consent.messages import RevocationNotice
from protocols.transparency.leaves import CONSENT_KINDS, Leaf, LeafKind
from protocols.transparency.statements import open_for_auditor, open_for_subject, reply_secret, verify_statements
from tests.conftest import TrainedFederation
from tests.small_federation import CHEN, NOW, at_node, stated


def test_a_withdrawn_consent_is_logged_once_with_the_tag_of_its_enterprise(
    folder: Path, trained: TrainedFederation
) -> None:
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        given = consent(federation, trained.ids[0], "an id that is soon withdrawn")
        federation.assess_with([(trained.ids[0], given)])
        federation.consents.revoke("an id that is soon withdrawn")
        federation.consents.revoke("an id that is never shown")
        start = federation.log.size
        federation.assess_with([(trained.ids[0], given)])
        found = leaves(federation, start)
        assert [leaf.kind for leaf in found] == [
            *[LeafKind.REVOKE] * 2,
            LeafKind.REQUEST,
            LeafKind.DENY,
            LeafKind.ACK,
        ]
        tags = {leaf.reference.hex(): leaf.subject for leaf in found if leaf.kind is LeafKind.REVOKE}
        assert tags == {
            handle("an id that is soon withdrawn"): found[2].subject,
            handle("an id that is never shown"): b"",
        }
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        start = federation.log.size
        federation.assess_with([(trained.ids[0], given)])
        assert not any(leaf.kind in CONSENT_KINDS for leaf in leaves(federation, start))


def withdraw(federation: LocalFederation, token_id: str) -> Leaf:
    """Withdraw a consent, let the coordinator hear of it, and return its REVOKE."""
    federation.consents.revoke(token_id)
    start = federation.log.size
    federation.assess(["91999999MANLAYN443"])
    return next(leaf for leaf in leaves(federation, start) if leaf.kind is LeafKind.REVOKE)


def test_the_body_of_a_revocation_opens_to_the_auditor_and_to_its_enterprise_alone(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    """The coordinator, which is told a handle alone, seals it to an enterprise that it does not know."""
    start, enterprise = federation.log.size, trained.ids[0]
    federation.assess_with([(enterprise, consent(federation, enterprise, "an id that is soon withdrawn"))])
    shredder = Shredder(federation.folder / COORDINATOR / SHRED_FILE)
    first = next(leaf for leaf in leaves(federation, start) if leaf.kind is LeafKind.CONSENT)
    leaf = withdraw(federation, "an id that is soon withdrawn")
    sealed = shredder.uncover(leaf.body)
    verify_statements(sealed, federation.pins.cards[COORDINATOR])
    statement = open_for_auditor(sealed, read_keys(federation.folder / CHEN).sealing)[0]
    assert (statement.leaf, statement.decision, statement.bank) == (LeafKind.REVOKE, "REVOKED", BANK)
    assert (statement.reference, statement.at) == (first.reference, NOW)
    assert statement.rule.startswith(f"{CONSENT_SERVICE} list ")
    assert statement.enterprise == ""
    own = reply_secret(shredder.uncover(first.body), federation.consents.record_key(enterprise))
    assert own is not None
    assert open_for_subject(sealed, own) == {0: statement}
    other = federation.consents.record_key(trained.ids[1])
    assert reply_secret(shredder.uncover(first.body), other) is None
    assert open_for_subject(sealed, other) == {}
    assert (leaf.subject, dict(leaf.attributes)["bank"]) == (first.subject, BANK)


def test_the_body_of_a_revocation_of_what_was_never_shown_is_for_the_auditors_alone(
    federation: LocalFederation,
) -> None:
    leaf = withdraw(federation, "an id that is never shown")
    sealed = Shredder(federation.folder / COORDINATOR / SHRED_FILE).uncover(leaf.body)
    statement = open_for_auditor(sealed, read_keys(federation.folder / CHEN).sealing)[0]
    assert (statement.reference.hex(), statement.bank) == (handle("an id that is never shown"), "")
    assert (leaf.subject, "bank" in dict(leaf.attributes)) == (b"", False)


def test_shredding_an_enterprise_closes_its_revocations_too(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    federation.assess_with([(trained.ids[0], consent(federation, trained.ids[0], "an id that is soon withdrawn"))])
    leaf = withdraw(federation, "an id that is soon withdrawn")
    shredder = Shredder(federation.folder / COORDINATOR / SHRED_FILE)
    shredder.shred([leaf.subject])
    assert shredder.uncover(leaf.body).entries == (b"",)


def test_a_consent_that_is_shown_and_withdrawn_within_one_commit_is_withdrawn_with_its_tag(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    node, start = at_node(federation.folder, trained.training.model), federation.log.size
    named = consent_handle(CONSENT_SERVICE, "the id of all consents")
    query = node.query()
    channel = node.bank_channel(query.transcript())
    writer = StatementWriter(federation.pins, lambda size: bytes(range(size)))
    said = writer.consent(named, query, About(trained.ids[0], "SHOWN"), channel, NOW)
    asked = [said, stated(channel, query, trained.ids[0], LeafKind.REQUEST)]
    parcel = [*asked, *node.envelopes(query, Subject(trained.ids[0], ""))]

    def arriving() -> Iterator[tuple[PartyId, list[Envelope]]]:
        yield BANK, parcel
        federation.consents.revoke("the id of all consents")
        told = RevocationNotice(federation.consents.revocations())
        keys = read_keys(federation.folder / CONSENT_SERVICE)
        yield CONSENT_SERVICE, [Channel(keys, federation.pins.cards, told.transcript()).wrap(EVERYONE, told)]

    federation.coordinator.route_group(arriving())  # type: ignore[arg-type]  each comes once the one before is taken
    federation.assess([trained.ids[1]])
    found = [leaf for leaf in leaves(federation, start) if leaf.reference == named]
    assert [leaf.kind for leaf in found] == [LeafKind.CONSENT, LeafKind.REVOKE]
    assert found[1].subject == found[0].subject != b""
