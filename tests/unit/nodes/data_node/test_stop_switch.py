"""While a node is stopped nothing leaves it, whoever asks and whatever it answered before."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from federation.local.layout import BANK
from nodes.data_node.consents import ConsentDesk
from nodes.data_node.stop_switch import StopSwitch
from nodes.data_node.training import Admission, TrainingSite
from protocols.assessment.messages import Denial, Subject
from protocols.channel.envelope import EVERYONE, open_parcel, pack_parcel
from protocols.channel.wire import decode
from protocols.errors import PeerRefused, PolicyDenied
from protocols.scorecard.messages import LeakClass, RunSpec
from tests.conftest import TrainedFederation
from tests.small_federation import POLICY, AtNode, at_node, envelopes_in


@pytest.fixture
def node(federation_folder: Path, trained: TrainedFederation) -> AtNode:
    return at_node(federation_folder, trained.training.model)


@pytest.fixture
def enterprise(trained: TrainedFederation) -> str:
    return trained.ids[-1]


def announcement(trained: TrainedFederation) -> RunSpec:
    found = [e for party, _, data in trained.recorded for e in envelopes_in(data) if e.message == "RunSpec"]
    return msgspec.structs.replace(decode(found[0].body, RunSpec), run=b"sixteen bytes...")


def test_a_stopped_node_denies_and_answers_again_once_it_is_resumed(node: AtNode, enterprise: str) -> None:
    query, subject = node.query(), Subject(enterprise, node.consent(enterprise))
    node.site.switch.stop("an incident")
    denial = node.read(query, node.ask(query, subject), Denial)
    assert isinstance(denial, Denial)
    assert denial.code == "NODE_STOPPED"
    assert node.site.switch.resume()
    query = node.query()
    assert node.ask(query, Subject(enterprise, node.consent(enterprise))).message == "ScoreShare"


def test_a_stopped_node_does_not_even_repeat_itself(node: AtNode, enterprise: str) -> None:
    query, subject = node.query(), Subject(enterprise, node.consent(enterprise))
    answer = node.ask(query, subject)
    assert answer.message == "ScoreShare"
    node.site.switch.stop("")
    with pytest.raises(PeerRefused) as refusal:
        node.ask(query, subject)
    assert refusal.value.code == "NODE_STOPPED"
    node.site.switch.resume()
    assert node.ask(query, subject) == answer


def test_a_stopped_node_opens_no_run_and_releases_no_sum_of_one(node: AtNode, trained: TrainedFederation) -> None:
    spec = announcement(trained)
    opening = pack_parcel((node.bank_channel(spec.transcript()).wrap(EVERYONE, spec),))
    assert open_parcel(node.agent.handle(opening)) == ()
    node.site.switch.stop("an incident")
    open_run = TrainingSite(Admission(node.site, POLICY, {BANK: POLICY.rules[0]}), BANK, ConsentDesk(node.site))
    with pytest.raises(PolicyDenied) as stopped:
        open_run.release(spec, "BinHistograms", LeakClass.AGGREGATE)
    assert stopped.value.code == "NODE_STOPPED"
    assert node.site.ledger.runs.leaks(spec.transcript()) == {}
    labels = next(
        e for party, _, data in trained.recorded for e in envelopes_in(data) if e.message == "EncryptedLabels"
    )
    with pytest.raises(PeerRefused) as refusal:
        open_parcel(node.agent.handle(pack_parcel((labels,))))
    assert refusal.value.code == "NODE_STOPPED"
    other = msgspec.structs.replace(spec, run=b"sixteen others..")
    with pytest.raises(PeerRefused) as refusal:
        open_parcel(node.agent.handle(pack_parcel((node.bank_channel(other.transcript()).wrap(EVERYONE, other),))))
    assert refusal.value.code == "NODE_STOPPED"


def test_the_switch_is_a_file_that_anybody_with_the_directory_can_make(tmp_path: Path) -> None:
    switch = StopSwitch(tmp_path)
    assert switch.reason() is None
    (tmp_path / "STOP").touch()
    assert switch.reason() == ""
    switch.stop("第二次")
    assert switch.reason() == "第二次"
    assert switch.resume()
    assert not switch.resume()
    (tmp_path / "STOP").symlink_to(tmp_path / "nowhere")
    with pytest.raises(PolicyDenied):
        switch.check()


def test_a_directory_that_is_gone_counts_as_stopped(tmp_path: Path) -> None:
    home = tmp_path / "node"
    home.mkdir()
    switch = StopSwitch(home)
    switch.check()
    shutil.rmtree(home)
    with pytest.raises(PolicyDenied) as refusal:
        switch.check()
    assert refusal.value.code == "NODE_STOPPED"
