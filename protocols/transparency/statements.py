"""Sealed statements: what a leaf's body says about an enterprise, for the auditors and the enterprise alone.

Who knows the enterprise (the bank that asks, each node that answers) states in its own name whom a leaf is about and
what was decided, and seals that. The coordinator logs it and can read none of it.

    head      transcript, party, kind of leaf, an ephemeral key, the body's key wrapped for each auditor, entry hashes
    signature the party's, over the head, so that a statement convinces whoever holds the party's card
    entries   for each enterprise: a commitment to its key, that key wrapped for the enterprise, the statement

Each body has one ephemeral X25519 key. The body's key is wrapped for every auditor, and the keys of the entries derive
from it; an entry's own key is also wrapped for its enterprise, so that an enterprise opens its own entry and no other.
Wraps carry no name: nobody can tell for whom they are, or that two entries are about one enterprise. Without a key of
the enterprise, random bytes stand in the wrap's place.

Who withdraws a consent tells the coordinator no enterprise. So the head of a CONSENT names a *reply key*, whose secret
follows from its entry's key: what the coordinator states later of that consent, REVOKE, is sealed to it, and whoever
can open the CONSENT can open that.

Reveals: to who holds no key, the party, the kind of leaf, how many auditors and enterprises there are.
Source: X25519 and HKDF as in RFC 9180 (DHKEM), AES-256-GCM, one key for one message; the commitment is needed because
AES-GCM alone does not commit to its key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Annotated, ClassVar, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta

from protocols.channel.identity import (
    Key32,
    PartyCard,
    PartyId,
    PartyKeys,
    PartyName,
    PartyRole,
    Randomness,
    Signature,
    verify_any,
)
from protocols.channel.wire import Message, decode, encode
from protocols.errors import MalformedMessage, VerificationFailed
from protocols.transparency.leaves import LeafKind

PADDED_BYTES: Final = 256
"""Statements are padded to a multiple of this: their length says nothing about a name or a code."""

MAX_ENTRIES: Final = 1024
_CONTEXT: Final = b"credit-federation/statements/v1\0"
_ONCE: Final = bytes(12)  # the nonce of a key that encrypts one message
_KEY, _COMMIT, _WRAP, _TAG = 32, 16, 48, 16

Word = Annotated[str, Meta(max_length=128)]
BankName = Annotated[str, Meta(max_length=64, pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]*)?\Z")]
Wrap = Annotated[bytes, Meta(min_length=_WRAP, max_length=_WRAP)]


class Statement(Message, frozen=True):
    """What happened to one enterprise, by one party's word. NEVER a score, a probability, a grade or a feature.

    `position` is the enterprise's place in a batch, 0 for a single question; `decision` and `code` are those of the
    leaf, for this enterprise; `rule` names what the party went by: the policy's rule by which a node released, or the
    issuer's list that withdrew a consent. A REVOKE names no enterprise, which its CONSENT does, and "" as the bank of a
    consent that none has shown. Units: `at` seconds since 1970.
    """

    enterprise: Word
    leaf: LeafKind
    party: PartyName
    bank: BankName
    reference: Annotated[bytes, Meta(max_length=64)]
    purpose: Word
    decision: Word
    at: Annotated[int, Meta(ge=0, lt=1 << 40)]
    code: Word = ""
    rule: Word = ""
    position: Annotated[int, Meta(ge=0, lt=MAX_ENTRIES)] = 0

    def __post_init__(self) -> None:
        withdrawn = self.leaf is LeafKind.REVOKE
        if withdrawn == bool(self.enterprise) or not (withdrawn or self.bank):
            raise ValueError("a statement is about an enterprise and of a bank, but for that of a withdrawn consent")


class StatementHead(Message, frozen=True):
    """What the party signs of its statements. Reveals: nothing of what they say.

    `transcript` is that of the question; of statements about a consent itself, its handle.
    `crowded` is of how many of the enterprises a node has seen many banks ask. Reveals: that number, not who or whom.
    `reply` is the reply key of a CONSENT, b"" in all others. Reveals: nothing; each consent has its own.
    """

    OPEN: ClassVar[bool] = True

    transcript: Key32
    party: PartyName
    leaf: LeafKind
    ephemeral: Key32
    auditors: Annotated[tuple[Wrap, ...], Meta(max_length=64)]
    entries: Annotated[tuple[Key32, ...], Meta(min_length=1, max_length=MAX_ENTRIES)]
    crowded: Annotated[int, Meta(ge=0, le=MAX_ENTRIES)] = 0
    reply: Annotated[bytes, Meta(max_length=_KEY)] = b""

    def signed_bytes(self) -> bytes:
        """Return what the signature is over."""
        return _CONTEXT + encode(self)


class SealedStatements(Message, frozen=True):
    """A body on its way to the log. An entry is empty once its key was destroyed. Reveals: as the head."""

    OPEN: ClassVar[bool] = True

    head: StatementHead
    signature: Signature
    entries: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=MAX_ENTRIES)]


@dataclass(frozen=True, slots=True)
class Addressees:
    """To whom statements are sealed: the auditors' keys, and each enterprise's own, b"" for one that has none."""

    auditors: tuple[bytes, ...]
    subjects: tuple[bytes, ...] = field(repr=False)


def seal_statements(
    statements: Sequence[Statement],
    to: Addressees,
    keys: PartyKeys,
    transcript: bytes,
    randomness: Randomness,
    crowded: int = 0,
) -> SealedStatements:
    """Return the statements of one leaf, sealed and signed; `crowded` as in the head.

    Raises: ValueError for none, or of several leaves.
    """
    kinds = {statement.leaf for statement in statements}
    if len(kinds) != 1 or len(statements) != len(to.subjects):
        raise ValueError(f"{len(statements)} statements of {len(kinds)} kinds for {len(to.subjects)} enterprises")
    (kind,) = kinds
    ephemeral = X25519PrivateKey.from_private_bytes(randomness(_KEY))
    public = ephemeral.public_key().public_bytes_raw()
    bound = _bound(transcript, keys.party, kind)
    body_key = randomness(_KEY)
    auditors = tuple(_wrap(ephemeral, public, key, bound, body_key, randomness) for key in to.auditors)
    entries = []
    for position, (statement, subject) in enumerate(zip(statements, to.subjects, strict=True)):
        entry_key = _entry_key(body_key, position)
        wrapped = _wrap(ephemeral, public, subject, bound + position.to_bytes(2), entry_key, randomness)
        sealed = AESGCM(entry_key).encrypt(_ONCE, _pad(encode(statement), randomness), None)
        entries.append(_commitment(entry_key) + wrapped + sealed)
    hashes = tuple(sha256(entry).digest() for entry in entries)
    reply = _reply_secret(_entry_key(body_key, 0)) if kind is LeafKind.CONSENT else None
    named = b"" if reply is None else reply.public_key().public_bytes_raw()
    head = StatementHead(transcript, keys.party, kind, public, auditors, hashes, crowded, named)
    return SealedStatements(head, keys.signing.sign(head.signed_bytes()), tuple(entries))


def verify_statements(sealed: SealedStatements, card: PartyCard, *others: PartyCard) -> None:
    """Return if a party's own signature covers exactly these entries; those whose key was destroyed are left out.

    `others` are further cards of the party: those that it has replaced.

    Raises: VerificationFailed.
    """
    head = sealed.head
    if head.party != card.party or len(sealed.entries) != len(head.entries):
        raise VerificationFailed("the statements are another party's, or incomplete", code="BODY_INVALID")
    for entry, digest in zip(sealed.entries, head.entries, strict=True):
        if entry and not compare_digest(sha256(entry).digest(), digest):
            raise VerificationFailed("a sealed statement is not the one that was signed", code="BODY_INVALID")
    verify_any((*others, card), head.signed_bytes(), sealed.signature)


def open_for_auditor(sealed: SealedStatements, key: X25519PrivateKey) -> dict[int, Statement]:
    """Return by position all statements that still can be opened, to an auditor for whom they were sealed.

    Raises: VerificationFailed, code BODY_CLOSED, for another's key; MalformedMessage.
    """
    head = sealed.head
    body_key = _unwrap(key, head, head.auditors, b"")
    if body_key is None:
        raise VerificationFailed("the statements are not sealed to this key", code="BODY_CLOSED")
    opened = ((position, entry) for position, entry in enumerate(sealed.entries) if entry)
    return {position: _open(head, position, entry, _entry_key(body_key, position)) for position, entry in opened}


def open_for_subject(sealed: SealedStatements, key: X25519PrivateKey) -> dict[int, Statement]:
    """Return by position the statements that are about the enterprise that holds `key`, none if there are none.

    Raises: MalformedMessage for an entry that opens and is no statement.
    """
    found = {}
    for position, entry in enumerate(sealed.entries):
        entry_key = _subjects_key(sealed, position, key)
        if entry_key is not None:
            found[position] = _open(sealed.head, position, entry, entry_key)
    return found


def reply_secret(sealed: SealedStatements, key: X25519PrivateKey) -> X25519PrivateKey | None:
    """Return what opens a later statement of a CONSENT's consent, to the enterprise that holds `key`; else None."""
    entry_key = _subjects_key(sealed, 0, key) if sealed.head.leaf is LeafKind.CONSENT else None
    return None if entry_key is None else _reply_secret(entry_key)


