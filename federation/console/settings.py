"""What `console.yaml` says: where the console listens and how it is reached. All of it is optional."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from federation.console.serving import ConsoleAddress

CONSOLE_FILE: Final = "console.yaml"
PORT: Final = 8470


class ConsoleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The console's configuration. Paths are relative to the directory that holds it.

    `host` and `port` are where it listens: beyond this machine only with `certificate` and `key`, PEM files. `names`
    are the host names by which browsers reach it; requests by another name are refused. `http` is where /health and
    /ready are answered: a port of loopback, unix:PATH, or empty for nowhere. `state` is the console's own folder, for
    accounts and index.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] = PORT
    certificate: str = ""
    key: str = ""
    names: tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]{1,253}\Z")], ...] = ()
    http: str = ""
    state: str = "console"

    def address(self, directory: Path) -> ConsoleAddress:
        """Return where to listen. Raises: ConfigurationError, code BAD_OPTION, if passwords were not safe there."""
        certificate, key = (directory / name if name else None for name in (self.certificate, self.key))
        address = ConsoleAddress(self.host, self.port, certificate, key, self.names)
        address.check()
        return address
