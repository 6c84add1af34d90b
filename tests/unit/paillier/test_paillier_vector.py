"""Every homomorphic operation equals the same operation on plain integers, exactly."""

from __future__ import annotations

import secrets

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import CreditFederationError, MalformedMessage, VerificationFailed
from protocols.paillier import CiphertextVector, OwnerEncryptor, Packing, PrivateKey, decrypt, decrypt_signed
from protocols.paillier.buckets import Feature, plan_passes
from protocols.paillier.multi_exponent import read_weights
from protocols.paillier.passes import run_passes
from protocols.paillier.split_form import PlainRows, pack_integers, unpack_integers

VALUES = st.lists(st.integers(-(1 << 100), 1 << 100), max_size=12)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


@settings(deadline=None)
@given(VALUES)
def test_bytes_round_trip_at_fixed_width(key: PrivateKey, owner: OwnerEncryptor, values: list[int]) -> None:
    vector = owner.encrypt(values)
    data = vector.to_bytes()
    assert len(data) == len(values) * key.public_key.ciphertext_bytes
    received = CiphertextVector.from_bytes(key.public_key, data)
    assert received == vector
    assert hash(received) == hash(vector)
    assert received.to_bytes() == data
    assert decrypt_signed(key, received) == values


@given(st.lists(st.integers(0, (1 << 24) - 1)))
def test_integers_round_trip_with_leading_zeros(values: list[int]) -> None:
    data = pack_integers([mpz(value) for value in values], 3)
    assert data == b"".join(value.to_bytes(3, "big") for value in values)
    assert unpack_integers(data, 3) == values


@settings(deadline=None)
@given(st.data())
def test_arithmetic_equals_plain_arithmetic(key: PrivateKey, owner: OwnerEncryptor, data: st.DataObject) -> None:
    values = data.draw(VALUES)
    others = data.draw(st.lists(INT64, min_size=len(values), max_size=len(values)))
    factors = data.draw(st.lists(st.integers(-300, 300), min_size=len(values), max_size=len(values)))
    vector = owner.encrypt(values)
    expected = [a + b for a, b in zip(values, others, strict=True)]
    assert decrypt_signed(key, vector + owner.encrypt(others)) == expected
    assert decrypt_signed(key, vector.add_plain(others)) == expected
    assert decrypt_signed(key, vector.scale(factors)) == [a * b for a, b in zip(values, factors, strict=True)]
    assert decrypt_signed(key, vector.total()) == [sum(values)]
    assert decrypt_signed(key, vector) == values  # unchanged


@settings(deadline=None)
@given(st.data())
def test_selection_equals_list_selection(key: PrivateKey, owner: OwnerEncryptor, data: st.DataObject) -> None:
    values = data.draw(st.lists(INT64, min_size=1, max_size=8))
    vector = owner.encrypt(values)
    rows = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=6))
    assert decrypt_signed(key, vector.take(np.array(rows, dtype=np.intp))) == [values[row] for row in rows]
    assert vector[:] is vector
    start, stop = data.draw(st.integers(-9, 9)), data.draw(st.integers(-9, 9))
    assert decrypt_signed(key, vector[start:stop]) == values[start:stop]
    assert decrypt_signed(key, vector[-1]) == values[-1:]
    assert decrypt_signed(key, CiphertextVector.concat([vector, vector[:1]])) == [*values, values[0]]
    with pytest.raises(IndexError):
        vector[len(values)]


@settings(deadline=None)
@given(st.data())
def test_histograms_equal_plain_histograms(key: PrivateKey, owner: OwnerEncryptor, data: st.DataObject) -> None:
    """Many features of many sizes over few and many rows: single, joint, split and plain passes all occur."""
    rows, seed = data.draw(st.integers(0, 300)), data.draw(st.integers(0, 1 << 32))
    sizes = data.draw(st.lists(st.integers(1, 40), max_size=9))
    generator = np.random.default_rng(seed)
    values = generator.integers(-(1 << 62), 1 << 62, rows).tolist()
    bins = (
        np.stack([generator.integers(0, size, rows) for size in sizes], axis=1) if sizes else np.zeros((rows, 0), int)
    )
    vector = owner.encrypt(values)
    if data.draw(st.booleans()):
        vector = CiphertextVector.from_bytes(key.public_key, vector.to_bytes())
    histograms = vector.histograms(bins, sizes)
    assert [len(histogram) for histogram in histograms] == sizes
    for column, (size, histogram) in enumerate(zip(sizes, histograms, strict=True)):
        expected = [0] * size
        for value, bucket in zip(values, bins[:, column].tolist(), strict=True):
            expected[bucket] += value
        assert decrypt_signed(key, histogram) == expected
    if sizes and rows:
        kept = np.flatnonzero(generator.random(rows) < 0.5)
        again = vector.take(kept).histograms(bins[kept], sizes)
        assert decrypt_signed(key, again[0].total()) == [sum(values[row] for row in kept)]


