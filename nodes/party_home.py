"""Finds in a party's directory what every command about parties needs, whichever settings file it has."""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from protocols.errors import ConfigurationError

SETTINGS_FILES = ("coordinator.yaml", "node.yaml", "bank.yaml")


class _Paths(msgspec.Struct):
    cards: str = "../cards"
    door: str = ""


def cards_folder(home: Path) -> Path:
    """Return where a party keeps the cards that it has pinned. Raises: ConfigurationError, code NOT_A_PARTY."""
    return home / _paths(home).cards


def door_of(home: Path) -> str:
    """Return a party's socket for its SuperNode, as it is set, "" if it has none. Raises: as `cards_folder`."""
    return _paths(home).door


def _paths(home: Path) -> _Paths:
    for name in SETTINGS_FILES:
        if (home / name).is_file():
            try:
                document = yaml.safe_load((home / name).read_text(encoding="utf-8"))
                return msgspec.convert(document or {}, _Paths)
            except (
                OSError,
                ValueError,
                RecursionError,
                AttributeError,
                yaml.YAMLError,
                msgspec.ValidationError,
            ) as error:
                raise ConfigurationError(f"{home / name}: cannot be read", code="BAD_SETTINGS") from error
    raise ConfigurationError(f"{home}: none of {', '.join(SETTINGS_FILES)} is there; see --home", code="NOT_A_PARTY")
