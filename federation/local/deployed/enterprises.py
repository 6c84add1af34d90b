"""Where the coordinator of a federation that is up listens for enterprises."""

from __future__ import annotations

from pathlib import Path

from federation.local.layout import COORDINATOR
from federation.process.settings import read_settings
from federation.relay.settings import COORDINATOR_FILE, CoordinatorSettings
from protocols.errors import ConfigurationError


def desk_of(folder: Path) -> str:
    """Return the URL of the coordinator's desk for enterprises.

    Raises: ConfigurationError, code NO_DESK, if it listens for none.
    """
    home = folder / COORDINATOR
    desk = read_settings(home / COORDINATOR_FILE, CoordinatorSettings).enterprises
    if not desk.listen:
        raise ConfigurationError(f"{home / COORDINATOR_FILE}: enterprises.listen is empty", code="NO_DESK")
    return f"{'https' if desk.certificate else 'http'}://{desk.listen}"
