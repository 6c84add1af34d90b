"""Reads what passed between the parties of a run as an attacker at each party's place, and says what can be seen.

It holds what every party holds: the public cards, and the bytes that arrived. Nothing that is sealed opens for it. A
run passes if it finds nothing; what it cannot see is listed in docs/wire-audit.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from protocols.channel.envelope import EVERYONE, Channel, Envelope, open_parcel
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole
from protocols.channel.wire import Message, decode, digest, encode
from protocols.consortium.messages import ConsortiumSpec
from protocols.errors import CreditFederationError, PeerRefused
from protocols.scorecard.messages import RunSpec
from protocols.wire_audit.canaries import Canaries
from protocols.wire_audit.cards import Roster, judge_cards
from protocols.wire_audit.ciphertexts import KeyTrail
from protocols.wire_audit.findings import Code, Finding, FindingLog, Seen
from protocols.wire_audit.kinds import COMBINED_KINDS, OPEN_KINDS, KeyOf, OpenKind
from protocols.wire_audit.releases import Account, ReleaseBook
from protocols.wire_audit.shapes import Hit, decoded, is_uniform, readable_values, scan, scan_values

MINIMUM_KEY_BITS: Final = 2048
_NOBODY: Final = PartyKeys.from_bytes(PartyId("_nobody"), bytes(96))
"""A channel is made with keys; verification uses none. These are all zero, and plainly nobody's."""

_EPHEMERAL: Final = 32


