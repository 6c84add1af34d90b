"""The auditors whom an operator has let in: a card each in `auditors/` of the coordinator's folder.

An auditor asks for nothing over the network: the card is handed over, its fingerprint compared by voice, and put there.
From the next roster on every party knows it, and seals its statements to this auditor as well.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from protocols.channel.identity import PartyCard, PartyRole, verify_card
from protocols.channel.wire import decode
from protocols.errors import CreditFederationError

logger = logging.getLogger(__name__)
AUDITORS_FOLDER: Final = "auditors"


def auditor_cards(home: Path) -> list[PartyCard]:
    """Return the cards that lie there; what is no auditor's card is passed over and named in the log."""
    found = []
    for path in sorted((home / AUDITORS_FOLDER).glob("*.card")):
        try:
            card = decode(path.read_bytes(), PartyCard)
            verify_card(card)
        except (OSError, CreditFederationError) as error:
            logger.warning("a card cannot be read", extra={"file": path.name, "error": type(error).__name__})
            continue
        if card.role is PartyRole.AUDITOR:
            found.append(card)
        else:
            logger.warning("a card is no auditor's", extra={"file": path.name})
    return found
