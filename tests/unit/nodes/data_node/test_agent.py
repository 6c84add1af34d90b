"""A data node answers what its policy and the enterprise allow, and says nothing else: by code, never by exception."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.local.layout import BANK
from nodes.data_node import assessments
from nodes.data_node.agent import DataNodeAgent
from nodes.data_node.parts import Parts
from nodes.keystore import read_keys
from nodes.policy import Effect, NodePolicy, Quota, Rule, usual_policy
from nodes.policy.rules import USUAL_TRAINING
from protocols.assessment.messages import Denial, Query, ScoreShare, Subject
from protocols.channel.envelope import EVERYONE, Channel, Envelope, Parcel, open_parcel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.channel.wire import decode, encode
from protocols.consent import Purpose
from protocols.errors import PeerRefused
from protocols.paillier import CiphertextVector
from protocols.scorecard.messages import Cohort, EncryptedLabels, RunSpec
from tests.conftest import TrainedFederation
from tests.small_federation import KEY_BITS, MINIMUM_BIN, NODES, NOW, POLICY, AtNode, answers_in, at_node, envelopes_in


@pytest.fixture
def node(federation_folder: Path, trained: TrainedFederation) -> AtNode:
    return at_node(federation_folder, trained.training.model)


@pytest.fixture
def enterprise(trained: TrainedFederation) -> str:
    return trained.ids[0]


def denial(node: AtNode, query: Query, subject: Subject) -> str:
    answer = node.ask(query, subject)
    assert answer.message == "Denial"
    message = node.read(query, answer, Denial)
    assert isinstance(message, Denial)
    assert message.policy == node.site.policy.digest()
    return message.code


def test_a_query_with_consent_gets_one_ciphertext_under_the_banks_key(node: AtNode, enterprise: str) -> None:
    query = node.query()
    answer = node.ask(query, Subject(enterprise, node.consent(enterprise)))
    share = node.read(query, answer, ScoreShare)
    assert isinstance(share, ScoreShare)
    bank = node.site.pins.paillier_key(BANK, KEY_BITS)
    assert len(CiphertextVector.from_bytes(bank, share.ciphertext)) == 1


def test_an_enterprise_that_the_node_does_not_know_gets_a_share_like_any_other(node: AtNode) -> None:
    query = node.query()
    unknown = "91350100M000100Y43"
    assert node.ask(query, Subject(unknown, node.consent(unknown))).message == "ScoreShare"


def test_a_repeated_query_gets_the_same_bytes_even_after_a_restart(
    node: AtNode, enterprise: str, federation_folder: Path, trained: TrainedFederation
) -> None:
    query, subject = node.query(), Subject(enterprise, node.consent(enterprise))
    first, again = node.ask(query, subject), node.ask(query, subject)
    node.site.ledger.close()
    restarted = at_node(federation_folder, trained.training.model).ask(query, subject)
    assert encode(first) == encode(again) == encode(restarted)


def test_a_denial_is_repeated_too(node: AtNode, enterprise: str) -> None:
    query = node.query()
    first = node.ask(query, Subject(enterprise, ""))
    assert encode(node.ask(query, Subject(enterprise, node.consent(enterprise)))) == encode(first)


def test_a_query_id_with_other_fields_is_refused(node: AtNode, enterprise: str) -> None:
    query, subject = node.query(), Subject(enterprise, node.consent(enterprise))
    node.ask(query, subject)
    with pytest.raises(PeerRefused) as refusal:
        node.ask(msgspec.structs.replace(query, expires=query.expires + 1), subject)
    assert refusal.value.code == "QUERY_REUSED"


CONSENTS = {
    "CONSENT_MISSING": lambda node, e: "",
    "CONSENT_INVALID": lambda node, e: node.consent(e)[:-8] + "AAAAAAAA",
    "CONSENT_EXPIRED": lambda node, e: node.consent(e, valid=(-7200, -3600)),
    "CONSENT_NOT_YET_VALID": lambda node, e: node.consent(e, valid=(60, 3600)),
    "CONSENT_SCOPE subject": lambda node, e: node.consent("91350100M000100Y43"),
    "CONSENT_SCOPE bank": lambda node, e: node.consent(e, bank="another_bank"),
    "CONSENT_SCOPE purpose": lambda node, e: node.consent(e, purpose=Purpose.TRAINING),
    "CONSENT_SCOPE domain": lambda node, e: node.consent(e, domains=("social",)),
}


@pytest.mark.parametrize("case", CONSENTS)
def test_without_a_consent_that_covers_it_the_answer_is_a_denial(node: AtNode, enterprise: str, case: str) -> None:
    token = CONSENTS[case](node, enterprise)
    assert denial(node, node.query(), Subject(enterprise, token)) == case.split()[0]


QUERIES = {
    "WRONG_MODEL": {"model": bytes(32)},
    "WRONG_NODE_SET fewer": {"nodes": NODES[1:]},
    "WRONG_NODE_SET order": {"nodes": NODES[::-1]},
    "WRONG_NODE_SET alone": {"nodes": ("tax",)},
    "PURPOSE_DENIED": {"purpose": "marketing"},
    "QUERY_EXPIRED": {"issued": NOW - 600, "expires": NOW - 300},
    "QUERY_EXPIRED early": {"issued": NOW + 300, "expires": NOW + 600},
    "QUERY_EXPIRED long": {"expires": NOW + 7200},
}


@pytest.mark.parametrize("case", QUERIES)
def test_a_query_that_the_manifest_does_not_cover_is_denied(node: AtNode, enterprise: str, case: str) -> None:
    query = msgspec.structs.replace(node.query(), **QUERIES[case])
    assert denial(node, query, Subject(enterprise, node.consent(enterprise))) == case.split()[0]


POLICIES = {
    "BANK_DENIED": usual_policy(("another_bank",)),
    "PURPOSE_DENIED": msgspec.structs.replace(POLICY, rules=POLICY.rules[:1]),
    "QUOTA": usual_policy((BANK,), quota=Quota(per_day=0)),
    "SUBJECT_QUOTA": usual_policy((BANK,), quota=Quota(per_subject=0)),
    "SCORE_PRECISION": usual_policy((BANK,), quota=Quota(score_bits=8)),
    "NODE_DENIED": NodePolicy(1, (Rule("closed", Effect.DENY, "any", "any"), *POLICY.rules)),
    "MODEL_DENIED": NodePolicy(1, (Rule("one model", Effect.ALLOW, "any", "any", models=("0" * 64,)),)),
    "FEATURES_DENIED": NodePolicy(1, (Rule("sales alone", Effect.ALLOW, "any", "any", features=("sales",)),)),
}


@pytest.mark.parametrize("code", POLICIES)
def test_what_the_owners_policy_does_not_allow_is_denied(
    federation_folder: Path, trained: TrainedFederation, enterprise: str, code: str
) -> None:
    node = at_node(federation_folder, trained.training.model, policy=POLICIES[code])
    assert denial(node, node.query(), Subject(enterprise, node.consent(enterprise))) == code


def test_the_quota_is_counted_across_restarts(
    federation_folder: Path, trained: TrainedFederation, enterprise: str
) -> None:
    policy = usual_policy((BANK,), quota=Quota(per_day=1))
    outcomes = []
    for _ in range(2):
        node = at_node(federation_folder, trained.training.model, policy=policy)
        outcomes.append(node.ask(node.query(), Subject(enterprise, node.consent(enterprise))).message)
        node.site.ledger.close()
    assert outcomes == ["ScoreShare", "Denial"]


def refused(agent: DataNodeAgent, *envelopes: Envelope) -> str:
    with pytest.raises(PeerRefused) as refusal:
        open_parcel(agent.handle(pack_parcel(envelopes)))
    return refusal.value.code


def test_a_query_of_a_party_that_is_no_bank_is_refused(node: AtNode) -> None:
    social = node.site.pins.cards[PartyId("social")]
    query = msgspec.structs.replace(node.query(), bank="social", bank_card=social.fingerprint())
    channel = Channel(read_keys(node.folder / "social"), node.site.pins.cards, query.transcript())
    assert refused(node.agent, channel.wrap(EVERYONE, query)) == "VERIFICATION_FAILED"


def test_a_query_under_another_signature_is_refused(node: AtNode) -> None:
    query = node.query()
    channel = Channel(read_keys(node.folder / "coordinator"), node.site.pins.cards, query.transcript())
    forged = msgspec.structs.replace(channel.wrap(EVERYONE, query), sender="bank")
    assert refused(node.agent, forged) == "VERIFICATION_FAILED"


def test_a_query_under_a_card_that_is_not_pinned_is_refused(node: AtNode) -> None:
    query = msgspec.structs.replace(node.query(), bank_card="0" * 64)
    channel = node.bank_channel(query.transcript())
    assert refused(node.agent, channel.wrap(EVERYONE, query)) == "CARD_UNKNOWN"


def test_a_subject_without_its_query_is_refused(node: AtNode, enterprise: str) -> None:
    _, subject = node.envelopes(node.query(), Subject(enterprise, node.consent(enterprise)))
    assert refused(node.agent, subject) == "UNEXPECTED_MESSAGE"


def test_a_subject_that_the_coordinator_has_put_in_the_banks_place_is_refused(node: AtNode, enterprise: str) -> None:
    query = node.query()
    opened, _ = node.envelopes(query, Subject(enterprise, ""))
    channel = Channel(read_keys(node.folder / "coordinator"), node.site.pins.cards, query.transcript())
    own = channel.wrap(node.site.keys.party, Subject(enterprise, node.consent(enterprise)))
    assert refused(node.agent, opened, msgspec.structs.replace(own, sender="bank")) == "VERIFICATION_FAILED"
    assert node.site.ledger.answers.find(query.query, query.transcript()) is None


def test_waiting_queries_are_bounded_and_the_last_is_still_answered(
    node: AtNode, enterprise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assessments, "MAX_OPEN_QUERIES", 4)
    node = replace(node, agent=DataNodeAgent(node.site))
    subject = Subject(enterprise, node.consent(enterprise))
    first = node.query()
    opened = [node.envelopes(first, subject), *(node.envelopes(node.query(), subject) for _ in range(4))]
    node.agent.handle(pack_parcel(tuple(query for query, _ in opened)))
    assert refused(node.agent, opened[0][1]) == "UNEXPECTED_MESSAGE"
    (answer,) = answers_in(node.agent.handle(pack_parcel((opened[-1][1],))))
    assert answer.message == "ScoreShare"


def recorded(trained: TrainedFederation, node: str, kind: str) -> Envelope:
    """The first envelope of a kind that crossed the grid to a node while the model was trained."""
    messages = (envelopes_in(data) for party, inbound, data in trained.recorded if party == node and inbound)
    return next(e for envelopes in messages for e in envelopes if e.message == kind)


def test_a_replayed_run_is_refused_and_ends_no_other(node: AtNode, trained: TrainedFederation) -> None:
    replay = recorded(trained, "tax", "RunSpec")
    spec = decode(replay.body, RunSpec)
    fresh = msgspec.structs.replace(spec, run=b"another run here")
    channel = node.bank_channel(fresh.transcript())
    assert open_parcel(node.agent.handle(pack_parcel((channel.wrap(EVERYONE, fresh),)))) == ()
    assert refused(node.agent, replay) == "RUN_REPLAYED"
    assert node.agent.open_runs == (fresh.transcript(),)


def announce(node: AtNode, spec: RunSpec) -> bytes:
    return node.agent.handle(pack_parcel((node.bank_channel(spec.transcript()).wrap(EVERYONE, spec),)))


RUNS = {
    "NODE_DENIED": {"minimum_bin": MINIMUM_BIN - 1},
    "LEAK_BUDGET": {"row_totals": USUAL_TRAINING.row_totals + 1},
    "VERIFICATION_FAILED bank card": {"bank_card": "0" * 64},
    "KEY_TOO_SHORT": {"key_bits": 256},
}


@pytest.mark.parametrize("case", RUNS)
def test_a_run_beyond_the_owners_rules_is_refused(node: AtNode, trained: TrainedFederation, case: str) -> None:
    spec = decode(recorded(trained, "tax", "RunSpec").body, RunSpec)
    changed = msgspec.structs.replace(spec, run=b"sixteen bytes...", **RUNS[case])
    with pytest.raises(PeerRefused) as refusal:
        open_parcel(announce(node, changed))
    assert refusal.value.code == case.split()[0]
    assert not node.agent.open_runs


@pytest.mark.parametrize("change", ["order", "twice", "without it", "with the bank", "other card", "too few"])
def test_a_run_with_a_wrong_node_set_is_refused(node: AtNode, trained: TrainedFederation, change: str) -> None:
    spec = decode(recorded(trained, "tax", "RunSpec").body, RunSpec)
    electricity, housing, social, tax = spec.nodes
    bank = msgspec.structs.replace(electricity, party="bank", card=spec.bank_card)
    nodes = {
        "order": (tax, social, housing, electricity),
        "twice": (electricity, social, tax, tax),
        "without it": (electricity, housing, social),
        "with the bank": (bank, electricity, social, tax),
        "other card": (electricity, msgspec.structs.replace(social, card="0" * 64), tax),
        "too few": (social, tax),
    }[change]
    with pytest.raises(PeerRefused) as refusal:
        open_parcel(announce(node, msgspec.structs.replace(spec, run=b"sixteen bytes...", nodes=nodes)))
    assert refusal.value.code == ("TOO_FEW_NODES" if change == "too few" else "VERIFICATION_FAILED")


def test_a_cohort_without_its_consent_is_refused(node: AtNode, trained: TrainedFederation) -> None:
    spec = decode(recorded(trained, "tax", "RunSpec").body, RunSpec)
    fresh = msgspec.structs.replace(spec, run=b"sixteen bytes...")
    channel = node.bank_channel(fresh.transcript())
    labels = decode(recorded(trained, "tax", "EncryptedLabels").body, EncryptedLabels)
    announce(node, fresh)
    consents = {"": "CONSENT_MISSING", node.consent("x", purpose=Purpose.TRAINING): "CONSENT_SCOPE"}
    for token, code in consents.items():
        announce(node, fresh := msgspec.structs.replace(fresh, created=fresh.created + 1))
        channel = node.bank_channel(fresh.transcript())
        cohort = channel.wrap(PartyId("tax"), Cohort(trained.ids, token))
        assert refused(node.agent, channel.wrap(EVERYONE, labels), cohort) == code
        assert node.site.ledger.runs.leaks(fresh.transcript()) == {}


PARCELS = [encode(Parcel()), encode(Parcel(refusal="QUOTA")), b"\x83\xa4kind\xa6Parcel\xa9envelopes"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(st.binary(max_size=300), st.builds(bytes.__add__, st.sampled_from(PARCELS), st.binary(max_size=80)))
)
def test_no_bytes_make_an_agent_raise(node: AtNode, data: bytes) -> None:
    decode(node.agent.handle(data), Parcel)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["RunSpec", "Query", "Subject", "Cohort", "EncryptedLabels", "SignedManifest", "Nonsense"]),
    body=st.binary(max_size=200),
    sealed=st.booleans(),
    sender=st.sampled_from(["bank", "social", "coordinator", "tax", "stranger", "_everyone"]),
    receiver=st.sampled_from(["tax", "_everyone", "bank"]),
)
def test_no_envelope_makes_an_agent_raise(
    node: AtNode, kind: str, body: bytes, sealed: bool, sender: str, receiver: str
) -> None:
    envelope = Envelope(bytes(32), sender, receiver, kind, sealed, body, bytes(64))
    reply = decode(node.agent.handle(pack_parcel((envelope,))), Parcel)
    assert reply.refusal
    assert reply.refusal != "INTERNAL_ERROR"
    assert reply.envelopes == ()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_parcel_with_one_bit_changed_is_refused_or_denied(
    node: AtNode, trained: TrainedFederation, at: int, bit: int
) -> None:
    enterprise = trained.ids[0]
    data = bytearray(pack_parcel(node.envelopes(node.query(), Subject(enterprise, node.consent(enterprise)))))
    data[at % len(data)] ^= 1 << bit
    reply = decode(node.agent.handle(bytes(data)), Parcel)
    assert reply.refusal in {"MALFORMED_MESSAGE", "VERIFICATION_FAILED", "UNEXPECTED_MESSAGE"}


def test_a_failure_inside_leaves_as_a_code_alone(
    node: AtNode, enterprise: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turnover = str(7654321 + 0.125)

    def fail(*_: object) -> None:
        raise KeyError(f"no row of {enterprise}, turnover {turnover}")

    monkeypatch.setattr(Parts, "evaluate", fail)
    caplog.set_level(logging.DEBUG)
    parcel = pack_parcel(node.envelopes(node.query(), Subject(enterprise, node.consent(enterprise))))
    reply = node.agent.handle(parcel)
    assert decode(reply, Parcel) == Parcel(refusal="INTERNAL_ERROR")
    assert "KeyError" in caplog.text
    assert enterprise not in caplog.text
    assert turnover not in caplog.text


def test_logs_and_refusals_name_no_enterprise_and_no_secret(
    node: AtNode, enterprise: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = node.consent(enterprise)
    replies = []
    for query in (node.query(), msgspec.structs.replace(node.query(), model=bytes(32))):
        for subject in (Subject(enterprise, token), Subject(enterprise, "")):
            envelopes = node.envelopes(query, subject)
            replies += [node.agent.handle(pack_parcel(envelopes)), node.agent.handle(pack_parcel(envelopes[1:]))]
    replies.append(node.agent.handle(b"\xff" * 40))
    assert caplog.records
    secrets = [enterprise, token, node.site.keys.to_bytes().hex(), str(int(node.site.paillier.p))]
    for secret in secrets:
        assert secret not in caplog.text
        assert all(secret.encode() not in reply for reply in replies)
        assert secret not in repr(node.site) + repr(node.agent)