def auditor_keys(cards: Mapping[PartyId, PartyCard]) -> tuple[bytes, ...]:
    """Return the keys of the auditors among pinned cards, in the order of their names."""
    return tuple(card.sealing_key for _, card in sorted(cards.items()) if card.role is PartyRole.AUDITOR)


def _open(head: StatementHead, position: int, entry: bytes, key: bytes) -> Statement:
    """Return one entry's statement. Raises: VerificationFailed, MalformedMessage."""
    commitment, sealed = entry[:_COMMIT], entry[_COMMIT + _WRAP :]
    try:
        if not compare_digest(commitment, _commitment(key)):
            raise InvalidTag
        padded = AESGCM(key).decrypt(_ONCE, sealed, None)
    except (InvalidTag, ValueError):
        raise VerificationFailed("a sealed statement does not open under its key", code="BODY_INVALID") from None
    size = int.from_bytes(padded[:2])
    statement = decode(padded[2 : 2 + size], Statement)
    if (statement.party, statement.leaf, statement.position) != (head.party, head.leaf, position):
        raise MalformedMessage("a statement is not of the leaf that it stands in")
    if head.leaf is LeafKind.CONSENT and head.reply != _reply_secret(key).public_key().public_bytes_raw():
        raise VerificationFailed("a consent's reply key is another's", code="BODY_INVALID")
    return statement


