"""A vector of Paillier ciphertexts and its homomorphic operations.

Ciphertexts travel as big-endian bytes of fixed width. A vector is immutable; every operation returns a new one.
Operations add no randomness: what they return is as linkable to its inputs as a product is to its factors. Whoever
sends a result to the key owner passes it through `rerandomise` first.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from protocols.errors import MalformedMessage
from protocols.paillier.buckets import Feature, plan_passes
from protocols.paillier.cores import spread_threads
from protocols.paillier.keys import PublicKey
from protocols.paillier.modular_power import modular_powers
from protocols.paillier.multi_exponent import column_products, read_weights
from protocols.paillier.passes import run_passes
from protocols.paillier.storage import Storage

MANY_PASSES = 16


class CiphertextVector:
    """Ciphertexts under one public key, each in (0, n^2) and prime to n."""

    __slots__ = ("_storage", "public_key")

    def __init__(self, public_key: PublicKey, values: Iterable[mpz] | Storage) -> None:
        """Wrap values that are known to be valid; bytes from a peer enter through `from_bytes` alone."""
        self.public_key = public_key
        self._storage = values if isinstance(values, Storage) else Storage(public_key.modulus, tuple(values))

    def __repr__(self) -> str:
        return f"CiphertextVector({len(self)} under {self.public_key.fingerprint[:16]})"

    def __len__(self) -> int:
        return len(self._storage)

    def __iter__(self) -> Iterator[mpz]:
        """Iterate over the raw ciphertexts."""
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CiphertextVector):
            return NotImplemented
        return self.public_key == other.public_key and self._values == other._values

    def __hash__(self) -> int:
        return hash((self.public_key, self._values))

    def __getitem__(self, index: int | slice) -> CiphertextVector:
        if not isinstance(index, slice):
            return CiphertextVector(self.public_key, (self._values[index],))
        positions = range(len(self))[index]
        whole = positions == range(len(self))
        return self if whole else CiphertextVector(self.public_key, self._storage.take(list(positions)))

    @classmethod
    def from_bytes(cls, public_key: PublicKey, data: bytes) -> CiphertextVector:
        """Accept concatenated big-endian ciphertexts only if every one is in (0, n^2) and prime to n.

        Raises: MalformedMessage if the length is no multiple of the width, VerificationFailed for an invalid value.
        """
        width = public_key.ciphertext_bytes
        if len(data) % width:
            raise MalformedMessage(f"{len(data)} bytes are no whole number of ciphertexts of {width}")
        return cls(public_key, Storage.validated(public_key.modulus, bytes(data)))

    def to_bytes(self) -> bytes:
        """Return the ciphertexts, big-endian and of fixed width, one after the other."""
        return self._storage.to_bytes()

    @classmethod
    def concat(cls, vectors: Sequence[CiphertextVector]) -> CiphertextVector:
        """Return one vector of all. Raises: ValueError for no vector, or for different keys."""
        if not vectors:
            raise ValueError("nothing to concatenate")
        for vector in vectors:
            vectors[0]._same_key(vector)
        return cls(vectors[0].public_key, [value for vector in vectors for value in vector])

    def __add__(self, other: CiphertextVector) -> CiphertextVector:
        """Add plaintexts element by element."""
        self._same_key(other)
        self._same_length(len(other))
        square = self.public_key.modulus_square
        return CiphertextVector(
            self.public_key, [a * b % square for a, b in zip(self._values, other._values, strict=True)]
        )

    def add_plain(self, values: Sequence[int]) -> CiphertextVector:
        """Add known integers, element by element."""
        self._same_length(len(values))
        n, square = self.public_key.modulus, self.public_key.modulus_square
        return CiphertextVector(
            self.public_key,
            [c * (1 + int(v) % n * n) % square for c, v in zip(self._values, values, strict=True)],
        )

    def scale(self, factors: Sequence[int]) -> CiphertextVector:
        """Multiply each plaintext by a known signed integer; meant for small ones."""
        self._same_length(len(factors))
        square = self.public_key.modulus_square
        return CiphertextVector(
            self.public_key,
            [gmpy2.powmod(c, int(factor), square) for c, factor in zip(self._values, factors, strict=True)],
        )

    def take(self, indices: NDArray[np.intp]) -> CiphertextVector:
        """Return the ciphertexts at `indices`, in that order."""
        return CiphertextVector(self.public_key, self._storage.take(np.asarray(indices).tolist()))

    def prepared(self) -> CiphertextVector:
        """Return the same vector in the form in which many passes over it, or over parts of it, cost least."""
        self._storage.rows(MANY_PASSES)
        return self

    def total(self) -> CiphertextVector:
        """Return one ciphertext of the sum of all plaintexts."""
        return self.histogram(np.zeros(len(self), dtype=np.intp), 1)

    def compress(self, slot_bits: int, slots: int) -> CiphertextVector:
        """Join every `slots` ciphertexts into one, plaintext i shifted up by i * slot_bits: slot 0 is the lowest.

        The result unpacks as `Packing(slot_bits, slots)` does. Raises: ValueError if the slots do not fit n.
        """
        if slot_bits < 1 or slots < 1 or slot_bits * slots > self.public_key.bits - 2:
            raise ValueError(f"{slots} slots of {slot_bits} bits do not fit {self.public_key.bits}")
        groups = [self._values[start : start + slots] for start in range(0, len(self), slots)]
        join = functools.partial(_joined, shift=mpz(1) << slot_bits, square=self.public_key.modulus_square)
        return CiphertextVector(self.public_key, spread_threads(join, groups))

    def histogram(self, bins: NDArray[np.integer], n_bins: int) -> CiphertextVector:
        """Return per bin the encrypted sum of the plaintexts that fall in it.

        Shapes: `bins` (rows,) in [0, n_bins). An empty bin is the trivial encryption of 0, without randomness.
        """
        return self.histograms(np.asarray(bins).reshape(-1, 1), [n_bins])[0]

    def histograms(self, bins: NDArray[np.integer], n_bins: Sequence[int]) -> list[CiphertextVector]:
        """Return one histogram per column of `bins`, as `histogram` does.

        Shapes: `bins` (rows, features), column j in [0, n_bins[j]).
        """
        bins = np.asarray(bins)
        if bins.ndim != 2 or bins.shape != (len(self), len(n_bins)) or not np.issubdtype(bins.dtype, np.integer):
            raise ValueError(f"bins of shape {bins.shape} for {len(self)} rows and {len(n_bins)} features")
        for column, size in zip(bins.T, n_bins, strict=True):
            if size < 1 or (len(self) and not 0 <= column.min() <= column.max() < size):
                raise ValueError(f"a bin index is not in [0, {size})")
        features = [Feature(column.astype(np.int64), size) for column, size in zip(bins.T, n_bins, strict=True)]
        passes = plan_passes(len(self), n_bins)
        found: dict[int, CiphertextVector] = {}
        sums, _ = run_passes(
            self._storage.rows(len(passes)), [[features[f] for f in together] for together in passes], self._n
        )
        for together, histograms in zip(passes, sums, strict=True):
            for feature, histogram in zip(together, histograms, strict=True):
                found[feature] = CiphertextVector(self.public_key, histogram)
        return [found[feature] for feature in range(len(n_bins))]

    def weighted_sums(self, weights: NDArray[np.int64]) -> CiphertextVector:
        """Return per column the encrypted weighted sum of all plaintexts.

        Shapes: `weights` (rows, columns), signed; the result has one ciphertext per column.
        """
        weights = np.asarray(weights)
        if weights.ndim != 2 or weights.shape[0] != len(self) or not np.issubdtype(weights.dtype, np.integer):
            raise ValueError(f"weights of shape {weights.shape} for {len(self)} rows")
        if not len(self):
            return CiphertextVector(self.public_key, [mpz(1)] * weights.shape[1])
        reading = read_weights(weights)
        features = [[digit.feature for digit in together] for together in reading.passes]
        sums, total = run_passes(self._storage.rows(len(features)), features, self._n)
        whole = next(iter(self.total())) if total is None else total
        return CiphertextVector(self.public_key, column_products(reading, sums, whole, self.public_key.modulus_square))

    @property
    def _values(self) -> tuple[mpz, ...]:
        return self._storage.values

    @property
    def _n(self) -> mpz:
        return self.public_key.modulus

    def _same_key(self, other: CiphertextVector) -> None:
        if self.public_key != other.public_key:
            raise ValueError("ciphertexts under different keys do not mix")

    def _same_length(self, length: int) -> None:
        if len(self) != length:
            raise ValueError(f"{len(self)} ciphertexts do not pair with {length} values")


def _joined(groups: Sequence[Sequence[mpz]], shift: mpz, square: mpz) -> list[mpz]:
    """Return the product of value_i^(shift^i) of each group, by Horner's rule from the highest."""
    results = []
    for group in groups:
        joined = group[-1]
        for value in reversed(group[:-1]):
            joined = modular_powers([joined], shift, square, secret=False)[0] * value % square
        results.append(joined)
    return results
