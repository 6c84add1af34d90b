"""A data node answers a batch once, for those it admits, within its quota; what it denies stays denied."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from federation.local.layout import BANK, CONSENT_SERVICE
from nodes.consent_sources import ConsentSources
from nodes.data_node.agent import DataNodeAgent
from nodes.data_node.batches import MAX_OPEN_BATCHES
from nodes.keystore import read_keys
from nodes.policy import NodePolicy, PolicyInForce, Quota, usual_policy
from nodes.policy.rules import Effect, Rule
from protocols.assessment.batch.messages import BatchDecisions, BatchOpening, BatchQuery, BatchShares, BatchSubjects
from protocols.assessment.messages import Denial, Subject
from protocols.channel.envelope import EVERYONE, pack_parcel
from protocols.channel.wire import Message
from protocols.consent import Purpose, RevocationList, consent_handle, sign_revocations, unverified_claims
from protocols.errors import PeerRefused
from tests.conftest import TrainedFederation
from tests.small_federation import NOW, POLICY, AtNode, answers_in, at_node


def handle_of(token: str) -> bytes:
    """The handle of the consent that a token is."""
    claims = unverified_claims(token) if token else {}
    return consent_handle(claims["iss"], claims["jti"]) if claims else b""


class Batch:
    """One batch as the bank would ask it of one node."""

    def __init__(self, node: AtNode, subjects: list[Subject]) -> None:
        manifest = node.model.signed_manifest().manifest
        self.node, self.subjects = node, subjects
        self.query = BatchQuery(
            batch=secrets.token_bytes(16),
            bank=BANK,
            bank_card=node.site.pins.cards[BANK].fingerprint(),
            model=manifest.model_hash(),
            purpose=Purpose.ASSESSMENT,
            nodes=tuple(entry.party for entry in manifest.nodes),
            issued=NOW,
            expires=NOW + 300,
            subject_tags=tuple(secrets.token_bytes(32) for _ in subjects),
            handles=tuple(handle_of(subject.consent) for subject in subjects),
        )

    def send(self, *messages: Message, everyone: bool = False) -> list[Message]:
        """What the node answers to messages of the bank, opened."""
        channel = self.node.bank_channel(self.query.transcript())
        receiver = EVERYONE if everyone else self.node.site.keys.party
        parcel = pack_parcel(tuple(channel.wrap(receiver, message) for message in messages))
        kinds: dict[str, type[Message]] = {k.__name__: k for k in (BatchDecisions, BatchShares, Denial)}
        answers = answers_in(self.node.agent.handle(parcel))
        return [channel.unwrap(answer, kinds[answer.message]) for answer in answers]

    def decide(self) -> tuple[str, ...]:
        assert self.send(self.query, everyone=True) == []
        (decisions,) = self.send(BatchSubjects(tuple(self.subjects)))
        assert isinstance(decisions, BatchDecisions)
        return decisions.codes

    def open(self, *accepted: int) -> Message:
        (answer,) = self.send(BatchOpening(accepted), everyone=True)
        return answer


def used(node: AtNode) -> int:
    return 100 - node.site.ledger.quotas.left(BANK, NOW // 86_400, Quota(per_day=100))


@pytest.fixture
def node(federation_folder: Path, trained: TrainedFederation) -> AtNode:
    return at_node(federation_folder, trained.training.model)


@pytest.fixture
def subjects(node: AtNode, trained: TrainedFederation) -> list[Subject]:
    return [Subject(enterprise, node.consent(enterprise)) for enterprise in trained.ids[:5]]


def with_policy(node: AtNode, policy: NodePolicy) -> AtNode:
    site = replace(node.site, rules=PolicyInForce(policy))
    return replace(node, site=site, agent=DataNodeAgent(site))


def test_each_enterprise_is_admitted_or_denied_by_itself(node: AtNode, subjects: list[Subject]) -> None:
    subjects[1] = Subject(subjects[1].enterprise, "")
    subjects[3] = Subject(subjects[3].enterprise, node.consent(subjects[0].enterprise))
    batch = Batch(node, subjects)
    assert batch.decide() == ("", "CONSENT_MISSING", "", "CONSENT_SCOPE", "")
    assert used(node) == 0
    assert isinstance(batch.open(0, 2, 4), BatchShares)
    assert used(node) == 3


def test_a_bank_that_opens_whom_the_node_denied_gets_nothing(node: AtNode, subjects: list[Subject]) -> None:
    subjects[1] = Subject(subjects[1].enterprise, "")
    batch = Batch(node, subjects)
    batch.decide()
    with pytest.raises(PeerRefused) as refusal:
        batch.open(0, 1)
    assert refusal.value.code == "NOT_ADMITTED"
    assert used(node) == 0


def test_one_opening_always_gets_the_same_bytes_and_another_one_nothing(node: AtNode, subjects: list[Subject]) -> None:
    batch = Batch(node, subjects)
    batch.decide()
    first = batch.open(0, 1)
    assert batch.open(0, 1) == first
    with pytest.raises(PeerRefused) as refusal:
        batch.open(0)  # the difference would be the second enterprise's share
    assert refusal.value.code == "QUERY_REUSED"
    assert used(node) == 2


def test_a_restarted_node_still_gives_the_same_bytes(
    node: AtNode, subjects: list[Subject], federation_folder: Path, trained: TrainedFederation
) -> None:
    batch = Batch(node, subjects)
    batch.decide()
    first = batch.open(0, 1)
    batch.node = at_node(federation_folder, trained.training.model)
    assert batch.decide() == ("",) * 5
    assert batch.open(0, 1) == first
    assert used(batch.node) == 2


@pytest.mark.parametrize("positions", [(1, 0), (0, 0), (5,)])
def test_an_opening_lists_positions_of_the_batch_in_order(
    node: AtNode, subjects: list[Subject], positions: tuple[int, ...]
) -> None:
    batch = Batch(node, subjects)
    batch.decide()
    with pytest.raises(PeerRefused) as refusal:
        batch.open(*positions)
    assert refusal.value.code == "MALFORMED_MESSAGE"


def test_the_days_quota_counts_every_enterprise(node: AtNode, subjects: list[Subject]) -> None:
    node = with_policy(node, usual_policy((BANK,), quota=Quota(per_day=3)))
    batch = Batch(node, subjects)
    assert batch.decide() == ("", "", "", "QUOTA", "QUOTA")
    batch.open(0, 1, 2)
    query = node.query()
    denied = node.read(query, node.ask(query, subjects[4]), Denial)
    assert isinstance(denied, Denial)
    assert denied.code == "QUOTA"
    assert Batch(node, subjects).decide() == ("QUOTA",) * 5


def test_two_batches_that_share_the_last_of_a_quota_do_not_exceed_it(node: AtNode, subjects: list[Subject]) -> None:
    node = with_policy(node, usual_policy((BANK,), quota=Quota(per_day=3)))
    first, second = Batch(node, subjects[:3]), Batch(node, subjects[2:])
    assert first.decide() == second.decide() == ("", "", "")
    assert isinstance(first.open(0, 1), BatchShares)
    answer = second.open(0, 1, 2)
    assert isinstance(answer, Denial)
    assert answer.code == "QUOTA"
    assert used(node) == 2


def denied_whole(batch: Batch) -> str:
    """The code with which a batch is denied before anything is said of its enterprises."""
    batch.send(batch.query, everyone=True)
    (denial,) = batch.send(BatchSubjects(tuple(batch.subjects)))
    assert isinstance(denial, Denial)
    return denial.code


def test_a_bank_that_is_not_admitted_is_denied_throughout(node: AtNode, subjects: list[Subject]) -> None:
    node = with_policy(node, usual_policy(("another",)))
    assert denied_whole(Batch(node, subjects)) == "BANK_DENIED"


def test_a_stopped_node_denies_a_batch_at_either_step(node: AtNode, subjects: list[Subject]) -> None:
    admitted = Batch(node, subjects)
    admitted.decide()
    node.site.switch.stop("an incident")
    assert denied_whole(Batch(node, subjects)) == "NODE_STOPPED"
    denial = admitted.open(0)
    assert isinstance(denial, Denial)
    assert denial.code == "NODE_STOPPED"
    assert used(node) == 0


def test_an_enterprise_is_asked_about_only_so_often_a_day_in_batches_too(node: AtNode, subjects: list[Subject]) -> None:
    node = with_policy(node, usual_policy((BANK,), quota=Quota(per_subject=1)))
    first = Batch(node, subjects)
    first.decide()
    assert isinstance(first.open(0), BatchShares)
    codes = Batch(node, subjects).decide()
    assert codes[:2] == ("SUBJECT_QUOTA", "")


@pytest.mark.parametrize(
    ("field", "value", "code"), [("model", bytes(32), "WRONG_MODEL"), ("expires", NOW - 100, "QUERY_EXPIRED")]
)
def test_a_batch_for_another_model_or_time_is_denied_whole(
    node: AtNode, subjects: list[Subject], field: str, value: bytes | int, code: str
) -> None:
    batch = Batch(node, subjects)
    batch.query = msgspec.structs.replace(batch.query, **{field: value})
    assert denied_whole(batch) == code


def test_subjects_that_do_not_match_the_tags_or_repeat_are_refused(node: AtNode, subjects: list[Subject]) -> None:
    for wrong in (subjects[:4], subjects[:4] + subjects[:1]):
        batch = Batch(node, subjects)
        batch.send(batch.query, everyone=True)
        with pytest.raises(PeerRefused) as refusal:
            batch.send(BatchSubjects(tuple(wrong)))
        assert refusal.value.code == "MALFORMED_MESSAGE"


def test_an_opening_without_its_batch_is_refused(node: AtNode, subjects: list[Subject]) -> None:
    with pytest.raises(PeerRefused) as refusal:
        Batch(node, subjects).open(0)
    assert refusal.value.code == "UNEXPECTED_MESSAGE"


# ---- a bank that takes its time, or says two things


def denied(answer: Message) -> str:
    """The code of a denial."""
    assert isinstance(answer, Denial)
    return answer.code


def test_a_batch_held_open_does_not_outlive_a_revocation(node: AtNode, subjects: list[Subject]) -> None:
    keys = read_keys(node.folder / CONSENT_SERVICE)

    def revoking(*handles: bytes) -> str:
        sequence = NOW + 100 + len(handles)
        return sign_revocations(RevocationList(keys.party, sequence, NOW, NOW + 60, frozenset(handles)), keys.signing)

    lists = [revoking()]
    site = replace(node.site, consents=ConsentSources(node.site.consents.issuers, lambda: lists[-1]))
    batch = Batch(replace(node, site=site, agent=DataNodeAgent(site)), subjects)
    assert batch.decide() == ("",) * 5
    lists.append(revoking(batch.query.handles[1]))
    assert denied(batch.open(0, 1)) == "CONSENT_REVOKED"
    assert used(node) == 0


def test_a_batch_held_open_does_not_outlive_its_consents(node: AtNode, subjects: list[Subject]) -> None:
    now = [NOW]
    site = replace(node.site, clock=lambda: now[0])
    subjects[1] = Subject(subjects[1].enterprise, node.consent(subjects[1].enterprise, valid=(0, 10)))
    batch = Batch(replace(node, site=site, agent=DataNodeAgent(site)), subjects)
    assert batch.decide() == ("",) * 5
    now[0] = NOW + 10
    assert denied(batch.open(0, 1)) == "CONSENT_EXPIRED"


def test_a_batch_admitted_on_other_terms_is_not_opened(node: AtNode, subjects: list[Subject]) -> None:
    node = with_policy(node, POLICY)
    same, other = Batch(node, subjects), Batch(node, subjects)
    assert same.decide() == other.decide() == ("",) * 5
    node.site.rules.current = NodePolicy(1, (*POLICY.rules, Rule("no other", Effect.DENY, "any", "any")))
    assert isinstance(same.open(0), BatchShares)
    node.site.rules.current = usual_policy((BANK,), quota=Quota(per_subject=99))
    assert denied(other.open(0)) == "POLICY_CHANGED"


def test_an_answered_batch_is_not_told_again_of_other_enterprises(
    node: AtNode, subjects: list[Subject], trained: TrainedFederation
) -> None:
    batch = Batch(node, subjects)
    batch.decide()
    batch.open(0, 1)
    other = trained.ids[10]
    batch.subjects = [*subjects[:4], Subject(other, subjects[4].consent)]
    assert batch.decide()[:2] == ("", "")
    with pytest.raises(PeerRefused) as refusal:
        batch.open(0, 1)
    assert refusal.value.code == "QUERY_REUSED"


def test_an_answered_query_is_not_told_again_of_another_enterprise(node: AtNode, subjects: list[Subject]) -> None:
    query, (asked, other, *_) = node.query(), subjects
    answer = node.ask(query, asked)
    assert node.ask(query, asked) == answer
    with pytest.raises(PeerRefused) as refusal:
        node.ask(query, other)
    assert refusal.value.code == "QUERY_REUSED"


def test_another_banks_many_open_batches_do_not_close_this_banks(node: AtNode, subjects: list[Subject]) -> None:
    batch = Batch(node, subjects)
    assert batch.decide() == ("",) * 5
    mine = node.agent._batches._decided.get(batch.query.transcript())
    assert mine is not None
    for number in range(MAX_OPEN_BATCHES + 1):
        node.agent._batches._decided.put("another bank", number.to_bytes(32), mine)
    assert isinstance(batch.open(0), BatchShares)
