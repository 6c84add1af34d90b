"""What an invitation and a consortium's run must satisfy before a party takes part, whoever signed them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from protocols.assessment.manifest import Manifest
from protocols.channel.identity import PartyCard, PartyId
from protocols.channel.wire import encode
from protocols.consortium.messages import (
    Acceptance,
    BankEntry,
    ConsortiumSpec,
    Invitation,
    Member,
    all_labels,
)
from protocols.errors import VerificationFailed
from protocols.scorecard.admission import check_spec, check_undivided
from protocols.scorecard.model import TrainingPlan

_MODEL_CONTEXT = b"credit-federation/consortium-model/v1\0"


def plan_digest(plan: TrainingPlan) -> bytes:
    """Return a plan's name: banks that follow different plans would compute different models."""
    themes = sorted(plan.themes.items())
    return hashlib.sha256(repr((plan.refinements, plan.rules, themes, plan.rho)).encode()).digest()


def check_banks(
    lead: str, banks: tuple[BankEntry, ...], nodes: tuple[str, ...], cards: Mapping[PartyId, PartyCard]
) -> None:
    """Return if the banks are sorted, distinct, no nodes, among them the lead, each under its pinned card.

    Raises: VerificationFailed, code WRONG_BANKS.
    """
    names = [entry.party for entry in banks]
    if names != sorted(set(names)) or lead not in names or set(names) & set(nodes):
        raise VerificationFailed("a consortium's banks are sorted, distinct, and include its lead", code="WRONG_BANKS")
    for entry in banks:
        card = cards.get(PartyId(entry.party))
        if card is None or card.fingerprint() != entry.card:
            raise VerificationFailed(f"the consortium names a card of {entry.party} not pinned", code="WRONG_BANKS")


def check_invitation(invitation: Invitation, cards: Mapping[PartyId, PartyCard]) -> None:
    """Return if an invitation names its parties as they are pinned. Raises: VerificationFailed, code WRONG_BANKS."""
    check_banks(invitation.lead, invitation.banks, tuple(node.party for node in invitation.nodes), cards)


def form(invitation: Invitation, acceptances: Mapping[PartyId, Acceptance]) -> ConsortiumSpec:
    """Return the run that all banks of an invitation have accepted; its columns are those that all of them have."""
    members = tuple(
        Member(bank.party, bank.card, accepted.rows, accepted.training_rows, accepted.labels)
        for bank in invitation.banks
        for accepted in [acceptances[PartyId(bank.party)]]
    )
    common = set(invitation.columns).intersection(*(accepted.columns for accepted in acceptances.values()))
    return ConsortiumSpec(
        run=invitation.run,
        bank=invitation.lead,
        bank_card=next(bank.card for bank in invitation.banks if bank.party == invitation.lead),
        nodes=invitation.nodes,
        created=invitation.created,
        key_bits=invitation.key_bits,
        rows=sum(member.rows for member in members),
        training_rows=sum(member.training_rows for member in members),
        minimum_bin=invitation.minimum_bin,
        fine_bins=invitation.fine_bins,
        row_totals=invitation.row_totals,
        rho=invitation.rho,
        labels=all_labels(members),
        members=members,
        columns=tuple(column for column in invitation.columns if column in common),
        plan=invitation.plan,
    )


def check_consortium(spec: ConsortiumSpec, cards: Mapping[PartyId, PartyCard]) -> None:
    """Return if the run names its parties as they are pinned, and rows that add up, k or more of each bank.

    Raises: VerificationFailed with codes WRONG_BANKS, WRONG_NODE_SET, WRONG_ROWS.
    """
    check_spec(spec, cards)
    check_undivided(spec)
    entries = tuple(BankEntry(member.party, member.card) for member in spec.members)
    check_banks(spec.bank, entries, tuple(node.party for node in spec.nodes), cards)
    for member in spec.members:
        if not spec.minimum_bin <= member.training_rows <= member.rows:
            text = f"{member.party} brings {member.training_rows} training rows of {member.rows}"
            raise VerificationFailed(text, code="WRONG_ROWS")
    sums = sum(member.rows for member in spec.members), sum(member.training_rows for member in spec.members)
    if sums != (spec.rows, spec.training_rows) or spec.labels != all_labels(spec.members):
        raise VerificationFailed("the run's rows or labels are not those of its members", code="WRONG_ROWS")


def agreed_model(manifests: tuple[Manifest, ...]) -> bytes:
    """Return the name of the model that all banks share, from each bank's manifest in the banks' order, 32 bytes."""
    return hashlib.sha256(_MODEL_CONTEXT + b"".join(encode(manifest) for manifest in manifests)).digest()


def agreement_bytes(transcript: bytes, model: bytes) -> bytes:
    """Return what a bank signs to agree to the model of a run."""
    return b"credit-federation/consortium-agreement/v1\0" + transcript + model
