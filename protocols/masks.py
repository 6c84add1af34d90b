"""Zero-sum masks: each node hides its share so that only the sum over the whole node set opens.

Every pair of nodes agrees on a secret by X25519; from it and the transcript both derive the same stream of numbers,
which the one adds and the other subtracts. All masks of a node set sum to zero modulo n; any proper subset leaves at
least one uniform mask standing.
Source: Bonawitz et al., CCS 2017, §4 (without dropouts: a missing node means no sum).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from protocols.errors import VerificationFailed

_INFO = b"credit-federation/mask/v1\0"
_EXCESS_BITS = 128


def zero_sum_masks(
    own: str, mask_key: X25519PrivateKey, peers: Mapping[str, bytes], transcript: bytes, count: int, modulus: int
) -> list[int]:
    """Return this node's masks for `count` numbers; those of the whole node set sum to 0 modulo `modulus`.

    Shapes: `peers` maps every *other* node of the set to its X25519 mask key (32 bytes); masks lie in [0, modulus).
    Reveals: nothing; with one pair's secret unknown, the masked number is uniform (bias below 2^-128).
    Raises: ValueError if `own` is among the peers or there is no peer; VerificationFailed for a degenerate peer key.
    """
    if not peers or own in peers:
        raise ValueError("a mask needs at least one other node")
    totals = [0] * count
    for peer in sorted(peers):
        stream = _shared_numbers(mask_key, peers[peer], transcript, own, peer, count, modulus)
        sign = 1 if peer > own else -1
        totals = [total + sign * value for total, value in zip(totals, stream, strict=True)]
    return [total % modulus for total in totals]


def zero_sum_words(
    own: str, mask_key: X25519PrivateKey, peers: Mapping[str, bytes], transcript: bytes, count: int
) -> NDArray[np.uint32]:
    """Return the same as `zero_sum_masks` for many small numbers, modulo 2^32. Shapes: (count,)."""
    if not peers or own in peers:
        raise ValueError("a mask needs at least one other node")
    total = np.zeros(count, dtype=np.uint32)
    for peer in sorted(peers):
        stream = np.frombuffer(_stream(mask_key, peers[peer], transcript, own, peer).update(bytes(4 * count)), "<u4")
        total = total + stream if peer > own else total - stream
    return total


def _shared_numbers(
    key: X25519PrivateKey, peer_key: bytes, transcript: bytes, own: str, peer: str, count: int, modulus: int
) -> Iterable[int]:
    """Yield `count` numbers below `modulus` that both nodes of a pair derive alike, and no one else."""
    stream = _stream(key, peer_key, transcript, own, peer)
    width = (modulus.bit_length() + _EXCESS_BITS + 7) // 8
    for _ in range(count):
        yield int.from_bytes(stream.update(bytes(width))) % modulus


def _stream(key: X25519PrivateKey, peer_key: bytes, transcript: bytes, own: str, peer: str) -> CipherContext:
    """Return the key stream that both nodes of a pair derive alike, and no one else."""
    try:
        shared = _agreed(key, peer_key)
    except ValueError as error:
        raise VerificationFailed(f"mask key of {peer} is degenerate") from error
    pair = b"\0".join(name.encode() for name in sorted((own, peer)))
    salt = hashlib.sha256(transcript).digest()
    seed = HKDF(SHA256(), 48, salt=salt, info=_INFO + pair).derive(shared)
    return Cipher(algorithms.AES(seed[:32]), modes.CTR(seed[32:])).encryptor()


@functools.lru_cache(maxsize=1024)
def _agreed(key: X25519PrivateKey, peer_key: bytes) -> bytes:
    """Return the secret of a pair: the same for all their questions, and no more secret than the key it comes from."""
    return key.exchange(X25519PublicKey.from_public_bytes(peer_key))
