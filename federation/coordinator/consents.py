"""What the coordinator checks of consents, without learning whose they are: the slip, and that it is not revoked."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocols.assessment.batch.messages import BatchQuery
from protocols.assessment.messages import Query
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyRole
from protocols.channel.pins import Pins
from protocols.consent import (
    Issuers,
    Purpose,
    RevocationList,
    RevocationView,
    Slip,
    issuer_of_card,
    parse_issuer,
    verify_slip,
)
from protocols.consent.messages import RevocationNotice
from protocols.enterprise.credential import verify_key_slip
from protocols.errors import ConfigurationError, PolicyDenied
from protocols.transparency.leaves import AttributeForm

ISSUERS_FOLDER: Final = "issuers"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a query's slip shows: None if there is no good slip; `code` is why it is refused, "" if it is not."""

    slip: Slip | None
    code: str


class ConsentGate:
    """The coordinator's view of consents. Fails closed: without a fresh list of revocations, no slip is good."""

    def __init__(self, issuers: Issuers, latest: Callable[[], str]) -> None:
        """`latest` returns the newest list of revocations that lies at hand, "" if none does."""
        self._issuers, self._latest = issuers, latest
        self._view = RevocationView(issuers)

    def show(self, query: Query, now: int, earlier: Collection[str] = ()) -> Shown:
        """Return what the slip of a query shows, and whether it may go on; `earlier` are cards that the bank replaced.

        A query without a slip goes on: the nodes, which alone can see whether there is a consent, deny it.
        """
        self.hear()
        return self._judge(query, query.slip, now, earlier)

    def show_all(self, query: BatchQuery, slips: Sequence[str], now: int, earlier: Collection[str] = ()) -> list[Shown]:
        """Return what each slip of a batch shows; it must be that of the handle which the query names.

        One that is missing is left to the nodes, as in `show`.
        """
        self.hear()
        found = []
        for slip, handle in zip(slips, query.handles, strict=True):
            shown = self._judge(query, slip, now, earlier)
            named = b"" if shown.slip is None else shown.slip.handle
            found.append(shown if shown.code or named == handle else Shown(shown.slip, "CONSENT_MISMATCH"))
        return found

    def _judge(self, query: Query | BatchQuery, text: str, now: int, earlier: Collection[str]) -> Shown:
        if not text:
            return Shown(None, "")
        slip = None
        try:
            purpose = Purpose(query.purpose)
            slip = verify_slip(text, self._issuers, query.bank, query.bank_card, purpose, now, earlier)
            self._view.check(slip.issuer, slip.handle, now)
        except ValueError:  # no purpose of any consent: what it is, the nodes say
            return Shown(None, "CONSENT_SCOPE")
        except PolicyDenied as refusal:
            return Shown(slip, refusal.code)
        return Shown(slip, "")

    def check_key(self, slip: str, card: str, now: int) -> None:
        """Return if an accredited service vouches, now, that some enterprise stands behind the key of a card.

        Raises: PolicyDenied, a CREDENTIAL_ code, CONSENT_LIST_STALE or CONSENT_REVOKED.
        """
        shown = verify_key_slip(slip, self._issuers, card, now)
        self.hear()
        self._view.check(shown.issuer, shown.handle, now)

    def hear(self) -> None:
        """Take the list that lies at hand; one that is not good leaves what was known, which soon is too old."""
        latest = self._latest()
        if latest:
            try:
                self._view.take(latest)
            except PolicyDenied:
                return

    def take(self, revocations: str) -> None:
        """Take a list that an issuer has sent. Raises: PolicyDenied."""
        self._view.take(revocations)

    @property
    def lists(self) -> tuple[RevocationList, ...]:
        """The newest list of each issuer."""
        return self._view.latest

    def signed_list(self, issuer: str) -> str:
        """Return the newest list of an issuer as it was signed."""
        return self._view.signed(issuer)


class ListFile:
    """A list of revocations in a file that a consent service keeps fresh; read again when it has changed."""

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


def notice(revocations: str, channel: Callable[[bytes], Channel]) -> Envelope:
    """Return the envelope that passes a list on to every node."""
    message = RevocationNotice(revocations)
    return channel(message.transcript()).wrap(EVERYONE, message)


def read_issuers(home: Path, pins: Pins) -> Issuers:
    """Return the consent services whose cards are pinned, and those of `issuers/NAME.pem`.

    Raises: ConfigurationError, code BAD_ISSUER.
    """
    services = [issuer_of_card(card) for card in pins.cards.values() if card.role is PartyRole.CONSENT_SERVICE]
    folder = home / ISSUERS_FOLDER
    try:
        others = [parse_issuer(_named(path), path.read_bytes()) for path in sorted(folder.glob("*.pem"))]
        return Issuers([*services, *others])
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{folder}: {error}", code="BAD_ISSUER") from error


def _named(path: Path) -> str:
    """Return the name that a file gives its issuer: one that the log's leaves can hold. Raises: ValueError."""
    if not re.fullmatch(AttributeForm.NAME, path.stem):
        raise ValueError(f"{path.name}: an issuer's name is letters, digits and . _ : / @ -")
    return path.stem
