"""Judges every ciphertext of a run under one public key, as somebody who holds no other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

import gmpy2
from gmpy2 import mpz

from protocols.paillier import PublicKey
from protocols.wire_audit.findings import Code
from protocols.wire_audit.residues import Residue, fold, take_apart
from protocols.wire_audit.shapes import Hit, is_uniform

_BLOCK: Final = 4096
_GUESSED_BELOW: Final = 128
_DIGEST_BYTES: Final = 16


class KeyTrail:
    """All that was sent under one key so far: finds what is sent, or obfuscated, twice, in linear time.

    Memory: about 600 bytes a ciphertext, and one block of them at a time.
    """

    def __init__(self, key: PublicKey) -> None:
        self.key = key
        self._heads: dict[bytes, tuple[bytes, int]] = {}
        self._tails: dict[bytes, int] = {}
        self._guesses = _guessable(key.modulus)
        self.count = 0

    def judge(self, data: bytes, record: int) -> Iterator[Hit]:
        """Yield what is wrong with a vector of ciphertexts, by code and place in the vector."""
        width = self.key.ciphertext_bytes
        if len(data) % width:
            yield Code.CIPHERTEXT_RANGE, -1, f"{len(data)} bytes are no whole number of ciphertexts of {width}"
        if not is_uniform(data, width):
            yield Code.LOW_ENTROPY, -1, ""
        whole = len(data) - len(data) % width
        self.count += whole // width
        for start in range(0, whole, _BLOCK * width):
            block = data[start : min(start + _BLOCK * width, whole)]
            for code, index, detail in self._judge_block(block, record):
                yield code, start // width + index, detail

    def _judge_block(self, block: bytes, record: int) -> Iterator[Hit]:
        width = self.key.ciphertext_bytes
        values = [mpz.from_bytes(block[place : place + width], "big") for place in range(0, len(block), width)]
        residues, bad = take_apart(values, self.key.modulus)
        yield from ((Code.CIPHERTEXT_RANGE, index, "") for index in bad)
        for residue in residues:
            yield from self._judge_one(residue, record)

    def _judge_one(self, residue: Residue, record: int) -> Iterator[Hit]:
        n, half = self.key.modulus, self.key.bits // 2
        if residue.head.bit_length() < half or residue.head in self._guesses:
            yield Code.OBFUSCATOR_MISSING, residue.index, "c is 1 + mn" if residue.head == 1 else "a guess finds it"
            return
        parts = (residue.head, residue.tail, residue.inverse, residue.mirrored)
        head, tail, inverse, mirrored = (self._digest(part) for part in parts)
        earlier = self._heads.get(head)
        if earlier is not None:
            code = Code.CIPHERTEXT_REPEATED if earlier[0] == tail else Code.OBFUSCATOR_REUSED
            yield code, residue.index, f"first in record {earlier[1]}"
            return
        if inverse in self._heads:
            detail = f"inverted, from record {self._heads[inverse][1]}"
            yield Code.OBFUSCATOR_REUSED, residue.index, detail
        same = self._tails.get(tail, self._tails.get(mirrored))
        if min(fold(residue.tail, n), fold(residue.mirrored, n)).bit_length() < half:
            yield Code.PLAINTEXT_VISIBLE, residue.index, "u is small"
        elif same is not None:
            yield Code.PLAINTEXT_VISIBLE, residue.index, f"u is the same as in record {same}"
        self._heads[head] = (tail, record)
        self._tails[tail] = self._tails[mirrored] = record

    def _digest(self, value: mpz) -> bytes:
        return hashlib.blake2b(value.to_bytes(self.key.bits // 8, "big"), digest_size=_DIGEST_BYTES).digest()


def _guessable(modulus: mpz) -> frozenset[mpz]:
    """Return the heads of rⁿ for every small r: what a broken generator of r might leave."""
    powers: dict[int, mpz] = {1: mpz(1)}
    for r in range(2, _GUESSED_BELOW):
        factor = next((p for p in range(2, r) if r % p == 0), None)
        if factor is None:
            powers[r] = gmpy2.powmod(r, modulus, modulus)
        else:
            powers[r] = powers[factor] * powers[r // factor] % modulus
    return frozenset(fold(power, modulus) for power in powers.values())
