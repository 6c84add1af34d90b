"""Leaves: what the log says happened, in one canonical encoding, and never what was found out about an enterprise.

A leaf holds who did what, when, for which purpose, under which policy and model. It NEVER holds a score, a probability,
a grade, a feature, a label or a plain USCC: the enterprise is a keyed tag (USCCs are enumerable, so a plain hash would
name it), attributes come from a fixed list of names with fixed forms, and everything that only an auditor or the
enterprise may read is in `body`, sealed to them. The leaf commits to the sealed bytes, so it can be shown without them,
and destroying the key erases the content while the log still verifies.

Reveals: to the coordinator and every reader of the log, the fields below except the content of `body`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from hmac import digest as hmac_digest
from typing import Final

import msgspec
from stdnum.cn import uscc as uscc_number

from protocols.errors import MalformedMessage
from protocols.transparency.hashing import HASH_SIZE

LEAF_VERSION: Final = 1
MAX_BODY_BYTES: Final = 1 << 20
MAX_LEAF_BYTES: Final = 1 << 13
_MAX_ATTRIBUTES: Final = 24
_MAX_REFERENCE_BYTES: Final = 64
_MAX_INT: Final = (1 << 53) - 1
_TAG_KEY_BYTES: Final = 32
_TAG_DOMAIN: Final = b"credit-federation/subject-tag/v1\x00"

_USCC_SHAPE: Final = re.compile(rb"(?<![0-9A-Za-z])[0-9A-HJ-NPQRTUWXYa-hj-npqrtuwxy]{18}(?![0-9A-Za-z])")


class LeafKind(StrEnum):
    """What happened."""

    REQUEST = "REQUEST"
    RELEASE = "RELEASE"
    DENY = "DENY"
    RESULT = "RESULT"
    ACK = "ACK"
    TRAIN_STEP = "TRAIN_STEP"
    CONSENT = "CONSENT"
    REVOKE = "REVOKE"
    KEY = "KEY"
    POLICY = "POLICY"
    MANIFEST = "MANIFEST"
    AUDIT_VIEW = "AUDIT_VIEW"
    SHRED = "SHRED"
    OBJECTION = "OBJECTION"
    DECISION = "DECISION"


CONSENT_KINDS: Final = frozenset({LeafKind.CONSENT, LeafKind.REVOKE})
"""The leaves about a consent itself: their reference is its handle."""


class AttributeForm(StrEnum):
    """The one form that the values of an attribute may take; `COUNT` is an integer, the others are text."""

    CODE = r"[A-Z][A-Z0-9_]{0,63}"
    NAME = r"[A-Za-z0-9_][A-Za-z0-9._:/@-]{0,127}"
    HASH = r"[0-9a-f]{64}"
    COUNT = r"\d+"


ATTRIBUTES: Final[Mapping[str, AttributeForm]] = {
    # decisions and errors
    "decision": AttributeForm.CODE,
    "code": AttributeForm.CODE,
    # parties and scope
    "bank": AttributeForm.NAME,
    "node": AttributeForm.NAME,
    "role": AttributeForm.NAME,
    "domain": AttributeForm.NAME,
    "nodes": AttributeForm.COUNT,
    # models, policies, protocol steps
    "model": AttributeForm.NAME,
    "model_version": AttributeForm.NAME,
    "model_hash": AttributeForm.HASH,
    "manifest_hash": AttributeForm.HASH,
    "policy_hash": AttributeForm.HASH,
    "policy_version": AttributeForm.NAME,
    "transcript_hash": AttributeForm.HASH,
    "message_hash": AttributeForm.HASH,
    "ciphertext_hash": AttributeForm.HASH,
    "consent_hash": AttributeForm.HASH,
    "scope_hash": AttributeForm.HASH,
    "issuer": AttributeForm.NAME,
    "key_hash": AttributeForm.HASH,
    "key_bits": AttributeForm.COUNT,
    "protocol": AttributeForm.NAME,
    "phase": AttributeForm.NAME,
    "step": AttributeForm.NAME,
    "round": AttributeForm.COUNT,
    "leak_class": AttributeForm.NAME,
    # sizes, times, counts over many enterprises
    "enterprises": AttributeForm.COUNT,
    "denied": AttributeForm.COUNT,
    "crowded": AttributeForm.COUNT,
    "features": AttributeForm.COUNT,
    "messages": AttributeForm.COUNT,
    "bytes": AttributeForm.COUNT,
    "duration_ms": AttributeForm.COUNT,
    "valid_from_ms": AttributeForm.COUNT,
    "valid_until_ms": AttributeForm.COUNT,
    # an enterprise's objection: the query it is about, what a node put right, and the query that asks again after it
    "entry": AttributeForm.NAME,
    "objection": AttributeForm.NAME,
    "corrections": AttributeForm.COUNT,
    # what was destroyed for good
    "before_year": AttributeForm.COUNT,
    # an auditor's own reading of the log
    "view": AttributeForm.NAME,
    "selection_hash": AttributeForm.HASH,
    "first_leaf": AttributeForm.COUNT,
    "last_leaf": AttributeForm.COUNT,
    "entries": AttributeForm.COUNT,
}
"""The only attributes a leaf may carry. Adding a name is a decision about what every reader of the log learns."""

_FORMS: Final = {form: re.compile(form.value) for form in AttributeForm}
_NAME: Final = _FORMS[AttributeForm.NAME]


class _Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The fields that a leaf and its committed form share, checked alike whoever builds them."""

    version: int = LEAF_VERSION
    kind: LeafKind
    timestamp_ms: int
    actor: str
    reference: bytes = b""
    purpose: str = ""
    subject: bytes = b""
    attributes: tuple[tuple[str, str | int], ...] = ()
    evidence: bytes = b""

    def __post_init__(self) -> None:
        if self.version != LEAF_VERSION or not 0 <= self.timestamp_ms <= _MAX_INT:
            raise ValueError(f"a leaf has version {LEAF_VERSION} and a time in milliseconds")
        if not _NAME.fullmatch(self.actor):
            raise ValueError("a leaf's actor is a party id")
        if len(self.reference) > _MAX_REFERENCE_BYTES:
            raise ValueError(f"a reference of {len(self.reference)} bytes is too long")
        if self.purpose and not _NAME.fullmatch(self.purpose):
            raise ValueError("a leaf's purpose is a name, not free text")
        if len(self.subject) not in (0, HASH_SIZE) or len(self.evidence) not in (0, HASH_SIZE):
            raise ValueError(f"a subject tag and an evidence hash have {HASH_SIZE} bytes, or none")
        _check_attributes(self.attributes)
        for text in (self.actor, self.purpose, *(v for _, v in self.attributes if isinstance(v, str))):
            _refuse_uscc(text.encode())
        _refuse_uscc(self.reference)


