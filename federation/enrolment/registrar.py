"""Makes it so: what operators have decided and parties have asked for becomes leaves, certificates and rosters.

Every change is in the log, as a leaf of kind KEY, before it takes effect. The registrar compares what is decided with
what the newest roster says, so a coordinator that was stopped half way goes on where it stood.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import Final

import msgspec

from federation.enrolment.registry import APPROVED, Applicant, CertificateRecord, Registry
from federation.relay.authority import Issued, certify, expiry
from protocols.channel.identity import PartyCard, PartyId, PartyKeys
from protocols.channel.pins import Pins
from protocols.channel.succession import BROKEN, Lineage
from protocols.channel.wire import digest
from protocols.enrolment.certificates import key_digest, requested_key
from protocols.enrolment.roster import (
    OtherKeys,
    Roster,
    RosterEntry,
    SignedRoster,
    check_supernode_key,
    pin_next,
    sign_roster,
    verify_other_keys,
)
from protocols.enrolment.upkeep import CardNotice, CertificateGrant, KeysNotice
from protocols.errors import PolicyDenied, VerificationFailed
from protocols.transparency.notes import parse_vkey
from protocols.transparency.succession import KeySuccession, follow

logger = logging.getLogger(__name__)

MOST_CERTIFICATES: Final = 24
"""How many certificates a party may be issued in the lifetime of one."""
MOST_WITNESS_KEYS: Final = 64
"""How many keys a party may ever have had as a witness."""
MOST_SUCCESSIONS: Final = 8
"""How many of a party's cards may be in their overlap at once."""

Record = Callable[[str, dict[str, str | int]], None]
"""Appends a KEY leaf about a party, durably."""


@dataclass(frozen=True, slots=True)
class RegistrarSite:
    """What the registrar works with. `keep` puts a roster where the coordinator's own pins are read from.

    `auditors` are the cards of those whom an operator has let in. `log` is the vkey of the log; `successions` returns
    how it and the witnesses' keys were replaced, and `succeed` writes one more of these down.

    Units: `clock` and `certificate_seconds` in seconds; `key_bits` is the length of every Paillier key.
    """

    registry: Registry
    pins: Pins = field(repr=False)
    keys: PartyKeys = field(repr=False)
    authority: Issued | None = field(repr=False)
    record: Record = field(repr=False)
    keep: Callable[[SignedRoster], None] = field(repr=False)
    log: str
    key_bits: int
    certificate_seconds: float
    clock: Callable[[], int]
    auditors: Callable[[], Sequence[PartyCard]] = tuple
    successions: Callable[[], tuple[KeySuccession, ...]] = tuple
    succeed: Callable[[KeySuccession], None] = field(default=lambda succession: None, repr=False)