def _subjects_key(sealed: SealedStatements, position: int, key: X25519PrivateKey) -> bytes | None:
    """Return the key of one entry, to the enterprise that it is about; None to others, and if it was shredded."""
    entry = sealed.entries[position]
    wrap = entry[_COMMIT : _COMMIT + _WRAP]
    return _unwrap(key, sealed.head, (wrap,), position.to_bytes(2)) if entry else None


def _bound(transcript: bytes, party: str, kind: LeafKind) -> bytes:
    """Return what ties a wrap to its place, so that it opens nowhere else."""
    return _CONTEXT + transcript + party.encode() + b"\0" + kind.encode() + b"\0"


def _entry_key(body_key: bytes, position: int) -> bytes:
    return hmac_digest(body_key, _CONTEXT + b"entry\0" + position.to_bytes(2), "sha256")


def _reply_secret(entry_key: bytes) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(hmac_digest(entry_key, _CONTEXT + b"reply\0", "sha256"))


def _commitment(key: bytes) -> bytes:
    return hmac_digest(key, _CONTEXT + b"commitment\0", "sha256")[:_COMMIT]


def _pad(data: bytes, randomness: Randomness) -> bytes:
    """Return data under its length, filled up at random: who guesses it cannot check the guess against a hash."""
    filled = 2 + len(data) + _TAG
    return len(data).to_bytes(2) + data + randomness(_TAG + -filled % PADDED_BYTES)


def _wrap(
    ephemeral: X25519PrivateKey, public: bytes, receiver: bytes, info: bytes, secret: bytes, randomness: Randomness
) -> bytes:
    """Return `secret` for the holder of `receiver` alone; random bytes if that is no key with which to agree."""
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(receiver))
    except ValueError:
        return randomness(_WRAP)
    return AESGCM(_wrapping_key(shared, public + receiver, info)).encrypt(_ONCE, secret, None)


def _unwrap(key: X25519PrivateKey, head: StatementHead, wraps: Sequence[bytes], place: bytes) -> bytes | None:
    """Return what one of the wraps holds for `key`, None if none is for it."""
    info = _bound(head.transcript, head.party, head.leaf) + place
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(head.ephemeral))
    except ValueError:
        return None
    salt = head.ephemeral + key.public_key().public_bytes_raw()
    cipher = AESGCM(_wrapping_key(shared, salt, info))
    for wrap in wraps:
        try:
            return cipher.decrypt(_ONCE, wrap, None)
        except (InvalidTag, ValueError):
            continue
    return None


def _wrapping_key(shared: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), _KEY, salt, info).derive(shared)
