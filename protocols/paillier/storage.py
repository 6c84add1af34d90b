"""The ciphertexts of a vector, in whichever forms have been needed so far: bytes, integers, split rows."""

from __future__ import annotations

from collections.abc import Sequence

from gmpy2 import mpz

from protocols.errors import VerificationFailed
from protocols.paillier.cores import Cores, cores_in_use
from protocols.paillier.passes import SPREAD_FROM
from protocols.paillier.residence import ResidentRows, fits_shared_memory, make_resident
from protocols.paillier.split_form import PlainRows, Rows, SplitRows, Splitting, pack_integers, unpack_integers

_SPLIT_FROM = 4_000  # rows to validate and split on several cores
_SPLIT_PASSES = 4  # splitting costs 1.5 multiplications per row and saves 0.4 of one per pass


class Storage:
    """Immutable in content; forms are made once, when first asked for.

    Memory at 2048 bits, per ciphertext: 0.5 KiB as bytes, 0.55 as an integer, 0.6 split, 0.9 half split.
    """

    __slots__ = ("_data", "_length", "_modulus", "_rows", "_splitting", "_values", "_width")

    def __init__(self, modulus: mpz, values: Sequence[mpz] | None = None, data: bytes | None = None) -> None:
        self._modulus, self._width = modulus, 2 * int(modulus.bit_length() // 8)
        self._values = None if values is None else tuple(values)
        self._data = data
        self._length = len(self._values) if self._values is not None else len(data or b"") // self._width
        self._splitting: Splitting | None = None
        self._rows: SplitRows | ResidentRows | None = None

    @classmethod
    def validated(cls, modulus: mpz, data: bytes) -> Storage:
        """Return the storage of received ciphertexts, whole ones by length, if each is in (0, n^2) and prime to n.

        Raises: VerificationFailed otherwise.
        """
        storage = cls(modulus, data=data)
        cores = storage._worth_sharing(len(storage) >= _SPLIT_FROM)
        if cores is not None:
            storage._rows = make_resident(data, modulus, cores)
            valid = storage._rows is not None
        else:
            storage._splitting = Splitting(unpack_integers(data, storage._width), modulus)
            valid = storage._splitting.are_units()
        if not valid:
            raise VerificationFailed("a ciphertext is not a unit modulo n^2", code="CIPHERTEXT_RANGE")
        return storage

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> tuple[mpz, ...]:
        """The ciphertexts as integers."""
        if self._values is None:
            self._values = tuple(unpack_integers(self.to_bytes(), self._width))
        return self._values

    def to_bytes(self) -> bytes:
        """Return the ciphertexts, big-endian and of fixed width."""
        return pack_integers(self.values, self._width) if self._data is None else self._data

    def rows(self, passes: int) -> Rows | ResidentRows:
        """Return the rows in the form in which so many passes over them cost least."""
        if self._rows is None:
            cores = self._worth_sharing(passes > 1 and passes * len(self) >= SPREAD_FROM)
            if cores is not None:
                self._rows = make_resident(self.to_bytes(), self._modulus, cores)
            elif passes >= _SPLIT_PASSES:
                splitting = self._splitting or Splitting(self.values, self._modulus)
                self._rows = SplitRows(*splitting.finish())
            self._splitting = None if self._rows else self._splitting
        return self._rows or PlainRows(self.values)

    def take(self, rows: list[int]) -> Storage:
        """Return the storage of the ciphertexts at these positions, in that order."""
        taken = Storage(self._modulus, [self.values[row] for row in rows])
        if self._rows is not None:
            taken._rows = self._rows.take(rows)
        return taken

    def _worth_sharing(self, large: bool) -> Cores | None:
        """Return the cores in use if the work is large enough for them and the rows find room in shared memory."""
        cores = cores_in_use() if large else None
        return cores if cores is not None and fits_shared_memory(len(self) * self._width) else None
