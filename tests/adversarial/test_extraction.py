"""A bank that asks and asks, to take a model or a register apart: what it gets is a day's quota of coarse totals."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from federation.local.layout import BANK
from nodes.data_node.agent import DataNodeAgent
from nodes.policy import NodePolicy, PolicyInForce, Quota, usual_policy
from protocols.assessment.batch.messages import BatchDecisions, BatchOpening, BatchQuery, BatchShares, BatchSubjects
from protocols.assessment.manifest import Manifest
from protocols.assessment.messages import Denial, ScoreShare, Subject
from protocols.channel.envelope import EVERYONE, pack_parcel
from protocols.channel.wire import Message, decode, encode
from protocols.consent import Purpose, consent_handle, unverified_claims
from protocols.errors import MalformedMessage
from tests.conftest import TrainedFederation
from tests.small_federation import NOW, AtNode, answers_in, at_node

QUESTIONS = 10_000
TOGETHER = 100
QUOTA = 450


def under(node: AtNode, policy: NodePolicy) -> AtNode:
    site = replace(node.site, rules=PolicyInForce(policy))
    return replace(node, site=site, agent=DataNodeAgent(site))


@pytest.fixture
def node(federation_folder: Path, trained: TrainedFederation) -> AtNode:
    return at_node(federation_folder, trained.training.model)


def released(node: AtNode, subjects: tuple[Subject, ...]) -> int:
    """Ask about many at once, open whom the node admits, and return about how many it gave shares."""
    manifest = node.model.signed_manifest().manifest
    claims = [unverified_claims(subject.consent) for subject in subjects]
    query = BatchQuery(
        batch=secrets.token_bytes(16),
        bank=BANK,
        bank_card=node.site.pins.cards[BANK].fingerprint(),
        model=manifest.model_hash(),
        purpose=Purpose.ASSESSMENT,
        nodes=tuple(entry.party for entry in manifest.nodes),
        issued=NOW,
        expires=NOW + 300,
        subject_tags=tuple(secrets.token_bytes(32) for _ in subjects),
        handles=tuple(consent_handle(claim["iss"], claim["jti"]) for claim in claims),
    )
    channel = node.bank_channel(query.transcript())

    def ask(*messages: Message) -> Message:
        receivers = [node.site.keys.party if isinstance(message, BatchSubjects) else EVERYONE for message in messages]
        envelopes = (channel.wrap(to, message) for to, message in zip(receivers, messages, strict=True))
        (answer,) = answers_in(node.agent.handle(pack_parcel(tuple(envelopes))))
        kinds: dict[str, type[Message]] = {k.__name__: k for k in (BatchDecisions, BatchShares, Denial)}
        return channel.unwrap(answer, kinds[answer.message])

    decisions = ask(query, BatchSubjects(subjects))
    assert isinstance(decisions, BatchDecisions)
    admitted = tuple(position for position, code in enumerate(decisions.codes) if not code)
    assert {code for code in decisions.codes if code} <= {"QUOTA", "SUBJECT_QUOTA", "CONSENT_OVERUSED"}
    return len(admitted) if admitted and isinstance(ask(BatchOpening(admitted)), BatchShares) else 0


@pytest.mark.slow
def test_ten_thousand_questions_open_a_days_quota_and_no_more(node: AtNode, trained: TrainedFederation) -> None:
    bounded = under(node, usual_policy((BANK,), quota=Quota(per_day=QUOTA, per_subject=1000)))
    subjects = tuple(Subject(id_, node.consent(id_)) for id_ in trained.ids[:TOGETHER])
    given = [released(bounded, subjects) for _ in range(QUESTIONS // TOGETHER)]
    assert sum(given) == QUOTA
    assert given[: QUOTA // TOGETHER + 1] == [TOGETHER] * (QUOTA // TOGETHER) + [QUOTA % TOGETHER]


def test_one_enterprise_asked_about_again_and_again_is_answered_its_days_number_of_times(
    node: AtNode, trained: TrainedFederation
) -> None:
    bounded = under(node, usual_policy((BANK,), quota=Quota(per_subject=3)))
    subjects = tuple(Subject(id_, node.consent(id_)) for id_ in trained.ids[:2])
    assert [released(bounded, subjects) for _ in range(5)] == [2, 2, 2, 0, 0]


def test_a_score_finer_than_the_owner_allows_is_not_answered(node: AtNode, trained: TrainedFederation) -> None:
    bits = node.model.signed_manifest().manifest.total_bits
    subject = Subject(trained.ids[0], node.consent(trained.ids[0]))
    for allowed, kind in ((bits, ScoreShare), (bits - 1, Denial)):
        asked = under(node, usual_policy((BANK,), quota=Quota(score_bits=allowed)))
        query = asked.query()
        answer = asked.read(query, asked.ask(query, subject), kind)
        assert not isinstance(answer, Denial) or answer.code == "SCORE_PRECISION"


def test_full_precision_scores_are_in_no_models_manifest_and_no_policy_can_allow_them(node: AtNode) -> None:
    manifest = node.model.signed_manifest().manifest
    for bits in (33, 64):
        with pytest.raises(MalformedMessage):
            decode(encode(msgspec.structs.replace(manifest, total_bits=bits)), Manifest)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"score_bits": 25}, Quota)
