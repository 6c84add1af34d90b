"""The cards beside a log: those of a federation's folder, or those that a coordinator's own settings name."""

from __future__ import annotations

from pathlib import Path

from federation.audit.storage.location import coordinator_home
from federation.relay.settings import COORDINATOR_FILE
from nodes.keystore import read_cards
from nodes.party_home import cards_folder
from protocols.channel.pins import Pins


def cards_folder_of(directory: Path) -> Path:
    """Return where the cards lie that the log's coordinator has pinned. Raises: ConfigurationError."""
    home = coordinator_home(directory)
    return cards_folder(home) if (home / COORDINATOR_FILE).is_file() else home.parent / "cards"


def pinned_cards(directory: Path) -> Pins:
    """Return the cards that the log's coordinator has pinned. Raises: ConfigurationError, VerificationFailed."""
    return read_cards(cards_folder_of(directory))
