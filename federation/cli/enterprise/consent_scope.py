"""What a consent may name: an enterprise and domains that its federation can know; no slip of the pen is signed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from federation.local.layout import FEDERATION_FILE, FederationFile, read_federation
from nodes.keystore import read_roster
from nodes.sources import is_identifier
from protocols.channel.identity import PartyRole
from protocols.channel.pins import Pins
from protocols.errors import ConfigurationError
from protocols.uscc import validate


def require_enterprise(subject: str, cards: Path, other_ids: bool) -> None:
    """Return if a subject can be an enterprise's: a valid code, unless this federation's go by other identifiers.

    Raises: ConfigurationError, codes INVALID_USCC, INVALID_ID.
    """
    beside = _beside(cards)
    if not other_ids and (beside is None or beside.uscc):
        validate(subject)
    elif not is_identifier(subject):
        raise ConfigurationError("an enterprise's id is empty, too long, or not printable", code="INVALID_ID")


def known_domains(wanted: Sequence[str], cards: Path, pins: Pins) -> tuple[str, ...]:
    """Return the domains that are wanted, or all, if data nodes describe each. Raises: ConfigurationError."""
    known = _domains(cards, pins)
    for domain in wanted:
        if domain not in known:
            raise ConfigurationError(
                f"no data node describes {domain!r} (known: {', '.join(known)})", code="UNKNOWN_DOMAIN"
            )
    return tuple(dict.fromkeys(wanted)) or known


def _domains(cards: Path, pins: Pins) -> tuple[str, ...]:
    """Return the domains of all data nodes: the federation's or those of the roster, and else the nodes' own names."""
    beside = _beside(cards)
    if beside is not None:
        return beside.domains
    signed = read_roster(cards)
    nodes = sorted(name for name, card in pins.cards.items() if card.role is PartyRole.DATA_NODE)
    stated = {} if signed is None else {entry.party: entry.domain for entry in signed.roster.entries}
    return tuple(dict.fromkeys(stated.get(name) or name for name in nodes))


def _beside(cards: Path) -> FederationFile | None:
    """Return what the federation says of itself whose folder holds the cards; an enrolled party's has no such file."""
    folder = cards.resolve().parent
    return read_federation(folder) if (folder / FEDERATION_FILE).exists() else None
