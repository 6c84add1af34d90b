"""A data node counts how often a consent served it, and takes none that is revoked or that it cannot know is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from federation.local.layout import BANK, CONSENT_SERVICE
from nodes.consent_sources import ConsentSources
from nodes.data_node.agent import DataNodeAgent
from nodes.keystore import read_keys
from nodes.policy import ConsentRules, NodePolicy
from protocols.assessment.messages import Denial, Query, Subject
from protocols.channel.envelope import EVERYONE, Channel, open_parcel, pack_parcel
from protocols.consent import (
    LIST_SECONDS,
    Consent,
    Purpose,
    RevocationList,
    consent_handle,
    issue_consent,
    issue_slip,
    sign_revocations,
)
from protocols.consent.messages import RevocationNotice
from protocols.errors import PeerRefused
from tests.conftest import TrainedFederation
from tests.small_federation import NODES, NOW, POLICY, AtNode, at_node

TOKEN_ID = "the first of all"  # noqa: S105
OTHER_ID = "the second of all"
LATER = NOW + 70  # when the list of the training run is no longer fresh


@pytest.fixture
def enterprise(trained: TrainedFederation) -> str:
    return trained.ids[-1]


class Service:
    """The consent service of a folder, and what it says at a time."""

    def __init__(self, folder: Path) -> None:
        self.keys, self.folder = read_keys(folder / CONSENT_SERVICE), folder

    def consent(self, node: AtNode, enterprise: str, **changes: int | str) -> tuple[str, str]:
        card = node.site.pins.cards[BANK].fingerprint()
        purposes = (Purpose.ASSESSMENT,)
        consent = Consent(enterprise, BANK, card, purposes, NODES, 2, NOW, NOW, NOW + 3600, TOKEN_ID)
        consent = replace(consent, **changes)  # type: ignore[arg-type]
        name, key = self.keys.party, self.keys.signing
        return issue_consent(consent, name, key), issue_slip(consent, name, key)

    def revoking(self, *token_ids: str, sequence: int = NOW + 100, issued: int = NOW) -> str:
        handles = frozenset(consent_handle(self.keys.party, token_id) for token_id in token_ids)
        revocations = RevocationList(self.keys.party, sequence, issued, issued + LIST_SECONDS, handles)
        return sign_revocations(revocations, self.keys.signing)


@pytest.fixture
def service(federation_folder: Path) -> Service:
    return Service(federation_folder)


@pytest.fixture
def open_node(federation_folder: Path, trained: TrainedFederation) -> Callable[..., AtNode]:
    """Open the tax node; `list_at_hand` is what lies there, "" for nothing."""

    def open_again(list_at_hand: str | None = None, policy: NodePolicy = POLICY, now: int = NOW) -> AtNode:
        node = at_node(federation_folder, trained.training.model, policy=policy, clock=lambda: now)
        if list_at_hand is None:
            return node
        sources = ConsentSources(node.site.consents.issuers, lambda: list_at_hand)
        site = dataclasses.replace(node.site, consents=sources)
        return dataclasses.replace(node, site=site, agent=DataNodeAgent(site))

    return open_again


def outcome(node: AtNode, consent: tuple[str, str], enterprise: str, query: Query | None = None) -> str:
    """The code of the denial, or "" for a share."""
    query = msgspec.structs.replace(query or node.query(), slip=consent[1])
    answer = node.ask(query, Subject(enterprise, consent[0]))
    if answer.message == "ScoreShare":
        return ""
    denial = node.read(query, answer, Denial)
    assert isinstance(denial, Denial)
    return denial.code


def test_an_over_used_consent_is_refused_also_after_a_restart(
    open_node: Callable[..., AtNode], service: Service, enterprise: str
) -> None:
    node = open_node()
    consent = service.consent(node, enterprise)
    assert outcome(node, consent, enterprise) == ""
    node.site.ledger.close()
    node = open_node()
    assert [outcome(node, consent, enterprise) for _ in range(2)] == ["", "CONSENT_OVERUSED"]
    other = service.consent(node, enterprise, token_id=OTHER_ID)
    assert outcome(node, other, enterprise) == ""


def test_a_repeated_question_uses_a_consent_once(
    open_node: Callable[..., AtNode], service: Service, enterprise: str
) -> None:
    node = open_node()
    consent, query = service.consent(node, enterprise), node.query()
    assert [outcome(node, consent, enterprise, query) for _ in range(5)] == [""] * 5
    assert [outcome(node, consent, enterprise) for _ in range(2)] == ["", "CONSENT_OVERUSED"]


def test_a_denied_question_uses_no_consent(open_node: Callable[..., AtNode], service: Service, enterprise: str) -> None:
    node = open_node()
    consent = service.consent(node, enterprise)
    node.site.switch.stop("")
    assert [outcome(node, consent, enterprise) for _ in range(3)] == ["NODE_STOPPED"] * 3
    node.site.switch.resume()
    assert [outcome(node, consent, enterprise) for _ in range(3)] == ["", "", "CONSENT_OVERUSED"]


def test_a_revoked_consent_is_refused_and_no_other(
    open_node: Callable[..., AtNode], service: Service, enterprise: str
) -> None:
    node = open_node(service.revoking(TOKEN_ID))
    assert outcome(node, service.consent(node, enterprise), enterprise) == "CONSENT_REVOKED"
    assert outcome(node, service.consent(node, enterprise, token_id=OTHER_ID), enterprise) == ""


@pytest.mark.parametrize("when", [NOW + LIST_SECONDS, NOW + 300])
def test_without_a_fresh_list_every_consent_is_refused(
    open_node: Callable[..., AtNode], service: Service, enterprise: str, when: int
) -> None:
    node = open_node(now=when)
    query = msgspec.structs.replace(node.query(), issued=when, expires=when + 60)
    assert outcome(node, service.consent(node, enterprise), enterprise, query) == "CONSENT_LIST_STALE"


def test_a_list_that_is_not_the_services_leaves_the_node_without_one(
    open_node: Callable[..., AtNode], service: Service, enterprise: str
) -> None:
    forged = Service(service.folder)
    forged.keys = dataclasses.replace(forged.keys, signing=read_keys(service.folder / "tax").signing)
    for text in ("nonsense", forged.revoking(issued=LATER), service.revoking(issued=NOW)):
        node = open_node(text, now=LATER)
        assert outcome(node, service.consent(node, enterprise), enterprise) == "CONSENT_LIST_STALE"
        node.site.ledger.close()


def test_an_older_list_put_in_the_place_of_a_newer_one_is_not_believed_even_after_a_restart(
    open_node: Callable[..., AtNode], service: Service, enterprise: str
) -> None:
    node = open_node(service.revoking(TOKEN_ID, sequence=NOW + 200))
    assert outcome(node, service.consent(node, enterprise), enterprise) == "CONSENT_REVOKED"
    node.site.ledger.close()
    node = open_node(service.revoking(sequence=NOW + 199))
    assert outcome(node, service.consent(node, enterprise), enterprise) == "CONSENT_REVOKED"


@pytest.mark.parametrize("case", ["none", "another's", "cut", "no slip"])
def test_a_slip_that_is_not_the_consents_is_refused(
    open_node: Callable[..., AtNode], service: Service, enterprise: str, case: str
) -> None:
    """Otherwise a bank would show the coordinator a good slip, and the nodes a consent that was revoked.

    That a slip is signed and holds at this time, the coordinator verifies.
    """
    node = open_node()
    token, slip = service.consent(node, enterprise)
    other = service.consent(node, enterprise, token_id=OTHER_ID)[1]
    shown = {"none": "", "another's": other, "cut": slip[: len(slip) // 2], "no slip": token}[case]
    assert outcome(node, (token, shown), enterprise) == "CONSENT_MISMATCH"


def test_the_owner_bounds_how_widely_a_consent_may_be_given(
    open_node: Callable[..., AtNode], service: Service, enterprise: str
) -> None:
    for terms in (ConsentRules(uses_at_most=1), ConsentRules(days_at_most=1)):
        rules = tuple(msgspec.structs.replace(rule, consent=terms) for rule in POLICY.rules)
        node = open_node(policy=msgspec.structs.replace(POLICY, rules=rules))
        consent = service.consent(node, enterprise, expires=NOW + 86_401)
        assert outcome(node, consent, enterprise) == "CONSENT_TOO_BROAD"
        node.site.ledger.close()


def give(node: AtNode, revocations: str, sender: str) -> str:
    """The code with which a node refuses a list that a party passes on, "" if it takes it."""
    notice = RevocationNotice(revocations)
    channel = Channel(read_keys(node.folder / sender), node.site.pins.cards, notice.transcript())
    try:
        assert open_parcel(node.agent.handle(pack_parcel((channel.wrap(EVERYONE, notice),)))) == ()
    except PeerRefused as refusal:
        return refusal.code
    return ""


def test_a_list_that_the_coordinator_passes_on_takes_effect_at_once(
    open_node: Callable[..., AtNode], service: Service, enterprise: str
) -> None:
    node = open_node("", now=LATER)
    consent = service.consent(node, enterprise)
    assert outcome(node, consent, enterprise) == "CONSENT_LIST_STALE"
    assert give(node, service.revoking(sequence=NOW + 1, issued=LATER), "coordinator") == ""
    assert outcome(node, consent, enterprise) == ""
    assert give(node, service.revoking(TOKEN_ID, sequence=NOW + 2, issued=LATER), "coordinator") == ""
    assert outcome(node, consent, enterprise) == "CONSENT_REVOKED"


def test_a_list_is_taken_from_the_coordinator_alone_and_only_if_the_service_signed_it(
    open_node: Callable[..., AtNode], service: Service
) -> None:
    node = open_node("")
    assert give(node, service.revoking(), BANK) == "VERIFICATION_FAILED"
    assert give(node, "nonsense", "coordinator") == "CONSENT_LIST_INVALID"
    assert give(node, service.revoking(sequence=NOW + 9), "coordinator") == ""
    assert give(node, service.revoking(TOKEN_ID, sequence=NOW + 8), "coordinator") == "CONSENT_LIST_ROLLBACK"