class Registrar:
    """The one writer of the roster. Its calls may come from several threads."""

    def __init__(self, site: RegistrarSite, roster: SignedRoster | None, founders: dict[PartyId, RosterEntry]) -> None:
        """Go on from a roster, or begin one with the `founders`."""
        self._site, self._lock = site, RLock()
        self.roster = roster if roster is not None else self._sign(1, founders)
        if roster is None:
            site.keep(self.roster)
            site.pins.sequence = 1

    @property
    def entries(self) -> dict[PartyId, RosterEntry]:
        """Return everybody's entry."""
        return {entry.party: entry for entry in self.roster.roster.entries}

    def use(self, keys: PartyKeys) -> None:
        """Sign with the coordinator's next keys from now on."""
        with self._lock:
            self._site = replace(self._site, keys=keys)

    def issue_from(self, authority: Issued | None) -> None:
        """Certify by this authority from now on; None if its key is not kept here."""
        with self._lock:
            self._site = replace(self._site, authority=authority)

    def reconcile(self) -> list[PartyId]:
        """Bring the roster to what operators have decided; return whose entries have changed."""
        with self._lock:
            entries, changed = self.entries, []
            for applicant in self._site.registry.applicants():
                if applicant.state == APPROVED and applicant.party not in entries:
                    entries[applicant.party] = self._enrol(applicant)
                    changed.append(applicant.party)
            for card in self._new_auditors(entries):
                self._leaf(card, "enrolled")
                entries[PartyId(card.party)] = RosterEntry(Lineage(card))
                changed.append(PartyId(card.party))
            suspended = self._site.registry.suspended()
            for party, entry in entries.items():
                if entry.suspended != (party in suspended):
                    entries[party] = msgspec.structs.replace(entry, suspended=party in suspended)
                    self._leaf(entry.lineage.card, "suspended" if party in suspended else "lifted")
                    changed.append(party)
            if changed:
                self._publish(entries)
            return changed

    def _new_auditors(self, entries: dict[PartyId, RosterEntry]) -> Iterator[PartyCard]:
        """Yield the auditors who are not in the roster yet, but those whose name or keys another party has."""
        for card in self._site.auditors():
            if PartyId(card.party) not in entries:
                try:
                    self._refuse_taken(card, PartyId(card.party))
                    yield card
                except VerificationFailed as error:
                    logger.warning("an auditor is not let in", extra={"party": card.party, "code": error.code})

    def succeed(self, party: PartyId, notice: CardNotice) -> None:
        """Take a party's next card. The same notice again changes nothing.

        Raises: VerificationFailed, codes CARD_UNKNOWN, KEY_CHANGED; PolicyDenied, code TOO_MANY_KEYS.
        """
        with self._lock:
            entry, card = self.entries[party], notice.card
            if card in entry.lineage.cards:
                return
            if notice.replaced.card != entry.lineage.card or card.party != party:
                raise VerificationFailed(f"the next card of {party} follows another than its present one", code=BROKEN)
            if len(entry.lineage.accepted(self._site.clock())) >= MOST_SUCCESSIONS:
                raise PolicyDenied(f"{party} has replaced its keys too often", code="TOO_MANY_KEYS")
            lineage = Lineage(card, (notice.replaced, *entry.lineage.earlier))
            trial = Pins(())
            trial.take([lineage])
            if card.paillier_key:
                trial.paillier_key(party, self._site.key_bits)
            self._refuse_taken(card, party)
            self._leaf(card, "rotated")
            self._publish(self.entries | {party: msgspec.structs.replace(entry, lineage=lineage)})

    def restate(self, party: PartyId, notice: KeysNotice, witness: str) -> None:
        """Take a party's next keys as a witness and of its SuperNode; `witness` is its vkey as a witness until now.

        The same notice again changes nothing. Raises: MalformedMessage; VerificationFailed, codes KEY_CHANGED,
        KEY_TAKEN; PolicyDenied, code TOO_MANY_KEYS.
        """
        with self._lock:
            stated, entry = notice.stated, self.entries[party]
            if stated == entry.keys:
                return
            verify_other_keys(stated, (entry.lineage.card,))
            renewed = self._check_witness(stated, notice.succession, witness)
            present = entry.keys.supernode if entry.keys is not None else ""
            if stated.supernode != present:
                self._check_supernode(party, stated.supernode)
                self._further_leaf(party, "supernode", stated.supernode, "rotated")
            if renewed is not None:
                self._further_leaf(party, "witness", stated.witness, "rotated", renewed)
                self._site.succeed(renewed)
            self._publish(self.entries | {party: msgspec.structs.replace(entry, keys=stated)})

    def republish(self) -> None:
        """Sign the roster anew, with the successions there are now."""
        with self._lock:
            self._publish(self.entries)

    def _check_witness(self, stated: OtherKeys, word: KeySuccession | None, present: str) -> KeySuccession | None:
        """Return the word by which a party's key as a witness is replaced, None if it stays."""
        if stated.witness == present:
            return None
        known = self._site.successions()
        if word is None or not present or follow(parse_vkey(present), (*known, word)).vkey() != stated.witness:
            raise VerificationFailed(f"the next witness key of {stated.party} follows another", code=BROKEN)
        others = [entry.keys.witness for entry in self.entries.values() if entry.keys is not None]
        if stated.witness in others:
            raise VerificationFailed(f"the witness key of {stated.party} is another party's", code="KEY_TAKEN")
        if sum(succession.name == word.name for succession in known) >= MOST_WITNESS_KEYS:
            raise PolicyDenied(f"{stated.party} has replaced its witness key too often", code="TOO_MANY_KEYS")
        return word

    def _check_supernode(self, party: PartyId, supernode: str) -> None:
        others = [entry.keys.supernode for entry in self.entries.values() if entry.keys is not None]
        if supernode in others:
            raise VerificationFailed(f"the SuperNode key of {party} is another party's", code="KEY_TAKEN")
        check_supernode_key(supernode)

    def certify(self, party: PartyId, csr: bytes) -> CertificateGrant:
        """Return a certificate for a party's TLS key.

        Raises: MalformedMessage; VerificationFailed, codes CSR_NAME, CSR_KEY, KEY_TAKEN; PolicyDenied,
        TOO_MANY_CERTIFICATES.
        """
        key, site, now = requested_key(csr, party), self._site, self._site.clock()
        with self._lock:
            issued = site.registry.certificates(party)
            recent = [known for known in issued if known.issued > now - site.certificate_seconds]
            if len(recent) >= MOST_CERTIFICATES:
                raise PolicyDenied(f"{party} has {len(recent)} fresh certificates", code="TOO_MANY_CERTIFICATES")
            if site.authority is None:
                raise PolicyDenied("the authority's key is not kept here", code="NO_AUTHORITY")
            moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
            content = certify(site.authority, key, party, moment, site.certificate_seconds / 86_400)
            hashed = key_digest(key)
            if not issued or issued[0].key != hashed:
                site.record(party, {"role": "tls", "key_hash": hashed.hex(), "step": "certified"})
            ends = int(expiry(content).timestamp())
            site.registry.certified(party, CertificateRecord(hashed, now, ends, content))
            return CertificateGrant(content, site.authority.certificate)

    def granted(self, party: PartyId, csr: bytes) -> CertificateGrant:
        """Return the newest certificate if it is for this key and still good, else a new one. Raises: as `certify`."""
        with self._lock:
            issued, authority = self._site.registry.certificates(party), self._site.authority
            same = bool(issued) and issued[0].key == key_digest(requested_key(csr, party))
            if same and issued[0].expires > self._site.clock() and authority is not None:
                return CertificateGrant(issued[0].content, authority.certificate)
            return self.certify(party, csr)

    def check_applicant(self, party: PartyId, card: PartyCard, supernode: str) -> None:
        """Return if nobody has this name or a key of it. Raises: VerificationFailed, codes NAME_TAKEN, KEY_TAKEN."""
        if party in self.entries:
            raise VerificationFailed(f"{party} is enrolled", code="NAME_TAKEN")
        self._refuse_taken(card, party)
        if supernode:
            self._check_supernode(party, supernode)
        Pins([card]).paillier_key(party, self._site.key_bits)

    def _refuse_taken(self, card: PartyCard, party: PartyId) -> None:
        for entry in self.entries.values():
            for known in entry.lineage.cards if entry.party != party else ():
                shared = {known.verify_key, known.sealing_key, known.mask_key, known.paillier_key or b"-"}
                if shared & {card.verify_key, card.sealing_key, card.mask_key, card.paillier_key}:
                    raise VerificationFailed(f"a key of {party} is another party's", code="KEY_TAKEN")

    def _enrol(self, applicant: Applicant) -> RosterEntry:
        application = applicant.application
        self._leaf(application.card, "enrolled")
        for role, line in (("witness", application.keys.witness), ("supernode", application.keys.supernode)):
            if line:
                self._further_leaf(applicant.party, role, line, "enrolled")
        self.certify(applicant.party, application.csr)
        return RosterEntry(Lineage(application.card), applicant.domain, application.keys)

    def _publish(self, entries: dict[PartyId, RosterEntry]) -> None:
        signed = self._sign(self.roster.roster.sequence + 1, entries)
        pin_next(self._site.pins, signed)
        self._site.pins.settle(self._site.clock())
        self._site.keep(signed)
        self.roster = signed
        logger.info("roster signed", extra={"sequence": signed.roster.sequence, "parties": len(entries)})

    def _sign(self, sequence: int, entries: dict[PartyId, RosterEntry]) -> SignedRoster:
        ordered, successions = tuple(entries[party] for party in sorted(entries)), self._site.successions()
        log = follow(parse_vkey(self._site.log), successions).vkey()
        return sign_roster(Roster(sequence, self._site.clock(), log, ordered, successions), self._site.keys)

    def _further_leaf(
        self, party: PartyId, role: str, line: str, step: str, succession: KeySuccession | None = None
    ) -> None:
        told = {"message_hash": digest(succession).hex()} if succession is not None else {}
        key_hash = hashlib.sha256(line.encode()).hexdigest()
        self._site.record(party, {"role": role, "key_hash": key_hash, "step": step, **told})

    def _leaf(self, card: PartyCard, step: str) -> None:
        values: dict[str, str | int] = {"role": card.role.value, "key_hash": card.fingerprint(), "step": step}
        self._site.record(card.party, values)