@dataclass(frozen=True, slots=True)
class Observation:
    """One transport message as it passed at `party`: towards it if `inbound`, else from it to the coordinator.

    `outer` is all of it; `parcel` what it carries for us, or None if it does not carry exactly that.
    """

    party: PartyId
    inbound: bool
    outer: bytes = field(repr=False)
    parcel: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the auditor holds a run against. A lower `minimum_key_bits` is for tests alone."""

    minimum_key_bits: int = MINIMUM_KEY_BITS
    canaries: Canaries = field(default_factory=Canaries.of)


@dataclass(frozen=True, slots=True)
class Report:
    """The judgement. Units: `size` in bytes; `envelopes` and `ciphertexts` count once, however often delivered."""

    findings: tuple[Finding, ...]
    observations: int
    envelopes: int
    ciphertexts: int
    size: int
    accounts: tuple[Account, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


class WireAuditor:
    """Takes observations in the order in which they passed; `report` ends the audit.

    Memory: one observation, and some hundred bytes for each ciphertext. Raises: nothing for any bytes observed.
    """

    def __init__(self, cards: Iterable[PartyCard], terms: Terms | None = None) -> None:
        self._terms, self._log = terms or Terms(), FindingLog()
        self._roster: Roster = judge_cards(cards, self._terms.minimum_key_bits, self._log)
        coordinators = (p for p, card in self._roster.cards.items() if card.role is PartyRole.COORDINATOR)
        self._coordinator = next(coordinators, PartyId("the coordinator"))
        self._trails = {party: KeyTrail(key) for party, key in self._roster.keys.items()}
        self._book = ReleaseBook(self._log, self._roster.keys)
        self._seen: dict[bytes, Seen] = {}
        self._ephemerals: set[bytes] = set()
        self._records, self._size = 0, 0

    def take(self, observation: Observation) -> None:
        """Judge one observation."""
        record, self._records = self._records, self._records + 1
        self._size += len(observation.outer)
        receiver = observation.party if observation.inbound else self._coordinator
        sender = self._coordinator if observation.inbound else observation.party
        around = Seen(sender, "the transport", record, [receiver])
        parcel = observation.parcel
        if parcel is None:
            self._log.add(around, Code.PAYLOAD_OUTSIDE_PARCEL)
            self._scan(observation.outer, [observation.outer], around)
            return
        outside = _without(observation.outer, parcel)
        self._scan(outside, [outside], around)
        try:
            envelopes = open_parcel(parcel)
        except PeerRefused:
            return
        except CreditFederationError:
            self._log.add(around, Code.MESSAGE_MALFORMED, detail="no parcel")
            self._scan(parcel, [parcel], around)
            return
        for envelope in envelopes:
            self._take_envelope(envelope, observation, record, receiver)

    def report(self) -> Report:
        """Return what was found."""
        accounts = self._book.close()
        ciphertexts = sum(trail.count for trail in self._trails.values())
        return Report(self._log.findings(), self._records, len(self._seen), ciphertexts, self._size, accounts)

    # ---- envelopes

    def _take_envelope(self, envelope: Envelope, observation: Observation, record: int, receiver: PartyId) -> None:
        """Judge an envelope when it is first seen; afterwards only note who else received it."""
        name = digest(envelope)
        seen = self._seen.get(name)
        first = seen is None
        if seen is None:
            seen = self._seen[name] = Seen(envelope.sender, envelope.message, record, [])
        seen.receivers.append(receiver)
        strays = (
            envelope.receiver not in (observation.party, EVERYONE)
            if observation.inbound
            else (envelope.sender != observation.party)
        )
        if strays:
            self._log.add(seen, Code.MISROUTED, detail=f"at {observation.party}")
        if first:
            self._judge(envelope, seen)

    def _judge(self, envelope: Envelope, seen: Seen) -> None:
        self._check_origin(envelope, seen)
        rule = OPEN_KINDS.get(envelope.message)
        message = None
        if envelope.sealed:
            self._check_sealing(envelope.body, seen)
        elif rule is None:
            self._log.add(seen, Code.UNSEALED)
            self._note(scan_values(decoded(envelope.body), self._terms.canaries.known), seen)
        else:
            message = self._read_open(envelope, rule, seen)
        self._scan(encode(envelope), [] if envelope.sealed else _readable_part(envelope.body, message, rule), seen)
        if isinstance(message, RunSpec):
            self._check_spec(message, seen)
        self._book.enter(envelope.transcript, envelope.message, seen, message, envelope.receiver)
        if message is not None and rule is not None and rule.ciphertexts:
            self._check_ciphertexts(envelope, message, rule, seen)

    def _check_origin(self, envelope: Envelope, seen: Seen) -> None:
        if PartyId(envelope.sender) not in self._roster.cards:
            self._log.add(seen, Code.SENDER_UNKNOWN)
            return
        try:
            Channel(_NOBODY, self._roster.cards, envelope.transcript).verify(envelope)
        except CreditFederationError:
            self._log.add(seen, Code.SIGNATURE_INVALID)

    def _check_spec(self, spec: RunSpec, seen: Seen) -> None:
        """Hold what a run announces against the cards."""
        if spec.key_bits < self._terms.minimum_key_bits:
            self._log.add(seen, Code.KEY_SHORT, detail=f"{spec.key_bits} bits are announced")
        banks = [(b.party, b.card) for b in spec.members] if isinstance(spec, ConsortiumSpec) else []
        parties = [(spec.bank, spec.bank_card), *banks, *((node.party, node.card) for node in spec.nodes)]
        for party, pinned in parties:
            card = self._roster.cards.get(PartyId(party))
            if card is None or card.fingerprint() != pinned:
                self._log.add(seen, Code.CARD_INVALID, detail=f"the run names another card of {party}")

    def _check_sealing(self, body: bytes, seen: Seen) -> None:
        plain = decoded(body)
        if isinstance(plain, dict) and "kind" in plain:
            self._log.add(seen, Code.SEALED_READABLE)
        elif not is_uniform(body):
            self._log.add(seen, Code.LOW_ENTROPY)
        if body[:_EPHEMERAL] in self._ephemerals:
            self._log.add(seen, Code.SEALING_REUSED)
        self._ephemerals.add(body[:_EPHEMERAL])

    def _read_open(self, envelope: Envelope, rule: OpenKind, seen: Seen) -> Message | None:
        self._note(scan_values(decoded(envelope.body), self._terms.canaries.known), seen)
        try:
            return decode(envelope.body, rule.kind)
        except CreditFederationError:
            self._log.add(seen, Code.MESSAGE_MALFORMED)
            return None

    def _check_ciphertexts(self, envelope: Envelope, message: Message, rule: OpenKind, seen: Seen) -> None:
        owner = PartyId(envelope.sender if rule.key_of is KeyOf.SENDER else envelope.receiver)
        trail = self._trails.get(owner)
        if trail is None:
            self._log.add(seen, Code.KEY_INVALID, detail=f"no usable key of {owner}")
            return
        hits = trail.judge(_ciphertexts(message, rule), seen.record)
        if envelope.message in COMBINED_KINDS:
            hits = (hit for hit in hits if hit[0] is not Code.CIPHERTEXT_REPEATED)
        self._note(hits, seen)

    # ---- bytes

    def _scan(self, everything: bytes, readable: list[bytes], seen: Seen) -> None:
        self._note(scan(everything), seen)
        self._note(((Code.CANARY, place, "") for place in self._terms.canaries.seen_in(everything, readable)), seen)

    def _note(self, hits: Iterable[Hit], seen: Seen) -> None:
        for code, index, detail in hits:
            self._log.add(seen, code, index, detail)


def audit(cards: Iterable[PartyCard], observations: Iterable[Observation], terms: Terms | None = None) -> Report:
    """Return the judgement of a whole transcript."""
    auditor = WireAuditor(cards, terms)
    for observation in observations:
        auditor.take(observation)
    return auditor.report()


def _without(outer: bytes, parcel: bytes) -> bytes:
    """Return what surrounds the parcel, or all if it does not stand there in one piece."""
    place = outer.find(parcel) if parcel else -1
    return outer if place < 0 else outer[:place] + b"\0" + outer[place + len(parcel) :]


def _ciphertexts(message: Message, rule: OpenKind) -> bytes:
    vector = getattr(message, rule.ciphertexts)
    return vector if isinstance(vector, bytes) else b""


def _readable_part(body: bytes, message: Message | None, rule: OpenKind | None) -> list[bytes]:
    """Return what anyone can read of an open body: its values but the ciphertexts; all of it, if it does not decode."""
    if message is not None and rule is not None and rule.ciphertexts:
        body = encode(msgspec.structs.replace(message, **{rule.ciphertexts: b""}))
    values = decoded(body)
    return [body] if values is None else readable_values(values)
