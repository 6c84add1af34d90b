"""Consents by name, and what a federation's log has of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from federation.local.federation import LocalFederation
from federation.local.layout import BANK, CONSENT_SERVICE
from nodes.ledger import ledger_location, open_bank_ledger
from protocols.consent import Consent, Purpose, consent_handle
from protocols.transparency.leaves import Leaf, LeafKind
from tests.small_federation import NODES, NOW

STORY = [LeafKind.REQUEST, *[LeafKind.RELEASE] * len(NODES), LeafKind.RESULT, LeafKind.ACK]


def consent(federation: LocalFederation, enterprise: str, token_id: str) -> str:
    return federation.consents.issue_as(
        Consent(
            subject=enterprise,
            bank=BANK,
            bank_card=federation.pins.cards[BANK].fingerprint(),
            purposes=(Purpose.ASSESSMENT, Purpose.MONITORING),
            domains=NODES,
            uses=10,
            issued=NOW,
            not_before=NOW,
            expires=NOW + 3600,
            token_id=token_id,
            record_key=federation.consents.public_record_key(enterprise),
        )
    )


def leaves(federation: LocalFederation, start: int = 0) -> list[Leaf]:
    return [entry.leaf for entry in federation.log.entries(start)]


def shown(federation: LocalFederation, start: int = 0) -> list[str]:
    """The handles of the CONSENT leaves from one on, in order."""
    return [leaf.reference.hex() for leaf in leaves(federation, start) if leaf.kind is LeafKind.CONSENT]


def handle(token_id: str) -> str:
    return consent_handle(CONSENT_SERVICE, token_id).hex()


def forget_at_the_bank(folder: Path) -> None:
    """Let the bank believe that the log has no consent: it states all of them again."""
    with closing(open_bank_ledger(ledger_location(folder / BANK))) as ledger:
        ledger._database.write("DELETE FROM consent_shown")
