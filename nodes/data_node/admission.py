"""Whose questions a data node takes, about whom, and by which features: the card, the rules, the consent."""

from __future__ import annotations

from nodes.data_node.parts import OpenPart
from nodes.data_node.site import NodeSite
from nodes.features import FeatureTable
from nodes.policy import NodePolicy, Request, Rule, decide
from protocols.assessment.batch.messages import BatchQuery
from protocols.assessment.manifest import Manifest
from protocols.assessment.messages import Query, Subject
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole
from protocols.consent import ConsentDemand, Purpose
from protocols.errors import PolicyDenied, VerificationFailed


def check_asker(site: NodeSite, envelope: Envelope, query: Query | BatchQuery) -> None:
    """Return if an open question is its bank's own, under a card that is pinned and accepted.

    Raises: VerificationFailed, codes PARTY_SUSPENDED, CARD_UNKNOWN.
    """
    site.channel(query.transcript()).unwrap(envelope, type(query))
    bank = site.pins.card(PartyId(query.bank), PartyRole.BANK)
    if envelope.sender != bank.party:
        raise VerificationFailed("the query is not its bank's")
    site.pins.accepted(PartyId(bank.party), query.bank_card)


def masking_of(
    site: NodeSite, query: Query | BatchQuery, manifest: Manifest
) -> tuple[PartyKeys, dict[PartyId, PartyCard]]:
    """Return the keys and cards whose masks a question asks for: all its nodes use the same, or nothing opens.

    Raises: VerificationFailed, code CARD_UNKNOWN, for a card that is not, or no longer, accepted.
    """
    names = query.cards or tuple(entry.card for entry in manifest.nodes)
    if len(names) != len(query.nodes):
        raise VerificationFailed(f"{len(names)} cards for {len(query.nodes)} nodes", code="CARD_UNKNOWN")
    cards = {PartyId(node): site.ring.card(PartyId(node), name) for node, name in zip(query.nodes, names, strict=True)}
    return site.ring.masking(cards[site.keys.party]), cards


def admit_query(site: NodeSite, policy: NodePolicy, query: Query | BatchQuery, part: OpenPart) -> Rule:
    """Return the rule of a policy on whose terms a question may be answered from `part`.

    Raises: PolicyDenied, codes NODE_STOPPED, FEATURES_DENIED, SCORE_PRECISION, or as the policy decides.
    """
    site.switch.check()
    rule = decide(policy, Request(query.bank, Purpose(query.purpose), query.model.hex())).granted()
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
    purpose, earlier = Purpose(query.purpose), site.pins.fingerprints(PartyId(query.bank))
    return ConsentDemand(subject.enterprise, query.bank, query.bank_card, purpose, site.domain, earlier)


def offered_features(table: FeatureTable, rule: Rule) -> FeatureTable:
    """Return the columns that a rule lets a run use. Raises: PolicyDenied, code FEATURES_DENIED, if there are none."""
    columns = {name: column for name, column in table.columns.items() if rule.admits_features([name])}
    if not columns:
        raise PolicyDenied(f"rule {rule.name!r} lists no feature of this node", code="FEATURES_DENIED")
    return FeatureTable(table.ids, columns, table.special, table.as_of)
