"""Where a log lives: a SQLite file in the coordinator's folder, or the PostgreSQL database of its setting `log`.

The lock and the witnessed record are files beside it either way: the coordinator holds them against the database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import yaml

from federation.audit.errors import NOT_A_LOG
from protocols.errors import ConfigurationError

LOG_FILE: Final = Path("coordinator") / "log.sqlite"
SCHEMES: Final = ("postgresql://", "postgres://")
_SETTINGS: Final = "coordinator.yaml"


@dataclass(frozen=True, slots=True)
class LogLocation:
    """`path` is the SQLite file, and names the files beside the log; `url`, if there is one, is where it lives."""

    path: Path
    url: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.url and (not self.url.startswith(SCHEMES) or len(self.url.split()) != 1):
            raise ConfigurationError("the log's place is not one PostgreSQL URL (postgresql://…)", code=NOT_A_LOG)

    @property
    def exists(self) -> bool:
        """Whether there is a log to look for; one in a database is looked for there."""
        return bool(self.url) or self.path.is_file()

    def __str__(self) -> str:
        """Return what an error may call the log: a URL without user, password and options."""
        if not self.url:
            return str(self.path)
        return f"postgresql://{self.url.partition('://')[2].rpartition('@')[2].partition('?')[0]}"


class _Place(msgspec.Struct, frozen=True):
    """The one setting of `coordinator.yaml` that says where the log is; the rest is the process's business."""

    log: str = ""


def coordinator_home(directory: Path) -> Path:
    """Return the coordinator's folder: that of a federation's folder, or `directory` if it is the coordinator's own."""
    own = any((directory / name).is_file() for name in (LOG_FILE.name, _SETTINGS))
    return directory if own else directory / LOG_FILE.parent


def as_location(place: Path | LogLocation) -> LogLocation:
    """Return a path as the location of a SQLite file."""
    return place if isinstance(place, LogLocation) else LogLocation(place)


def log_location(home: Path) -> LogLocation:
    """Return where the log of the coordinator's folder lives. Raises: ConfigurationError."""
    settings = home / _SETTINGS
    if not settings.is_file():
        return LogLocation(home / LOG_FILE.name)
    try:
        place = msgspec.convert(yaml.safe_load(settings.read_bytes()) or {}, _Place)
    except (OSError, ValueError, RecursionError, AttributeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{settings}: cannot be read: {error}", code=NOT_A_LOG) from None
    return LogLocation(home / LOG_FILE.name, place.log)
