"""Whose questions a data node takes, about whom, and by which features: the card, the rules, the consent."""

from __future__ import annotations

from nodes.data_node.parts import OpenPart
from nodes.data_node.site import NodeSite
from nodes.features import FeatureTable
from nodes.policy import Request, Rule, decide
from protocols.assessment.batch.messages import BatchQuery
from protocols.assessment.messages import Query, Subject
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.consent import ConsentDemand, Purpose
from protocols.errors import PolicyDenied, VerificationFailed


def check_asker(site: NodeSite, envelope: Envelope, query: Query | BatchQuery) -> None:
    """Return if an open question is its bank's own, under its pinned card. Raises: VerificationFailed."""
    site.channel(query.transcript()).unwrap(envelope, type(query))
    bank = site.pins.card(PartyId(query.bank), PartyRole.BANK)
    if envelope.sender != query.bank or bank.fingerprint() != query.bank_card:
        raise VerificationFailed("the query is not its bank's, under its pinned card")


def admit_query(site: NodeSite, query: Query | BatchQuery, part: OpenPart) -> Rule:
    """Return the rule on whose terms a question may be answered from `part`.

    Raises: PolicyDenied, codes NODE_STOPPED, FEATURES_DENIED, SCORE_PRECISION, or as the policy decides.
    """
    site.switch.check()
    rule = decide(site.policy, Request(query.bank, Purpose.ASSESSMENT, query.model.hex())).granted()
    if not rule.admits_features(binning.name for binning in part.binnings):
        raise PolicyDenied(f"the model uses features that rule {rule.name!r} does not list", code="FEATURES_DENIED")
    if part.manifest.total_bits > rule.quota.score_bits:
        raise PolicyDenied(
            f"scores of {part.manifest.total_bits} bits are finer than the {rule.quota.score_bits} allowed",
            code="SCORE_PRECISION",
        )
    return rule


def demand_of(site: NodeSite, query: Query | BatchQuery, subject: Subject) -> ConsentDemand:
    """Return what the consent of one enterprise must allow for a question."""
    return ConsentDemand(subject.enterprise, query.bank, query.bank_card, Purpose.ASSESSMENT, site.domain)


def offered_features(table: FeatureTable, rule: Rule) -> FeatureTable:
    """Return the columns that a rule lets a run use. Raises: PolicyDenied, code FEATURES_DENIED, if there are none."""
    columns = {name: column for name, column in table.columns.items() if rule.admits_features([name])}
    if not columns:
        raise PolicyDenied(f"rule {rule.name!r} lists no feature of this node", code="FEATURES_DENIED")
    return FeatureTable(table.ids, columns, table.special)
