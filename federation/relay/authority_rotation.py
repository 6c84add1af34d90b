"""The federation's authority is replaced in three steps, and at each every party goes on under the certificate it has.

    next      a new authority is drawn; both are trusted, the old one issues. Each party learns of both with its renewal
    switch    the new one issues, both are trusted. Each party gets a certificate of the new one with its renewal
    drop      the new one alone is trusted

A step is refused while a party that is not suspended has had no certificate since the last one: it would be cut off.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from federation.audit.log.keys import replace_durably
from federation.enrolment.registry import Registry
from federation.relay.authority import Issued, create_authority, own_certificate
from federation.relay.certificate import AUTHORITY_KEY_FILE, RENEW_FILE
from protocols.channel.identity import PartyId
from protocols.errors import ConfigurationError

STATE_FILE: Final = "tls/authority.state"
NEXT_KEY_FILE: Final = "tls/authority.key.next"


class Step(StrEnum):
    """How far the change of authority has come: none is under way, the next is trusted, the next issues."""

    NONE = "none"
    NEXT = "next"
    SWITCHED = "switched"


class _State(msgspec.Struct, frozen=True):
    """The content of `tls/authority.state`. Units: `at` in POSIX seconds."""

    step: Step
    at: int


class AuthorityRotation:
    """The change of authority in a coordinator's directory; `authority` is the file with what streams rest on."""

    def __init__(self, home: Path, authority: Path) -> None:
        self._home, self._authority = home, authority

    def state(self) -> _State:
        """Return how far it has come. Raises: ConfigurationError."""
        path = self._home / STATE_FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=_State)
        except FileNotFoundError:
            return _State(Step.NONE, 0)
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigurationError(f"{path}: cannot be read", code="BAD_STATE") from error

    def draw_next(self, now: datetime.datetime) -> None:
        """Draw a new authority, and trust it beside the present one. Raises: ConfigurationError, code WRONG_STEP."""
        self._require(Step.NONE)
        if not (self._home / AUTHORITY_KEY_FILE).exists():
            raise ConfigurationError("the authority's key is not kept here", code="NO_AUTHORITY")
        drawn = create_authority(now)
        replace_durably(self._home / NEXT_KEY_FILE, drawn.key, 0o600)
        replace_durably(self._authority, self._authority.read_bytes() + drawn.certificate)
        self._enter(Step.NEXT, now)

    def switch(self, now: datetime.datetime, parties: Iterable[PartyId]) -> None:
        """Let the new authority issue. Raises: ConfigurationError, WRONG_STEP, PARTIES_BEHIND; OSError."""
        self._require(Step.NEXT)
        self._require_renewed(parties)
        (self._home / NEXT_KEY_FILE).replace(self._home / AUTHORITY_KEY_FILE)
        self._enter(Step.SWITCHED, now)
        replace_durably(self._home / RENEW_FILE, b"")

    def drop(self, parties: Iterable[PartyId]) -> None:
        """Trust the old authority no more. Raises: ConfigurationError, WRONG_STEP, PARTIES_BEHIND; OSError."""
        self._require(Step.SWITCHED)
        self._require_renewed(parties)
        issuing = Issued(self._authority.read_bytes(), (self._home / AUTHORITY_KEY_FILE).read_bytes())
        replace_durably(self._authority, own_certificate(issuing).public_bytes(Encoding.PEM))
        (self._home / STATE_FILE).unlink()

    def behind(self, parties: Iterable[PartyId]) -> list[PartyId]:
        """Return who has had no certificate since the last step."""
        registry, since = Registry(self._home), self.state().at
        return [party for party in parties if not any(c.issued > since for c in registry.certificates(party))]

    def _require(self, step: Step) -> None:
        found = self.state().step
        if found is not step:
            raise ConfigurationError(f"the change of authority stands at: {found}", code="WRONG_STEP")

    def _require_renewed(self, parties: Iterable[PartyId]) -> None:
        behind = self.behind(parties)
        if behind:
            text = f"no certificate since the last step: {', '.join(behind)} (credfed party rotate --key tls, there)"
            raise ConfigurationError(text, code="PARTIES_BEHIND")

    def _enter(self, step: Step, now: datetime.datetime) -> None:
        replace_durably(self._home / STATE_FILE, msgspec.json.encode(_State(step, int(now.timestamp()))))
