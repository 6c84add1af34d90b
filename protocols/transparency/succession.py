"""How a log or a witness replaces its key: the earlier key names the later one, and the later one says since when.

Both sign, so whoever has pinned either believes the other: a party that pinned the first key follows it forwards, an
auditor who was given today's follows it back to old checkpoints. The later key states the size of the tree up to which
the earlier one counts; while that is open, both do. A key that names two successors is believed in neither.

Whoever steals a key can name its successor too: a rotation is hygiene, no remedy.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated, ClassVar, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta
from msgspec.structs import replace

from protocols.channel.identity import Key32, Signature
from protocols.channel.wire import Message, encode
from protocols.errors import VerificationFailed
from protocols.transparency.hashing import MAX_TREE_SIZE
from protocols.transparency.notes import EarlierKey, SignatureType, VerifierKey

BROKEN: Final = "KEY_CHANGED"
MAX_SUCCESSIONS: Final = 4096
_NAMED: Final = b"credit-federation/key-succession/v1\0"
_TAKEN: Final = b"credit-federation/key-taken-over/v1\0"
_UNSIGNED: Final = bytes(64)


class KeySuccession(Message, frozen=True):
    """A key of a log (type 1) or of a witness (type 4), and the one that follows it. Reveals: public keys only.

    Units: `size` in leaves: what the earlier key signs counts for trees no larger.
    """

    OPEN: ClassVar[bool] = True

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    type: Annotated[int, Meta(ge=0, le=255)]
    earlier: Key32
    later: Key32
    size: Annotated[int, Meta(ge=0, le=MAX_TREE_SIZE)] = MAX_TREE_SIZE
    named: Signature = _UNSIGNED
    taken: Signature = _UNSIGNED

    @property
    def open(self) -> bool:
        """Whether both keys count still."""
        return self.size == MAX_TREE_SIZE


def name_successor(
    name: str, kind: SignatureType, earlier: Ed25519PrivateKey, later: Ed25519PrivateKey, size: int = MAX_TREE_SIZE
) -> KeySuccession:
    """Return the word of both keys that `later` follows `earlier`, which counts up to `size` leaves."""
    public, following = (key.public_key().public_bytes_raw() for key in (earlier, later))
    unsigned = KeySuccession(name, kind, public, following)
    return take_over(replace(unsigned, named=earlier.sign(_told(_NAMED, unsigned))), later, size)


def take_over(succession: KeySuccession, later: Ed25519PrivateKey, size: int) -> KeySuccession:
    """Return the same succession with another `size`, which is the later key's to say."""
    sized = replace(succession, size=size, taken=_UNSIGNED)
    return replace(sized, taken=later.sign(_told(_TAKEN, sized)))


def verify_succession(succession: KeySuccession) -> None:
    """Return if both keys have signed, and are of a type that is known. Raises: VerificationFailed, KEY_CHANGED."""
    try:
        kind = SignatureType(succession.type)
        earlier, later = (VerifierKey(succession.name, key, kind) for key in (succession.earlier, succession.later))
        unsigned = replace(succession, size=MAX_TREE_SIZE, named=_UNSIGNED, taken=_UNSIGNED)
        earlier.verify(_told(_NAMED, unsigned), succession.named)
        later.verify(_told(_TAKEN, replace(succession, taken=_UNSIGNED)), succession.taken)
    except (ValueError, VerificationFailed) as error:
        text = f"a key of {succession.name} is not its predecessor's word, or does not take over itself"
        raise VerificationFailed(text, code=BROKEN) from error


@lru_cache(maxsize=256)
def follow(pinned: VerifierKey, successions: tuple[KeySuccession, ...]) -> VerifierKey:
    """Return the newest key that a pinned one leads to, with all that it has replaced, before and after the pinned.

    Successions of other keys are passed over, and so is one whose signatures do not hold. Raises: VerificationFailed,
    code KEY_CHANGED, if one key names two successors, or two name the same one.
    """
    links = _links(pinned, successions)
    after, before = {link.earlier: link for link in links}, {link.later: link for link in links}
    if len(after) < len(links) or len(before) < len(links):
        raise VerificationFailed(f"the keys of {pinned.name} do not follow one another in one line", code=BROKEN)
    newest, seen = pinned.key, {pinned.key}
    while newest in after and after[newest].later not in seen:
        newest = after[newest].later
        seen.add(newest)
    earlier: list[EarlierKey] = []
    key, most = newest, MAX_TREE_SIZE
    while key in before and len(earlier) < len(links):
        key, most = before[key].earlier, min(most, before[key].size)
        earlier.append(EarlierKey(key, most))
    return VerifierKey(pinned.name, newest, pinned.type, tuple(earlier))


def _links(pinned: VerifierKey, successions: Iterable[KeySuccession]) -> list[KeySuccession]:
    """Return the successions of a name and type that hold; of two of the same keys the one that closes sooner."""
    found: dict[tuple[bytes, bytes], KeySuccession] = {}
    for succession in successions:
        if (succession.name, succession.type) != (pinned.name, pinned.type):
            continue
        try:
            verify_succession(succession)
        except VerificationFailed:
            continue
        pair = succession.earlier, succession.later
        if pair not in found or succession.size < found[pair].size:
            found[pair] = succession
    return list(found.values())


def _told(context: bytes, succession: KeySuccession) -> bytes:
    return context + encode(succession)
