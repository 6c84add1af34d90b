"""The coordinator refuses what it can see is no consent, before any node is asked, and without learning whose it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.local.federation import LocalFederation
from federation.local.layout import BANK, CONSENT_SERVICE, COORDINATOR
from nodes.keystore import read_keys
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.consent import Consent, Purpose, join_consent, split_consent
from protocols.consent.messages import RevocationNotice
from protocols.errors import PolicyDenied, VerificationFailed
from protocols.transparency.leaves import Leaf, LeafKind
from tests.conftest import TrainedFederation
from tests.small_federation import NODES, NOW


class Clock:
    now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def federation(federation_folder: Path, clock: Clock) -> Iterator[LocalFederation]:
    with LocalFederation(federation_folder, clock=clock) as federation:
        yield federation


def leaves(federation: LocalFederation, start: int) -> list[Leaf]:
    return [entry.leaf for entry in federation.log.entries(start)]


def consent(federation: LocalFederation, enterprise: str, token_id: str, bank: str = BANK) -> str:
    return federation.consents.issue_as(
        Consent(
            subject=enterprise,
            bank=bank,
            bank_card=federation.pins.cards[BANK].fingerprint(),
            purposes=(Purpose.ASSESSMENT,),
            domains=NODES,
            uses=10,
            issued=NOW,
            not_before=NOW,
            expires=NOW + 3600,
            token_id=token_id,
        )
    )


def ask(federation: LocalFederation, enterprise: str, consent: str) -> tuple[str, str, dict[str, str]]:
    (result,) = federation.assess_with([(enterprise, consent)])
    return result.status, result.code, result.denied_by


def test_a_revoked_consent_reaches_no_node(federation: LocalFederation, trained: TrainedFederation) -> None:
    enterprise = trained.ids[0]
    given = consent(federation, enterprise, "an id that is revoked")
    assert ask(federation, enterprise, given)[0] == "ok"
    federation.consents.revoke("an id that is revoked")
    start = federation.log.size
    assert ask(federation, enterprise, given) == ("denied", "CONSENT_REVOKED", {COORDINATOR: "CONSENT_REVOKED"})
    found = leaves(federation, start)
    assert [leaf.kind for leaf in found] == [LeafKind.REVOKE, LeafKind.REQUEST, LeafKind.DENY, LeafKind.ACK]
    assert [leaf.actor for leaf in found] == [COORDINATOR, BANK, COORDINATOR, BANK]
    assert ask(federation, enterprise, consent(federation, enterprise, "an id that stands"))[0] == "ok"


def test_a_revocation_is_in_force_within_a_minute_at_a_node_that_is_told_nothing(
    federation: LocalFederation, trained: TrainedFederation, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds the lists back stops all answers: what was known of the last list ends with it."""
    enterprise = trained.ids[0]
    given = consent(federation, enterprise, "an id that is revoked")
    assert ask(federation, enterprise, given)[0] == "ok"
    monkeypatch.setattr(federation.consents, "_clock", lambda: NOW)  # the service signs nothing more
    clock.now = NOW + 61
    assert ask(federation, enterprise, given)[:2] == ("denied", "CONSENT_LIST_STALE")


@pytest.mark.parametrize("case", ["another bank's", "forged", "expired"])
def test_a_slip_that_is_not_good_reaches_no_node(
    federation: LocalFederation, trained: TrainedFederation, clock: Clock, case: str
) -> None:
    enterprise = trained.ids[0]
    given = consent(federation, enterprise, "0123456789abcdef", "another" if case == "another bank's" else BANK)
    if case == "forged":
        given = given[:-8] + "AAAAAAAA"
    if case == "expired":
        clock.now = NOW + 3600
    code = {"another bank's": "CONSENT_SCOPE", "forged": "CONSENT_INVALID", "expired": "CONSENT_EXPIRED"}[case]
    assert ask(federation, enterprise, given) == ("denied", code, {COORDINATOR: code})