class Leaf(_Record, frozen=True, kw_only=True):
    """One event of the log.

    Shapes: `actor` the party id of whoever acted, `purpose` the purpose's id, both of the form NAME; `reference` the
    run or query id; `subject` a `subject_tag` or
    empty; `attributes` sorted by name, names and forms of `ATTRIBUTES`; `evidence` the SHA-256 of the signed message
    concerned, or empty; `body` sealed bytes or empty. Units: milliseconds since 1970 UTC.
    Reveals: everything but the content of `body`. NEVER put a score, a feature or a plain USCC in a leaf.
    Raises: ValueError for anything else, including text or bytes that spell a valid USCC.
    """

    body: bytes = b""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.body) > MAX_BODY_BYTES:
            raise ValueError(f"a body of {len(self.body)} bytes is too long")
        _refuse_uscc(self.body)

    def commitment(self) -> LeafCommitment:
        """Return what the log's tree commits to: every field, with the body's hash in its place."""
        return LeafCommitment(
            version=self.version,
            kind=self.kind,
            timestamp_ms=self.timestamp_ms,
            actor=self.actor,
            reference=self.reference,
            purpose=self.purpose,
            subject=self.subject,
            attributes=self.attributes,
            evidence=self.evidence,
            body_hash=sha256(self.body).digest(),
        )


class LeafCommitment(_Record, frozen=True, kw_only=True):
    """A leaf as the tree knows it: shows what happened without the sealed body."""

    body_hash: bytes

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.body_hash) != HASH_SIZE:
            raise ValueError(f"a body hash has {HASH_SIZE} bytes")


