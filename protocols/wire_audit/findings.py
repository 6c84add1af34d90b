"""What the wire auditor reports: stable codes, each with the reason why it matters, and where it was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Code(StrEnum):
    """Stable across releases: programs may switch on them."""

    CARD_INVALID = "CARD_INVALID"
    KEY_SHORT = "KEY_SHORT"
    KEY_INVALID = "KEY_INVALID"
    KEY_UNPROVEN = "KEY_UNPROVEN"
    MESSAGE_MALFORMED = "MESSAGE_MALFORMED"
    PAYLOAD_OUTSIDE_PARCEL = "PAYLOAD_OUTSIDE_PARCEL"
    MISROUTED = "MISROUTED"
    SENDER_UNKNOWN = "SENDER_UNKNOWN"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    RUN_UNKNOWN = "RUN_UNKNOWN"
    LABELS_CHANGED = "LABELS_CHANGED"
    UNSEALED = "UNSEALED"
    SEALED_READABLE = "SEALED_READABLE"
    SEALING_REUSED = "SEALING_REUSED"
    LOW_ENTROPY = "LOW_ENTROPY"
    CIPHERTEXT_RANGE = "CIPHERTEXT_RANGE"
    CIPHERTEXT_REPEATED = "CIPHERTEXT_REPEATED"
    OBFUSCATOR_MISSING = "OBFUSCATOR_MISSING"
    OBFUSCATOR_REUSED = "OBFUSCATOR_REUSED"
    PLAINTEXT_VISIBLE = "PLAINTEXT_VISIBLE"
    EXPONENT_VISIBLE = "EXPONENT_VISIBLE"
    FLOAT_VISIBLE = "FLOAT_VISIBLE"
    PICKLE = "PICKLE"
    CANARY = "CANARY"
    USCC_VISIBLE = "USCC_VISIBLE"
    PRODUCT_WRONG = "PRODUCT_WRONG"
    RELEASE_OVER_PLAN = "RELEASE_OVER_PLAN"


REASONS: Final[Mapping[Code, str]] = {
    Code.CARD_INVALID: "a card that its key did not sign, or not the run's, lets others stand in for its party",
    Code.KEY_SHORT: "a modulus this short can be factored, and every ciphertext under it read",
    Code.KEY_INVALID: "a modulus that is even, a power, a prime or has a small factor keeps no secret",
    Code.KEY_UNPROVEN: "without its proof a modulus may be built to show how re-randomised answers were made",
    Code.MESSAGE_MALFORMED: "bytes that do not decode to a declared message may carry anything",
    Code.PAYLOAD_OUTSIDE_PARCEL: "the transport carries something beside the parcel, which nothing seals or signs",
    Code.MISROUTED: "a party received what is addressed to another, or sent it in another's name",
    Code.SENDER_UNKNOWN: "nobody's pinned card vouches for this sender",
    Code.SIGNATURE_INVALID: "anyone on the way may have written or changed this message",
    Code.RUN_UNKNOWN: "the message is bound to no announced run or query, so nothing limits what it releases",
    Code.LABELS_CHANGED: "another label vector than the run commits to: two that differ in one row expose that row",
    Code.UNSEALED: "a body that only its receiver may read travels in the open",
    Code.SEALED_READABLE: "a body that claims to be sealed can be read by anyone",
    Code.SEALING_REUSED: "two bodies sealed under one ephemeral key share key and nonce: their difference is readable",
    Code.LOW_ENTROPY: "where ciphertexts are due the bytes are not random: it is an encoding, not an encryption",
    Code.CIPHERTEXT_RANGE: "not a unit modulo n²: it may be 0, share a factor with n, or probe decryption",
    Code.CIPHERTEXT_REPEATED: "equal ciphertexts show equal plaintexts, or what was passed on unchanged",
    Code.OBFUSCATOR_MISSING: "no rⁿ, or one that can be guessed, hides the plaintext: (c·r⁻ⁿ − 1) / n is it",
    Code.OBFUSCATOR_REUSED: "two ciphertexts share their rⁿ: their quotient 1 + kn shows how the plaintexts differ",
    Code.PLAINTEXT_VISIBLE: "c is a(1 + un) with a telling u: without an n-th residue the plaintext stays in u",
    Code.EXPONENT_VISIBLE: "an exponent beside a ciphertext discloses the magnitude, and often the value",
    Code.FLOAT_VISIBLE: "a float in the open is a plaintext, or the scale of one; only integers may travel",
    Code.PICKLE: "a pickled object runs code at its receiver, and pickled ciphertexts skip obfuscation",
    Code.CANARY: "a value that must not leave its owner is readable here",
    Code.USCC_VISIBLE: "an enterprise is named where only ciphertexts and public facts may be",
    Code.PRODUCT_WRONG: "not the product of the whole node set's shares: what it opens, no mask protects",
    Code.RELEASE_OVER_PLAN: "more is released than the announced plan of the run or query allows",
}
"""Why each finding matters, in one line."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect in one message, seen by `received_by`; never a value of what was seen.

    Units: `record` numbers the transcript's messages from 0 (−1: a card); `index` is the first ciphertext, or byte, at
    fault (−1: the message as a whole); `count` is how many places of the message are at fault.
    """

    code: Code
    received_by: tuple[str, ...]
    sender: str
    message: str
    record: int
    index: int
    count: int
    detail: str

    @property
    def reason(self) -> str:
        """Why it matters."""
        return REASONS[self.code]

    def __str__(self) -> str:
        """Return one line for a person."""
        place = f"record {self.record}" if self.record >= 0 else "card"
        spot = f", place {self.index}" if self.index >= 0 else ""
        times = f", {self.count} times" if self.count > 1 else ""
        receivers = ", ".join(self.received_by) or "everyone"
        head = f"{self.code} in {self.message} from {self.sender}, seen by {receivers} ({place}{spot}{times})"
        return f"{head}: {self.detail + '; ' if self.detail else ''}{self.reason}"


@dataclass(slots=True)
class Seen:
    """One distinct envelope: where it was first seen, and every party that received it."""

    sender: str
    message: str
    record: int
    receivers: list[str]


@dataclass(slots=True)
class _Entry:
    seen: Seen
    code: Code
    detail: str
    index: int
    count: int = 1


class FindingLog:
    """Collects findings; many of one code in one message become one with a count."""

    def __init__(self) -> None:
        self._entries: dict[tuple[int, str, Code], _Entry] = {}

    def add(self, seen: Seen, code: Code, index: int = -1, detail: str = "", count: int = 1) -> None:
        """Note a defect of a message, `count` times, first at `index`."""
        key = (id(seen), seen.message, code)
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = _Entry(seen, code, detail, index, count)
        else:
            entry.count += count

    def findings(self) -> tuple[Finding, ...]:
        """Return all, in the order of the transcript, each with every party that received its message."""
        entries = sorted(self._entries.values(), key=lambda entry: (entry.seen.record, entry.index))
        return tuple(
            Finding(
                e.code,
                tuple(sorted(set(e.seen.receivers))),
                e.seen.sender,
                e.seen.message,
                e.seen.record,
                e.index,
                e.count,
                e.detail,
            )
            for e in entries
        )