def test_skewed_columns_give_the_same_sums_and_their_fullest_bucket_is_not_read(
    key: PrivateKey, owner: OwnerEncryptor
) -> None:
    generator = np.random.default_rng(8)
    values = generator.integers(-1000, 1000, 400).tolist()
    codes = np.where(generator.random((400, 4)) < 0.9, 3, generator.integers(0, 6, (400, 4)))
    vector, read = owner.encrypt(values), []

    class Counted(PlainRows):
        def sweep(
            self, codes: list[int], buckets: int, square: mpz, chosen: list[int] | None = None
        ) -> tuple[list[mpz], list[mpz]]:
            read.append(len(codes))
            return super().sweep(codes, buckets, square, chosen)

    weights = [None, (0, 2, 2, 3, 7, 11), None, range(6)]
    features = [Feature(column, 6, w) for column, w in zip(codes.T, weights, strict=True)]
    sums, total = run_passes(
        Counted(list(vector)), [features[:2], [features[2]], [features[3]]], key.public_key.modulus
    )
    opened = [decrypt_signed(key, CiphertextVector(key.public_key, found)) for one in sums for found in one]
    for found, column, ascending in zip(opened, codes.T, weights, strict=True):
        histogram = [sum(v for v, code in zip(values, column, strict=True) if code == bucket) for bucket in range(6)]
        weighted = [sum(values), sum(w * h for w, h in zip(ascending or [], histogram, strict=False))]
        assert found == (histogram if ascending is None else weighted)
    assert sorted(read)[-1] == len(values)
    assert sum(read) < 2 * len(values)
    assert total is not None
    assert decrypt_signed(key, CiphertextVector(key.public_key, [total])) == [sum(values)]


def test_an_empty_bin_is_the_trivial_encryption_of_zero(key: PrivateKey, owner: OwnerEncryptor) -> None:
    histogram = owner.encrypt([7, 8]).histogram(np.array([0, 2]), 4)
    assert decrypt(key, histogram) == [7, 0, 8, 0]
    assert list(histogram)[1] == list(histogram)[3] == 1


@settings(deadline=None)
@given(st.data())
def test_weighted_sums_equal_the_matrix_product(key: PrivateKey, owner: OwnerEncryptor, data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(0, 120)), data.draw(st.integers(0, 6))
    generator = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    values = generator.integers(-1000, 1000, rows).tolist()
    weights = np.zeros((rows, columns), dtype=np.int64)
    for column in range(columns):
        low = data.draw(st.sampled_from([-(1 << 63), -(1 << 20), -128, -1, 0, 5]))
        high = data.draw(st.sampled_from([6, 8, 127, 1 << 20, (1 << 63) - 1]))
        weights[:, column] = generator.integers(low, high, rows, endpoint=True)
        if data.draw(st.booleans()) and rows:
            weights[:, column] = generator.choice(weights[:3, column], rows)  # few distinct values
    sums = owner.encrypt(values).weighted_sums(weights)
    expected = [sum(w * v for w, v in zip(weights[:, j].tolist(), values, strict=True)) for j in range(columns)]
    assert decrypt_signed(key, sums) == expected


