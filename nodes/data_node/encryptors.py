"""A node's encryptors, one for each bank it answers: tables made once, obfuscators ahead of time if wished."""

from __future__ import annotations

from typing import Protocol

from protocols.paillier import Encryptor, ObfuscatorPool, PublicKey, Randomness


class Encryptors(Protocol):
    """Gives the encryptor of shares under a bank's key."""

    def of(self, key: PublicKey) -> Encryptor:
        """Return the encryptor under this key."""


class PlainEncryptors:
    """Encryptors that compute each obfuscator when it is needed."""

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness
        self._made: dict[str, Encryptor] = {}

    def of(self, key: PublicKey) -> Encryptor:
        """Return the encryptor under this key."""
        if key.fingerprint not in self._made:
            self._made[key.fingerprint] = Encryptor(key, self._randomness)
        return self._made[key.fingerprint]


class PooledEncryptors:
    """Encryptors with a pool each, filled in the background: an answer then costs two small multiplications.

    `close` ends the pools' threads.
    """

    def __init__(self, randomness: Randomness, capacity: int) -> None:
        self._randomness, self._capacity = randomness, capacity
        self._made: dict[str, tuple[Encryptor, ObfuscatorPool]] = {}

    def of(self, key: PublicKey) -> Encryptor:
        """Return the encryptor under this key; the first call begins to fill its pool."""
        if key.fingerprint not in self._made:
            pool = ObfuscatorPool(key, self._randomness, self._capacity)
            self._made[key.fingerprint] = Encryptor(key, self._randomness, pool), pool
        return self._made[key.fingerprint][0]

    def close(self) -> None:
        """End all threads; nothing can be encrypted afterwards."""
        for _, pool in self._made.values():
            pool.close()
