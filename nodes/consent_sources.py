"""Whose consents a site accepts, and where it hears of revocations: its own folder, and who passes lists on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from protocols.channel.identity import PartyRole
from protocols.channel.pins import Pins
from protocols.consent import Issuers, issuer_of_card, parse_issuer
from protocols.errors import ConfigurationError

ISSUERS_FOLDER: Final = "issuers"
REVOCATIONS_FILE: Final = "revocations.jwt"


@dataclass(frozen=True, slots=True)
class ConsentSources:
    """The accredited issuers, and `latest`: the newest signed list of revocations that lies at hand, "" if none does.

    Lists also come as messages; whichever is newer counts.
    """

    issuers: Issuers = field(repr=False)
    latest: Callable[[], str] = field(repr=False)


class ListFile:
    """A list of revocations in a file that something else keeps fresh; read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path, self._state, self._text = path, (0, 0, 0), ""

    def __call__(self) -> str:
        """Return what the file holds, "" if it cannot be read: no list is then at hand."""
        try:
            status = self._path.stat()
            state = (status.st_mtime_ns, status.st_size, status.st_ino)
            if state != self._state:
                self._text, self._state = self._path.read_text(encoding="utf-8").strip(), state
        except (OSError, UnicodeError):
            return ""
        return self._text


def consent_sources(home: Path, pins: Pins, revocations: str = REVOCATIONS_FILE) -> ConsentSources:
    """Return what the folder of a site says: the consent services whose cards are pinned, and `issuers/NAME.pem`.

    A list of revocations that something else puts there as `revocations` is used too.
    Raises: ConfigurationError, code BAD_ISSUER.
    """
    return ConsentSources(read_issuers(home, pins), ListFile(home / revocations))


def read_issuers(home: Path, pins: Pins) -> Issuers:
    """Return the issuers that a site accepts. Raises: ConfigurationError, code BAD_ISSUER."""
    services = [issuer_of_card(card) for card in pins.cards.values() if card.role is PartyRole.CONSENT_SERVICE]
    folder = home / ISSUERS_FOLDER
    try:
        others = [parse_issuer(path.stem, path.read_bytes()) for path in sorted(folder.glob("*.pem"))]
        return Issuers([*services, *others])
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{folder}: {error}", code="BAD_ISSUER") from error