@settings(deadline=None)
@given(st.data())
def test_compressed_vectors_unpack(key: PrivateKey, owner: OwnerEncryptor, data: st.DataObject) -> None:
    packing = Packing.for_sums(data.draw(st.integers(1, 1 << 30)), data.draw(st.integers(1, 50)), 512)
    bound = packing.magnitude * packing.addends
    values = data.draw(st.lists(st.integers(-bound, bound), max_size=40))
    joined = owner.encrypt(values).compress(packing.slot_bits, packing.slots)
    assert len(joined) == -(-len(values) // packing.slots)
    assert packing.unpack(decrypt_signed(key, joined), len(values)) == values


@settings(deadline=None)
@given(st.lists(st.integers(1, 300), max_size=30), st.integers(0, 100_000))
def test_a_plan_reads_each_feature_once(sizes: list[int], rows: int) -> None:
    plan = plan_passes(rows, sizes)
    assert sorted(feature for together in plan for feature in together) == list(range(len(sizes)))


def test_plans_share_passes_where_it_pays() -> None:
    assert [len(together) for together in plan_passes(30_000, [10] * 23)] == [3] * 7 + [2]
    assert [len(together) for together in plan_passes(30_000, [32] * 4)] == [2, 2]
    assert [len(together) for together in plan_passes(600, [32] * 3)] == [1, 1, 1]


@settings(deadline=None)
@given(st.lists(st.lists(INT64, min_size=3, max_size=3), min_size=1, max_size=30))
def test_a_reading_of_weights_adds_up_to_them(matrix: list[list[int]]) -> None:
    weights = np.array(matrix, dtype=np.int64)
    reading = read_weights(weights)
    rebuilt = [list(reading.minima) for _ in matrix]
    for digit in (digit for together in reading.passes for digit in together):
        for row, code in enumerate(digit.feature.codes.tolist()):
            assert digit.feature.weights is not None
            rebuilt[row][digit.column] += digit.feature.weights[code] << digit.shift
    assert rebuilt == matrix


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_hostile_bytes_raise_only_our_errors(key: PrivateKey, data: bytes) -> None:
    try:
        CiphertextVector.from_bytes(key.public_key, data)
    except CreditFederationError:
        return
    assert len(data) % key.public_key.ciphertext_bytes == 0


def test_invalid_ciphertexts_are_refused_wherever_they_stand(key: PrivateKey, owner: OwnerEncryptor) -> None:
    public, good = key.public_key, owner.encrypt([1, 2, 3])
    width = public.ciphertext_bytes
    for bad in (0, public.n, int(key.p), int(key.q) * 5, public.n_square, public.n_square + 1, (1 << 8 * width) - 1):
        for position in range(4):
            parts = [int(value).to_bytes(width, "big") for value in good]
            parts.insert(position, bad.to_bytes(width, "big"))
            with pytest.raises(VerificationFailed):
                CiphertextVector.from_bytes(public, b"".join(parts))
    for data in (good.to_bytes()[:-1], good.to_bytes() + b"\1"):
        with pytest.raises(MalformedMessage):
            CiphertextVector.from_bytes(public, data)


def test_misuse_raises_built_ins(key: PrivateKey, other_key: PrivateKey, owner: OwnerEncryptor) -> None:
    vector, foreign = owner.encrypt([1, 2]), CiphertextVector(other_key.public_key, [mpz(1), mpz(1)])
    for misuse in (
        lambda: vector + foreign,
        lambda: CiphertextVector.concat([vector, foreign]),
        lambda: CiphertextVector.concat([]),
        lambda: vector + vector[:1],
        lambda: vector.add_plain([1]),
        lambda: vector.scale([1, 2, 3]),
        lambda: vector.histogram(np.array([0, 1]), 1),
        lambda: vector.histogram(np.array([0, -1]), 2),
        lambda: vector.histogram(np.array([0]), 2),
        lambda: vector.histogram(np.array([0.0, 1.0]), 2),
        lambda: vector.histogram(np.array([0, 0]), 0),
        lambda: vector.histograms(np.zeros((2, 2), int), [1]),
        lambda: vector.weighted_sums(np.zeros((3, 1), int)),
        lambda: vector.weighted_sums(np.zeros((2, 1))),
        lambda: vector.compress(300, 2),
        lambda: vector.compress(0, 2),
    ):
        with pytest.raises(ValueError, match=r"."):
            misuse()


def test_a_vector_shows_its_size_and_nothing_else(owner: OwnerEncryptor) -> None:
    vector = owner.encrypt([123456789])
    assert str(next(iter(vector))) not in repr(vector)
    assert "1 under" in repr(vector)


def test_randomness_that_runs_short_is_an_error(key: PrivateKey) -> None:
    with pytest.raises(ValueError, match="bytes instead of"):
        OwnerEncryptor(key, lambda size: secrets.token_bytes(size - 1)).encrypt([1])