def attributes(values: Mapping[str, str | int]) -> tuple[tuple[str, str | int], ...]:
    """Return `values` in the canonical order of a leaf. Raises: ValueError for a name or form not in `ATTRIBUTES`."""
    ordered = tuple(sorted(values.items()))
    _check_attributes(ordered)
    return ordered


def _check_attributes(pairs: tuple[tuple[str, str | int], ...]) -> None:
    if len(pairs) > _MAX_ATTRIBUTES:
        raise ValueError(f"{len(pairs)} attributes are more than {_MAX_ATTRIBUTES}")
    names = [name for name, _ in pairs]
    if names != sorted(set(names)):
        raise ValueError("attributes are sorted by name, each once")
    for name, value in pairs:
        form = ATTRIBUTES.get(name)
        if form is None:
            raise ValueError("an attribute is not one that a leaf may carry")
        if form is AttributeForm.COUNT:
            if type(value) is not int or not 0 <= value <= _MAX_INT:
                raise ValueError(f"attribute {name} is a count")
        elif not isinstance(value, str) or not _FORMS[form].fullmatch(value):
            raise ValueError(f"attribute {name} is not of the form {form.name}")


def _refuse_uscc(data: bytes) -> None:
    """Refuse whatever passes the outer check of a USCC, more than a strict reading of the code would."""
    for found in _USCC_SHAPE.finditer(data):
        code = found.group().decode("ascii").upper()
        if uscc_number.calc_check_digit(code[:17]) == code[17]:
            raise ValueError("a leaf must not hold a USCC; use a subject tag, and seal the body")


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(LeafCommitment)
_COMMITTED: Final = LeafCommitment.__struct_fields__[:-1]
"""All fields of a leaf but its body, in the order in which they are committed to."""


def encode_leaf(leaf: Leaf) -> bytes:
    """Return the canonical bytes of the leaf that the tree hashes; the body enters by its hash.

    What it returns always decodes again: a leaf that no verifier accepts must never reach the tree. Raises: ValueError
    if a field is of the wrong type or the whole is too long.
    """
    data = _ENCODER.encode((*(getattr(leaf, name) for name in _COMMITTED), sha256(leaf.body).digest()))
    try:
        decode_commitment(data)
    except MalformedMessage as error:
        raise ValueError(f"a field of the leaf has the wrong type or size: {error}") from None
    return data


def decode_commitment(data: bytes) -> LeafCommitment:
    """Return the commitment whose only encoding is `data`. Raises: MalformedMessage."""
    if len(data) > MAX_LEAF_BYTES:
        raise MalformedMessage(f"a leaf of {len(data)} bytes is too long")
    try:
        commitment = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedMessage("these bytes are not a leaf") from None
    if _ENCODER.encode(commitment) != data:
        raise MalformedMessage("the leaf is not in its canonical encoding")
    return commitment


def decode_leaf(data: bytes, body: bytes) -> Leaf:
    """Return the leaf whose canonical bytes are `data` and whose sealed body is `body`, b"" if that was erased.

    Raises: MalformedMessage.
    """
    commitment = decode_commitment(data)
    if body and sha256(body).digest() != commitment.body_hash:
        raise MalformedMessage("the body is not the one that the leaf commits to")
    try:
        return Leaf(
            version=commitment.version,
            kind=commitment.kind,
            timestamp_ms=commitment.timestamp_ms,
            actor=commitment.actor,
            reference=commitment.reference,
            purpose=commitment.purpose,
            subject=commitment.subject,
            attributes=commitment.attributes,
            evidence=commitment.evidence,
            body=body,
        )
    except ValueError:
        raise MalformedMessage("the leaf's body is too long or not sealed") from None


def subject_tag(key: bytes, uscc: str) -> bytes:
    """Return the tag by which holders of `key`, and nobody else, find an enterprise's leaves.

    Shapes: `key` of 32 bytes or more; `uscc` in its canonical upper-case form. Reveals: nothing without the key; equal
    enterprises have equal tags under one key. Raises: ValueError.
    """
    if len(key) < _TAG_KEY_BYTES:
        raise ValueError(f"a tag key has at least {_TAG_KEY_BYTES} bytes, not {len(key)}")
    if not uscc or uscc != uscc.strip():
        raise ValueError("an enterprise id is empty or padded")
    return hmac_digest(key, _TAG_DOMAIN + uscc.encode(), "sha256")
