"""Monitoring is a purpose of its own: consent and policy allow it, or not, apart from a single assessment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from federation.local.layout import BANK
from nodes.data_node.agent import DataNodeAgent
from nodes.policy import NodePolicy, PolicyInForce
from nodes.policy.rules import Effect, Rule
from protocols.assessment.messages import Denial, ScoreShare, Subject
from protocols.consent import Purpose
from tests.conftest import TrainedFederation
from tests.small_federation import AtNode, at_node


@pytest.fixture
def node(federation_folder: Path, trained: TrainedFederation) -> AtNode:
    return at_node(federation_folder, trained.training.model)


def asked(node: AtNode, enterprise: str, purpose: Purpose, consented: Purpose) -> str:
    """The code of a node's answer to a question for a purpose, "" for a share."""
    query = msgspec.structs.replace(node.query(), purpose=purpose)
    answer = node.ask(query, Subject(enterprise, node.consent(enterprise, purpose=consented)))
    found = node.read(query, answer, Denial if answer.message == "Denial" else ScoreShare)
    return found.code if isinstance(found, Denial) else ""


def under(node: AtNode, *rules: Rule) -> AtNode:
    site = replace(node.site, rules=PolicyInForce(NodePolicy(1, rules)))
    return replace(node, site=site, agent=DataNodeAgent(site))


def test_a_consent_to_one_purpose_serves_no_other(node: AtNode, trained: TrainedFederation) -> None:
    assessment, monitoring, enterprise = Purpose.ASSESSMENT, Purpose.MONITORING, trained.ids[0]
    assert asked(node, enterprise, monitoring, monitoring) == ""
    assert asked(node, enterprise, assessment, assessment) == ""
    assert asked(node, enterprise, monitoring, assessment) == "CONSENT_SCOPE"
    assert asked(node, enterprise, assessment, monitoring) == "CONSENT_SCOPE"


def test_an_owner_may_allow_assessments_and_deny_monitoring(node: AtNode, trained: TrainedFederation) -> None:
    may_assess = Rule("may assess", Effect.ALLOW, (BANK,), (Purpose.ASSESSMENT,))
    no_monitors = Rule("no monitors", Effect.DENY, "any", (Purpose.MONITORING,))
    assert asked(under(node, may_assess), trained.ids[0], Purpose.MONITORING, Purpose.MONITORING) == "PURPOSE_DENIED"
    both = under(node, no_monitors, may_assess)
    assert asked(both, trained.ids[0], Purpose.MONITORING, Purpose.MONITORING) == "NODE_DENIED"
    assert asked(both, trained.ids[0], Purpose.ASSESSMENT, Purpose.ASSESSMENT) == ""


def test_no_question_about_an_enterprise_is_asked_for_training(node: AtNode, trained: TrainedFederation) -> None:
    assert asked(node, trained.ids[0], Purpose.TRAINING, Purpose.TRAINING) == "PURPOSE_DENIED"
