"""Asks to be enrolled, waits for the operator's word, and writes what is granted; every step can be repeated.

What was asked of whom is kept in `enrolment.json`, without the token's secret: so waiting can go on another day, and a
party whose certificate has expired can ask for a new one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from nodes.enrolment.dialling import exchange
from nodes.enrolment.founding import CARDS, TLS_KEY
from nodes.further_keys import SUPERNODE_PUBLIC
from nodes.keystore import (
    LOG_KEY_FILE,
    read_cards,
    read_cosigner,
    read_keys,
    read_roster,
    replace_file,
    write_roster,
)
from protocols.channel.identity import PartyCard, PartyId, PartyKeys
from protocols.channel.wire import encode
from protocols.enrolment import messages as m
from protocols.enrolment.certificates import check_authority, check_certificate, signing_request
from protocols.enrolment.roster import SignedRoster, coordinator_of, pin_first, pin_next, sign_other_keys
from protocols.enrolment.token import Token
from protocols.errors import ConfigurationError, PeerRefused, VerificationFailed

STATE_FILE: Final = "enrolment.json"
_ADDRESS: Final = re.compile(r"^(\s*address:\s*).*$", re.MULTILINE)


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom this party has asked: the enrolment service's address and key, the coordinator's card, the digits."""

    address: str
    server: str
    coordinator: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Joining:
    """A party's directory on its way into a federation. `settings` is its settings file, `witness` its name there."""

    home: Path
    settings: str
    witness: str
    keys: PartyKeys = field(repr=False)
    card: PartyCard

    def ask(self, token: Token, address: str) -> str:
        """Hand the application in, and return the digits that both operators compare.

        A request that was handed in before is not an error. Raises: ConfigurationError, code WRONG_TOKEN; PeerRefused
        with the coordinator's code; TransportError; VerificationFailed, code WRONG_SERVER.
        """
        if token.party != self.keys.party:
            raise ConfigurationError(f"the token invites {token.party}, this is {self.keys.party}", code="WRONG_TOKEN")
        application, known = self._application(), self.state()

        def request(challenge: m.Challenge, server: bytes) -> m.EnrolmentRequest:
            """Write down whom this is asked of before it is: an answer may be lost that has used the token up."""
            digits = application.fingerprint(challenge.coordinator)
            self._keep(_State(address, token.server.hex(), encode(challenge.coordinator).hex(), digits))
            return m.make_request(self.keys, token.secret, application, challenge.nonce, server)

        challenge, answer = exchange(address, token.server, request)
        digits = application.fingerprint(challenge.coordinator)
        if isinstance(answer, m.Refused) and not (
            answer.code == "TOKEN_USED" and known and known.fingerprint == digits
        ):
            self._keep(known)
            raise PeerRefused(f"the coordinator refuses: {answer.code}", code=answer.code)
        return digits

    def _keep(self, state: _State | None) -> None:
        """Write down whom this party has asked, or that it has asked nobody. Raises: OSError."""
        if state is None:
            (self.home / STATE_FILE).unlink(missing_ok=True)
        else:
            replace_file(self.home / STATE_FILE, msgspec.json.format(msgspec.json.encode(state)))

    def poll(self) -> bool:
        """Ask what has become of it; write what is granted and return True, or False while it is pending.

        Raises: ConfigurationError, code NOT_ASKED; PeerRefused; TransportError; VerificationFailed.
        """
        state = self.state()
        if state is None:
            raise ConfigurationError(f"{self.home}: nothing was asked yet; a token is needed", code="NOT_ASKED")
        csr = self._signing_request()

        def ask(challenge: m.Challenge, server: bytes) -> m.EnrolmentPoll:
            return m.make_poll(self.keys, csr, challenge.nonce, server)

        _, answer = exchange(state.address, bytes.fromhex(state.server), ask)
        if isinstance(answer, m.Refused):
            raise PeerRefused(f"the coordinator refuses: {answer.code}", code=answer.code)
        if isinstance(answer, m.Granted):
            self._take(answer, state)
        return isinstance(answer, m.Granted)

    def state(self) -> _State | None:
        """Return whom this party has asked, None if nobody. Raises: ConfigurationError."""
        path = self.home / STATE_FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=_State)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigurationError(f"{path}: cannot be read", code="BAD_STATE") from error

    def _take(self, granted: m.Granted, state: _State) -> None:
        """Verify everything that is granted before any of it is written."""
        self._check_roster(granted.roster, state)
        tls = self.home / "tls"
        check_certificate(
            granted.certificate, granted.authority, (self.home / TLS_KEY).read_bytes(), PartyId(self.keys.party)
        )
        if (tls / "authority.pem").exists():
            check_authority((tls / "authority.pem").read_bytes(), granted.authority)
        write_roster(self.home / CARDS, granted.roster)
        replace_file(tls / "authority.pem", granted.authority, 0o644)
        replace_file(tls / "certificate.pem", granted.certificate, 0o644)
        if not (self.home / LOG_KEY_FILE).exists():
            replace_file(self.home / LOG_KEY_FILE, f"{granted.roster.roster.log}\n".encode(), 0o644)
        self._write_address(f"{state.address.rpartition(':')[0]}:{granted.port}")

    def _check_roster(self, signed: SignedRoster, state: _State) -> None:
        """Return if a roster has this party with its own keys, and the coordinator that was compared."""
        pinned = read_roster(self.home / CARDS)
        if pinned is not None:
            if signed.roster.sequence > pinned.roster.sequence:
                pin_next(pin_first(pinned), signed)
            return
        pin_first(signed)
        mine, coordinator = signed.roster.entry(self.keys.party), coordinator_of(signed.roster)
        if mine is None or self.card not in mine.lineage.cards:
            raise VerificationFailed("the roster does not name this party with its own keys", code="WRONG_ROSTER")
        if bytes.fromhex(state.coordinator) not in {encode(card) for card in coordinator.lineage.cards}:
            raise VerificationFailed("the roster is not the coordinator's that was compared", code="WRONG_ROSTER")

    def _write_address(self, address: str) -> None:
        path = self.home / self.settings
        text = path.read_text(encoding="utf-8")
        replace_file(path, _ADDRESS.sub(rf"\g<1>{address}", text, count=1).encode(), 0o644)

    def _application(self) -> m.Application:
        witness = read_cosigner(self.home, self.witness).verifier.vkey()
        supernode = (self.home / SUPERNODE_PUBLIC).read_text(encoding="ascii").strip()
        return m.Application(self.card, self._signing_request(), sign_other_keys(self.keys, witness, supernode))

    def _signing_request(self) -> bytes:
        """Return this party's signing request, the same one for as long as its TLS key is."""
        kept, key = self.home / "tls" / "request.der", (self.home / TLS_KEY).read_bytes()
        party = PartyId(self.keys.party)
        if not kept.exists() or kept.stat().st_mtime_ns < (self.home / TLS_KEY).stat().st_mtime_ns:
            replace_file(kept, signing_request(party, key), 0o644)
        return kept.read_bytes()


def open_joining(home: Path, settings: str, witness: str) -> Joining:
    """Return a directory that `init` has made, ready to ask. Raises: ConfigurationError."""
    keys = read_keys(home)
    pins = read_cards(home / CARDS)
    card = pins.cards.get(PartyId(keys.party))
    if card is None:
        raise ConfigurationError(f"{home / CARDS}: no card of {keys.party}", code="MISSING_KEY")
    return Joining(home, settings, witness, keys, card)
