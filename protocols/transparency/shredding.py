"""Shredding: a key for every enterprise's tag out of one small secret, and the way to destroy one of them for good.

The secret is the root of a tree of hashes in which every tag is a leaf (a puncturable pseudorandom function). A tag's
key is found by walking down from the root. To destroy it, the root is replaced by the roots of all subtrees that do not
hold the tag: every other key is still there, and no way leads to this one, whoever holds what is left. So nothing is
stored per enterprise, and what must be overwritten to forget one is a file of a few kilobytes.

Source: Goldreich, Goldwasser, Micali 1986; punctured as in Boneh and Waters, ASIACRYPT 2013.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Meta

from protocols.channel.identity import Key32, Randomness, Signature
from protocols.channel.wire import Message, decode, encode
from protocols.errors import MalformedMessage
from protocols.transparency.statements import MAX_ENTRIES, SealedStatements, StatementHead

Handle = Annotated[bytes, Meta(max_length=32)]
_STEP: Final = b"credit-federation/shredding-step/v1\0"
_PATH: Final = b"credit-federation/shredding-path/v1\0"
_LEAF: Final = b"credit-federation/shredding-leaf/v1\0"
_BRANCHES: Final = "0123456789abcdef"
_DEPTH: Final = 24  # 96 bits of a tag's hash: no two tags of any log share a key, by chance or by search
_KEY: Final = 32
_AT_HAND: Final = 256
_ONCE: Final = bytes(12)


def _path(tag: bytes) -> str:
    return sha256(_PATH + tag).hexdigest()[:_DEPTH]


def _step(key: bytes, branch: str) -> bytes:
    return sha256(_STEP + key + branch.encode()).digest()


@dataclass(frozen=True, slots=True)
class ShreddingKeys:
    """The keys of all tags but those destroyed: the subtrees that are left, by their paths from the root.

    Reveals: to who holds it, every key that is left; of a destroyed one, only that a tag with this path had one.
    """

    subtrees: Mapping[str, bytes] = field(repr=False)
    _found: dict[bytes, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def draw(cls, randomness: Randomness) -> ShreddingKeys:
        """Return the keys of all tags."""
        return cls({"": randomness(_KEY)})

    def of(self, tag: bytes) -> bytes | None:
        """Return a tag's key, 32 bytes, or None if it was destroyed.

        The latest are kept at hand, for as long as this value is: the bodies of one question are about one tag.
        """
        key = self._found.get(tag)
        if key is None and (key := self._derive(tag)) is not None:
            if len(self._found) >= _AT_HAND:
                self._found.clear()
            self._found[tag] = key
        return key

    def _derive(self, tag: bytes) -> bytes | None:
        path = _path(tag)
        for depth in range(_DEPTH + 1):
            key = self.subtrees.get(path[:depth])
            if key is not None:
                for branch in path[depth:]:
                    key = _step(key, branch)
                return sha256(_LEAF + key + tag).digest()
        return None

    def without(self, tag: bytes) -> ShreddingKeys:
        """Return the same keys but this tag's; the old value must then be destroyed."""
        path = _path(tag)
        depth = next((depth for depth in range(_DEPTH + 1) if path[:depth] in self.subtrees), None)
        if depth is None:
            return self
        left = dict(self.subtrees)
        key = left.pop(path[:depth])
        for level in range(depth, _DEPTH):
            for branch in _BRANCHES:
                if branch != path[level]:
                    left[path[:level] + branch] = _step(key, branch)
            key = _step(key, path[level])
        return ShreddingKeys(left)


class CoveredBody(Message, frozen=True):
    """A leaf's body as it is stored: the statements under the keys of their enterprises' tags, of one year.

    `consents` are the handles under which a batch asks, in the order of its tags, b"" for none; other bodies have none.
    Reveals: what the statements' head does, and the tags, which are keyed, and the handles, as their CONSENT leaves do.
    """

    year: Annotated[int, Meta(ge=1970, lt=10_000)]
    nonce: Annotated[bytes, Meta(min_length=16, max_length=16)]
    tags: Annotated[tuple[Key32, ...], Meta(min_length=1, max_length=MAX_ENTRIES)]
    head: StatementHead
    signature: Signature
    entries: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=MAX_ENTRIES)]
    consents: Annotated[tuple[Handle, ...], Meta(max_length=MAX_ENTRIES)] = ()


def cover(
    sealed: SealedStatements,
    tags: Sequence[bytes],
    year: int,
    keys: ShreddingKeys,
    randomness: Randomness,
    consents: Sequence[bytes] = (),
) -> bytes:
    """Return the body to log. Raises: MalformedMessage unless there is one statement for each tag."""
    if len(tags) != len(sealed.entries):
        raise MalformedMessage(f"{len(sealed.entries)} statements about {len(tags)} enterprises")
    nonce = randomness(16)
    entries = []
    for position, (tag, entry) in enumerate(zip(tags, sealed.entries, strict=True)):
        cipher = _cipher(keys, tag, nonce, position)
        entries.append(b"" if cipher is None else cipher.encrypt(_ONCE, entry, None))
    stored = CoveredBody(year, nonce, tuple(tags), sealed.head, sealed.signature, tuple(entries), tuple(consents))
    return encode(stored)


def uncover(covered: CoveredBody, keys: ShreddingKeys | None) -> SealedStatements:
    """Return the statements of a stored body, those whose keys were destroyed left empty.

    `keys` are those of the body's year, None if all of that year were destroyed. Raises: MalformedMessage.
    """
    if len(covered.tags) != len(covered.entries):
        raise MalformedMessage(f"{len(covered.entries)} statements about {len(covered.tags)} enterprises")
    entries = []
    for position, (tag, entry) in enumerate(zip(covered.tags, covered.entries, strict=True)):
        cipher = None if keys is None else _cipher(keys, tag, covered.nonce, position)
        try:
            entries.append(b"" if cipher is None else cipher.decrypt(_ONCE, entry, None))
        except (InvalidTag, ValueError):
            raise MalformedMessage("a stored statement does not open under its tag's key") from None
    return SealedStatements(covered.head, covered.signature, tuple(entries))


def decode_body(body: bytes) -> CoveredBody:
    """Return what a leaf's body holds. Raises: MalformedMessage."""
    return decode(body, CoveredBody)


def _cipher(keys: ShreddingKeys, tag: bytes, nonce: bytes, position: int) -> AESGCM | None:
    """Return the cipher of one entry of one body: its key serves once."""
    key = keys.of(tag)
    return None if key is None else AESGCM(sha256(_LEAF + key + nonce + position.to_bytes(2)).digest())
