"""What leaves a data node in training names its policy: in the log, in the model, and to the end of the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from federation.local.federation import LocalFederation
from federation.local.layout import BANK
from federation.traffic import RoundEvent
from nodes.data_node.agent import DataNodeAgent
from nodes.policy import POLICY_FILE, NodePolicy, Quota, usual_policy, write_policy
from nodes.policy.rules import Effect, Rule
from protocols.channel.envelope import Channel, Envelope, _header_of, _signed_bytes
from protocols.errors import PeerRefused, VerificationFailed
from protocols.transparency.leaves import Leaf, LeafKind
from tests.conftest import TrainedFederation
from tests.small_federation import MINIMUM_BIN, NODES, NOW, PLAN, POLICY, default_split

STEPS = (LeafKind.TRAIN_STEP, LeafKind.MANIFEST)
ROOMY = msgspec.structs.replace(POLICY.rules[0].training, row_totals_per_year=1000)
SAME_TERMS = usual_policy((BANK,), training=POLICY.rules[0].training, quota=Quota(per_day=7))
OTHER_TERMS = usual_policy((BANK,), training=ROOMY)
CLOSED = NodePolicy(1, (Rule("closed", Effect.DENY, "any", "any"),))


def leaves(federation: LocalFederation, start: int = 0) -> list[Leaf]:
    return [entry.leaf for entry in federation.log.entries(start)]


def policy_of(leaf: Leaf) -> object:
    return dict(leaf.attributes).get("policy_hash")


def test_every_step_of_a_node_names_a_policy_that_the_log_had_before_it(trained: TrainedFederation) -> None:
    with LocalFederation(trained.folder, clock=lambda: NOW) as federation:
        found = leaves(federation)
    announced: dict[str, object] = {}
    for leaf in found:
        if leaf.kind is LeafKind.POLICY:
            assert leaf.actor not in announced
            announced[leaf.actor] = policy_of(leaf)
        elif leaf.kind in STEPS:
            assert policy_of(leaf) == (announced[leaf.actor] if leaf.actor in NODES else None)
    assert announced == dict.fromkeys(NODES, POLICY.digest().hex())
    assert trained.training.model.training.run.policies == announced


def test_a_policy_changed_between_two_processes_has_a_leaf_before_the_first_answer(
    federation_folder: Path, trained: TrainedFederation
) -> None:
    def ask() -> list[Leaf]:
        with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
            start = federation.log.size
            assert federation.assess([trained.ids[0]])[0].status == "ok"
            return leaves(federation, start)

    assert LeafKind.POLICY not in [leaf.kind for leaf in ask()]
    write_policy(federation_folder / "tax" / POLICY_FILE, SAME_TERMS)
    told = [leaf for leaf in ask() if leaf.actor == "tax"]
    assert [leaf.kind for leaf in told] == [LeafKind.POLICY, LeafKind.RELEASE]
    assert {policy_of(leaf) for leaf in told} == {SAME_TERMS.digest().hex()}
    (federation_folder / "coordinator" / "references.sqlite").unlink()
    assert LeafKind.POLICY not in [leaf.kind for leaf in ask()]


def train(folder: Path, on_round: Callable[[RoundEvent], None]) -> list[Leaf]:
    """Train once more; return the log's leaves of it."""
    with LocalFederation(folder, on_round=on_round, clock=lambda: NOW + 86_400) as federation:
        start = federation.log.size
        try:
            federation.train(default_split(federation), PLAN, MINIMUM_BIN)
        finally:
            found = leaves(federation, start)
        return found


def changing(folder: Path, policy: NodePolicy, number: int = 3) -> Callable[[RoundEvent], None]:
    """What writes a new policy for the tax office after a round."""

    def on_round(event: RoundEvent) -> None:
        if event.number == number:
            write_policy(folder / "tax" / POLICY_FILE, policy)

    return on_round


@pytest.mark.slow
def test_a_run_goes_on_under_the_policy_that_admitted_it_while_its_terms_stand(federation_folder: Path) -> None:
    found = train(federation_folder, changing(federation_folder, SAME_TERMS))
    steps = [leaf for leaf in found if leaf.actor == "tax" and leaf.kind in STEPS]
    assert {policy_of(leaf) for leaf in steps} == {POLICY.digest().hex()}
    assert {dict(leaf.attributes)["step"] for leaf in steps} >= {"BinHistograms", "ManifestSignature"}
    again = train(federation_folder, lambda event: None)
    (change,) = (leaf for leaf in again if leaf.kind is LeafKind.POLICY)
    assert (change.actor, policy_of(change)) == ("tax", SAME_TERMS.digest().hex())


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "code"), [(OTHER_TERMS, "POLICY_CHANGED"), (CLOSED, "NODE_DENIED")])
def test_a_run_ends_at_once_when_its_owner_changes_the_terms(
    federation_folder: Path, policy: NodePolicy, code: str
) -> None:
    events: list[RoundEvent] = []
    change = changing(federation_folder, policy)
    with pytest.raises(PeerRefused, match="tax") as refusal:
        train(federation_folder, lambda event: (events.append(event), change(event))[1])
    assert refusal.value.code == code
    assert events[-1].number == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("named", "code"), [(None, "POLICY_MISSING"), (b"\0" * 32, "POLICY_CHANGED")], ids=["none", "another"]
)
def test_a_node_that_hides_or_changes_its_policy_within_a_run_is_stopped_by_the_coordinator(
    federation_folder: Path, monkeypatch: pytest.MonkeyPatch, named: bytes | None, code: str
) -> None:
    honest = DataNodeAgent._train

    def lying(agent: DataNodeAgent, envelope: Envelope) -> list[Envelope]:
        replies = honest(agent, envelope)
        site = agent._site
        if site.keys.party != "tax":
            return replies
        return [relabelled(site.channel(r.transcript), r, named) if r.message == "LocalGram" else r for r in replies]

    monkeypatch.setattr(DataNodeAgent, "_train", lying)
    with pytest.raises(VerificationFailed, match="tax") as refusal:
        train(federation_folder, lambda event: None)
    assert refusal.value.code == code


def relabelled(channel: Channel, envelope: Envelope, policy: bytes | None) -> Envelope:
    """The same body under the same header, signed anew with another policy."""
    signature = channel.keys.signing.sign(_signed_bytes(_header_of(envelope), policy, envelope.body))
    return msgspec.structs.replace(envelope, policy=policy, signature=signature)
