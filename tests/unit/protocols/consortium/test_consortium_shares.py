"""Shares of a pooled sum: alone noise, together the sum, and nothing in between."""

from __future__ import annotations

import secrets
from contextlib import suppress
from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2

from protocols.consortium.shares import Residues, open_share, share_sums, sum_bits, unpack_sums
from protocols.errors import MalformedMessage
from protocols.paillier import CiphertextVector, OwnerEncryptor, PrivateKey
from protocols.scorecard.arithmetic import histogram_packing
from tests.protocol.network import KEY_BITS, paillier_key

ROWS = 1000
PARTS = ([3, 0, 250, 17] * 15, [0, 0, 31, 400] * 15, [5, 1, 0, 2] * 15)


def keys() -> list[PrivateKey]:
    return [paillier_key(index) for index in range(len(PARTS))]


@cache
def encrypted() -> list[CiphertextVector]:
    return [OwnerEncryptor(key, secrets.token_bytes).encrypt(part) for key, part in zip(keys(), PARTS, strict=True)]


def opened() -> list[Residues]:
    """Each bank's own decryption of its share of `PARTS`."""
    packing = histogram_packing(ROWS, KEY_BITS)
    shares = share_sums(encrypted(), packing, secrets.token_bytes)
    bits = sum_bits(len(PARTS[0]), packing)
    return [open_share(share, bits, key) for share, key in zip(shares, keys(), strict=True)]


@cache
def many() -> list[list[Residues]]:
    return [opened() for _ in range(20)]


def added(shares: list[Residues]) -> Residues:
    columns = zip(*(share.values for share in shares), strict=True)
    pairs = zip(columns, shares[0].bits, strict=True)
    return Residues(tuple(sum(values) % (1 << bits) for values, bits in pairs), shares[0].bits)


def unpacked(pooled: Residues) -> list[int]:
    return unpack_sums(pooled, histogram_packing(ROWS, KEY_BITS), len(PARTS[0]))


def test_all_shares_add_up_to_the_sums() -> None:
    assert unpacked(added(opened())) == [sum(values) for values in zip(*PARTS, strict=True)]


@pytest.mark.parametrize("coalition", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
def test_fewer_than_all_shares_are_uniform_noise(coalition: tuple[int, ...]) -> None:
    """Pearson's χ² over the bytes of many shares of the same sums, which without the masks would repeat."""
    octets = bytearray()
    for drawn in many():
        held = added([share for bank, share in enumerate(drawn) if bank in coalition])
        for value, bits in zip(held.values, held.bits, strict=True):
            octets += value.to_bytes((bits + 7) // 8)[1:]  # the first octet holds fewer than eight bits
    counts = np.bincount(np.frombuffer(bytes(octets), dtype=np.uint8), minlength=256)
    expected = len(octets) / 256
    assert expected > 5
    assert float(((counts - expected) ** 2 / expected).sum()) < chi2.isf(1e-9, 255)


def test_without_the_very_share_of_each_bank_the_sums_are_lost() -> None:
    shares = opened()
    sums = unpacked(added(shares))
    noise = Residues(tuple(map(secrets.randbits, shares[2].bits)), shares[2].bits)
    for others in (shares[:2], [*shares[:2], noise]):
        with suppress(MalformedMessage):  # most of what is left does not even fit its slots
            assert unpacked(added(others)) != sums


def test_residues_keep_sign_and_refuse_what_does_not_fit() -> None:
    assert Residues.of([-5, 7, -128], 8).signed() == [-5, 7, -128]
    with pytest.raises(ValueError, match="does not fit 8 bits"):
        Residues.of([128], 8)
