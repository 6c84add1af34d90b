"""What an owner puts right is in the next answer, also at a node that runs; and never the wrong value instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodes.ledger import Repair, RepairKind
from protocols.assessment.messages import Denial, Subject
from protocols.errors import PolicyDenied
from tests.conftest import TrainedFederation
from tests.small_federation import NOW, AtNode, at_node


@pytest.fixture
def node(federation_folder: Path, trained: TrainedFederation) -> AtNode:
    return at_node(federation_folder, trained.training.model)


def correction(subject: str, feature: str = "sales", new: str = "1") -> Repair:
    return Repair(RepairKind.VALUE, subject, feature, {}, {feature: new}, NOW)


def test_a_correction_is_in_force_at_once_and_gone_when_withdrawn(node: AtNode, trained: TrainedFederation) -> None:
    mine = node.site.table.ids[0]
    before = node.site.rows.now()
    number = node.site.ledger.repairs.add(correction(mine))
    assert node.site.table.columns["sales"][0] == 1.0
    assert node.site.rows.now() is node.site.rows.now()
    node.site.ledger.repairs.withdraw(number)
    assert repr(node.site.table.columns["sales"]) == repr(before.table.columns["sales"])
    again = at_node(node.folder, trained.training.model)
    assert repr(again.site.table.columns["sales"]) == repr(before.table.columns["sales"])


def test_a_node_that_cannot_apply_a_repair_answers_nothing(node: AtNode) -> None:
    """Its record says that something was put right; what it was before may not leave."""
    mine = node.site.table.ids[0]
    node.site.ledger.repairs.add(correction(mine, new="a lot"))
    with pytest.raises(PolicyDenied) as refusal:
        node.site.rows.now()
    assert refusal.value.code == "REPAIR_FAILED"
    query = node.query()
    answer = node.ask(query, Subject(mine, node.consent(mine)))
    found = node.read(query, answer, Denial)
    assert isinstance(found, Denial)
    assert found.code == "REPAIR_FAILED"
