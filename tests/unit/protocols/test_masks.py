"""Zero-sum masks: they cancel over the whole set, and over nothing less."""

from __future__ import annotations

import itertools
import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from protocols.errors import VerificationFailed
from protocols.masks import zero_sum_masks

SECRETS = {name: X25519PrivateKey.generate() for name in ("a", "b", "c", "d", "e")}
KEYS = {name: key.public_key().public_bytes_raw() for name, key in SECRETS.items()}


def masks(names: tuple[str, ...], transcript: bytes, count: int, modulus: int) -> dict[str, list[int]]:
    return {
        own: zero_sum_masks(own, SECRETS[own], {n: KEYS[n] for n in names if n != own}, transcript, count, modulus)
        for own in names
    }


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(KEYS)), min_size=2, max_size=5, unique=True),
    st.binary(max_size=40),
    st.integers(0, 5),
    st.integers(1, 1 << 200),
)
def test_masks_of_the_whole_set_sum_to_zero(names: list[str], transcript: bytes, count: int, modulus: int) -> None:
    found = masks(tuple(names), transcript, count, modulus)
    assert all(0 <= value < modulus for values in found.values() for value in values)
    assert [sum(column) % modulus for column in zip(*found.values(), strict=True)] == [0] * count


def test_masks_of_a_proper_subset_are_uniform() -> None:
    modulus = secrets.randbits(512) | 1 << 511
    found = masks(("a", "b", "c", "d"), secrets.token_bytes(32), 300, modulus)
    for size in (1, 2, 3):
        for subset in itertools.combinations(found.values(), size):
            sums = [sum(column) % modulus / modulus for column in zip(*subset, strict=True)]
            assert kstest(sums, "uniform").pvalue > 1e-7


def test_another_transcript_peer_or_place_gives_other_masks() -> None:
    modulus = 1 << 256
    base = zero_sum_masks("a", SECRETS["a"], {"b": KEYS["b"]}, b"t", 3, modulus)
    assert base == zero_sum_masks("a", SECRETS["a"], {"b": KEYS["b"]}, b"t", 3, modulus)
    assert len(set(base)) == 3
    others = [
        zero_sum_masks("a", SECRETS["a"], {"b": KEYS["b"]}, b"u", 3, modulus),
        zero_sum_masks("a", SECRETS["a"], {"b": KEYS["c"]}, b"t", 3, modulus),
        zero_sum_masks("a", SECRETS["a"], {"c": KEYS["b"]}, b"t", 3, modulus),
        zero_sum_masks("z", SECRETS["a"], {"b": KEYS["b"]}, b"t", 3, modulus),
    ]
    assert not {value for other in others for value in other} & set(base)


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31)])
def test_a_degenerate_peer_key_is_refused(point: bytes) -> None:
    with pytest.raises(VerificationFailed):
        zero_sum_masks("a", SECRETS["a"], {"b": point}, b"t", 1, 97)


def test_a_mask_alone_is_no_mask() -> None:
    with pytest.raises(ValueError, match="one other node"):
        zero_sum_masks("a", SECRETS["a"], {}, b"t", 1, 97)
    with pytest.raises(ValueError, match="one other node"):
        zero_sum_masks("a", SECRETS["a"], {"a": KEYS["a"]}, b"t", 1, 97)
