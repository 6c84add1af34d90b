"""The consent service, which stands for the enterprises of a federation in one process."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nodes.consent_sources import REVOCATIONS_FILE
from nodes.keystore import read_keys
from protocols.channel.identity import PartyCard, PartyId, PartyRole, make_card
from protocols.channel.pins import Pins
from protocols.consent import (
    LIST_SECONDS,
    QUESTIONS,
    Consent,
    Purpose,
    RevocationList,
    consent_handle,
    issue_consent,
    issue_slip,
    issuer_of_card,
    join_consent,
    sign_revocations,
    verify_revocations,
)
from protocols.enterprise.credential import Credential, check_card, issue_credential
from protocols.errors import PolicyDenied

CONSENT_SECONDS: Final = 86_400
CONSENT_USES: Final = 100
CREDENTIAL_SECONDS: Final = 365 * 86_400
RENEW_SECONDS: Final = LIST_SECONDS // 2
WITHHELD_FILE: Final = "withheld.txt"
REVOKED_FILE: Final = "revoked.txt"
VOUCHED_FILE: Final = "vouched.txt"
_RECORD_KEY: Final = b"credit-federation/record-key/v1\0"


class ConsentService:
    """Issues the consents of all enterprises but those that have withheld theirs, and the list of those revoked."""

    def __init__(self, home: Path, domains: tuple[str, ...], pins: Pins, clock: Callable[[], int]) -> None:
        self._home, self._domains, self._clock = home, domains, clock
        self._keys = read_keys(self._home)
        self.pins = pins
        self._issuer = issuer_of_card(make_card(self._keys, PartyRole.CONSENT_SERVICE))

    def withhold(self, enterprise: str) -> None:
        """Let an enterprise refuse: no consent is issued for it any more."""
        with (self._home / WITHHELD_FILE).open("a", encoding="utf-8") as file:
            file.write(f"{enterprise}\n")

    def of_enterprise(self, enterprise: str, bank: PartyId) -> str:
        """Return an enterprise's consent to be assessed and monitored by a bank, or "" if it has withheld it."""
        withheld = (self._home / WITHHELD_FILE).read_text(encoding="utf-8").split("\n")
        return "" if enterprise in withheld else self.issue(enterprise, QUESTIONS, bank)

    def issue(self, subject: str, purposes: tuple[Purpose, ...], bank: PartyId) -> str:
        """Return a consent for a bank, token and slip, good for a day."""
        now = self._clock()
        return self.issue_as(
            Consent(
                subject=subject,
                bank=bank,
                bank_card=self.pins.cards[bank].fingerprint(),
                purposes=purposes,
                domains=self._domains,
                uses=CONSENT_USES,
                issued=now,
                not_before=now,
                expires=now + CONSENT_SECONDS,
                token_id=secrets.token_hex(16),
                record_key=self.record_key_for(subject, purposes),
            )
        )

    def record_key(self, enterprise: str) -> X25519PrivateKey:
        """Return the key with which an enterprise reads what the log says of it. Reveals: that, to who holds it."""
        secret = HKDF(SHA256(), 32, salt=None, info=_RECORD_KEY + enterprise.encode())
        return X25519PrivateKey.from_private_bytes(secret.derive(self._keys.to_bytes()))

    def public_record_key(self, enterprise: str) -> bytes:
        """Return the key to which what the log says of an enterprise is sealed: its own, if the service vouches for it.

        For one that brought no key, the service keeps one: that of `record_key`.
        """
        path = self._home / VOUCHED_FILE
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        known = dict(line.rsplit(" ", 1) for line in lines)
        if enterprise in known:
            return bytes.fromhex(known[enterprise])
        return self.record_key(enterprise).public_key().public_bytes_raw()

    def record_key_for(self, subject: str, purposes: tuple[Purpose, ...]) -> bytes:
        """Return the public key that a consent names; one for training covers a cohort, which has none."""
        return b"" if Purpose.TRAINING in purposes else self.public_record_key(subject)

    def issue_as(self, consent: Consent) -> str:
        """Return a consent on terms of the caller's choice, token and slip."""
        name, key = self._keys.party, self._keys.signing
        return join_consent(issue_consent(consent, name, key), issue_slip(consent, name, key))

    def vouch(self, enterprise: str, card: PartyCard, seconds: int = CREDENTIAL_SECONDS) -> str:
        """Return the credential that says that a card is this enterprise's, token and slip.

        Whoever calls has made sure that it is. What later consents let the log say of the enterprise is sealed to this
        key. Raises: VerificationFailed for a card that is no enterprise's own.
        """
        check_card(card, self.pins.cards)
        with (self._home / VOUCHED_FILE).open("a", encoding="utf-8") as file:
            file.write(f"{enterprise} {card.sealing_key.hex()}\n")
        now, token_id = self._clock(), secrets.token_hex(16)
        credential = Credential(enterprise, card.fingerprint(), now, now + seconds, token_id)
        return issue_credential(credential, self._keys.party, self._keys.signing)

    def revoke(self, token_id: str) -> None:
        """Revoke a consent, by its id: it is in the next list, which is signed now."""
        with (self._home / REVOKED_FILE).open("a", encoding="utf-8") as file:
            file.write(f"{consent_handle(self._keys.party, token_id).hex()}\n")
        self.sign_list()

    def revocations(self) -> str:
        """Return a list of revocations that is fresh, signed anew when the last one grows old or lacks one."""
        latest = self._latest()
        if latest is not None:
            known, text = latest
            if known.revoked == self._revoked() and known.issued <= self._clock() < known.issued + RENEW_SECONDS:
                return text
        return self.sign_list()

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Keep the list fresh for the time of the block, in a thread: for processes that read it."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(RENEW_SECONDS / 4):
                self.revocations()

        self.revocations()
        thread = threading.Thread(target=renew, name="revocations", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def sign_list(self) -> str:
        """Sign a list of all that is revoked, put it in the place of the last one, and return it."""
        now, latest = self._clock(), self._latest()
        sequence = now if latest is None else max(latest[0].sequence + 1, now)
        found = RevocationList(self._keys.party, sequence, now, now + LIST_SECONDS, self._revoked())
        text = sign_revocations(found, self._keys.signing)
        write_list(self._home / REVOCATIONS_FILE, text)
        return text

    def _latest(self) -> tuple[RevocationList, str] | None:
        with suppress(OSError, PolicyDenied):
            text = (self._home / REVOCATIONS_FILE).read_text(encoding="utf-8")
            return verify_revocations(text, self._issuer), text
        return None

    def _revoked(self) -> frozenset[bytes]:
        path = self._home / REVOKED_FILE
        lines = path.read_text(encoding="utf-8").split() if path.exists() else []
        return frozenset(map(bytes.fromhex, lines))


def write_list(path: Path, text: str) -> None:
    """Write a signed list so that a reader finds the old one or the new one whole. Raises: OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
