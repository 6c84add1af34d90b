"""Settings from one YAML file; whatever is wrong in it is said with file and key."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

from protocols.errors import ConfigurationError

T = TypeVar("T")


def read_settings(path: Path, kind: type[T]) -> T:
    """Return the settings that a file holds. Raises: ConfigurationError, code BAD_SETTINGS, naming file and key."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", code="BAD_SETTINGS") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8", code="BAD_SETTINGS") from error
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError) as error:  # PyYAML lets these out, of dates too
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigurationError(f"{path}{place}: not YAML", code="BAD_SETTINGS") from error
    try:
        return msgspec.convert({} if document is None else document, kind)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at ")
        key = place.strip("`").removeprefix("$.").removeprefix("$")
        raise ConfigurationError(f"{path}: {key + ': ' if key else ''}{text}", code="BAD_SETTINGS") from error