def test_a_consent_without_its_slip_is_denied_by_the_nodes(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    enterprise = trained.ids[0]
    token, slip = split_consent(consent(federation, enterprise, "0123456789abcdef"))
    denied = dict.fromkeys(NODES, "CONSENT_MISMATCH")
    assert ask(federation, enterprise, token) == ("denied", "CONSENT_MISMATCH", denied)
    other = split_consent(consent(federation, enterprise, "fedcba9876543210"))[1]
    assert ask(federation, enterprise, join_consent(token, other)) == ("denied", "CONSENT_MISMATCH", denied)
    assert ask(federation, enterprise, join_consent(token, slip))[0] == "ok"


def ask_together(federation: LocalFederation, consents: dict[str, str]) -> dict[str, tuple[str, dict[str, str]]]:
    """Ask about many at once; return each one's code, and who gave it."""
    return {r.enterprise: (r.code, r.denied_by) for r in federation.assess_with(list(consents.items()))}


def test_in_a_batch_too_the_coordinator_refuses_what_it_can_see_is_no_consent(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    ids = trained.ids[:20]
    given = {
        enterprise: consent(federation, enterprise, f"the id of number {n:02}") for n, enterprise in enumerate(ids)
    }
    token, slip = split_consent(given[ids[1]])
    given[ids[1]] = join_consent(token, slip[:-8] + "AAAAAAAA")
    given[ids[2]] = consent(federation, ids[2], "for another bank", "another")
    found = ask_together(federation, given)
    assert found[ids[1]] == ("CONSENT_INVALID", {COORDINATOR: "CONSENT_INVALID"})
    assert found[ids[2]][1][COORDINATOR] == "CONSENT_SCOPE"
    assert {code for enterprise, (code, _) in found.items() if enterprise not in ids[1:3]} == {""}


def test_a_consent_that_is_revoked_is_refused_in_a_batch_by_all(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    ids = trained.ids[:20]
    given = {
        enterprise: consent(federation, enterprise, f"the id of number {n:02}") for n, enterprise in enumerate(ids)
    }
    federation.consents.revoke("the id of number 03")
    found = ask_together(federation, given)
    assert found[ids[3]] == ("CONSENT_REVOKED", dict.fromkeys((COORDINATOR, *NODES), "CONSENT_REVOKED"))
    assert {code for enterprise, (code, _) in found.items() if enterprise != ids[3]} == {""}


def test_in_a_batch_the_slip_shown_must_be_that_of_the_consent(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    ids = trained.ids[:20]
    given = {
        enterprise: consent(federation, enterprise, f"the id of number {n:02}") for n, enterprise in enumerate(ids)
    }
    token, _ = split_consent(given[ids[4]])
    other = split_consent(given[ids[5]])[1]
    given |= {ids[4]: join_consent(token, other), ids[6]: split_consent(given[ids[6]])[0]}
    found = ask_together(federation, given)
    denied = ("CONSENT_MISMATCH", dict.fromkeys(NODES, "CONSENT_MISMATCH"))
    assert found[ids[4]] == found[ids[6]] == denied
    assert found[ids[5]][0] == ""


def test_a_query_is_logged_with_the_handle_of_its_consent(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start = federation.log.size
    given = consent(federation, trained.ids[0], "0123456789abcdef")
    ask(federation, trained.ids[0], given)
    ask(federation, trained.ids[0], given)
    hashes = [dict(leaf.attributes)["consent_hash"] for leaf in leaves(federation, start) if leaf.kind == "REQUEST"]
    assert hashes[0] == hashes[1]
    assert all(trained.ids[0] not in str(leaf) for leaf in leaves(federation, start))


def notice(federation: LocalFederation, revocations: str, sender: str) -> Envelope:
    message = RevocationNotice(revocations)
    keys = read_keys(federation.folder / sender)
    return Channel(keys, federation.pins.cards, message.transcript()).wrap(EVERYONE, message)


def test_what_a_list_newly_revokes_is_logged_once(federation: LocalFederation) -> None:
    start = federation.log.size
    federation.consents.revoke("0123456789abcdef")
    first = federation.consents.revocations()
    federation.consents.revoke("fedcba9876543210")
    for text in (first, federation.consents.revocations()):
        for sender in (CONSENT_SERVICE, COORDINATOR):
            assert federation.coordinator.route(PartyId(sender), [notice(federation, text, sender)]) == []
    found = leaves(federation, start)
    assert [leaf.kind for leaf in found] == [LeafKind.REVOKE] * 2
    assert {leaf.actor for leaf in found} == {COORDINATOR}
    assert {dict(leaf.attributes)["issuer"] for leaf in found} == {CONSENT_SERVICE}
    evidence = [hashlib.sha256(text.encode()).digest() for text in (first, federation.consents.revocations())]
    assert [leaf.evidence for leaf in found] == evidence


def test_a_list_is_taken_from_those_alone_who_keep_consents(federation: LocalFederation) -> None:
    text = federation.consents.revocations()
    with pytest.raises(VerificationFailed):
        federation.coordinator.route(PartyId("tax"), [notice(federation, text, "tax")])
    with pytest.raises(PolicyDenied) as refusal:
        federation.coordinator.route(PartyId(COORDINATOR), [notice(federation, "nonsense", COORDINATOR)])
    assert refusal.value.code == "CONSENT_LIST_INVALID"
