"""Several small signed integers in one plaintext, with bounds that are checked and never wrap.

With |v| <= M per value and at most B addends, a sum lies in [-MB, MB] and fits a slot of S = bitlen(MB) + 1 bits as a
signed digit; k = floor((|n| - 2 - reserve) / S) slots keep the packed sum within (-n/2, n/2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Packing:
    """`slots` signed values of `slot_bits` bits each in one plaintext; slot 0 is the lowest.

    Sums of packed plaintexts unpack exactly while no slot leaves (-2^(slot_bits-1), 2^(slot_bits-1)).
    """

    slot_bits: int
    slots: int
    magnitude: int = field(default=0)  # of one packed value; 0 stands for all that a slot holds
    addends: int = field(default=1)

    def __post_init__(self) -> None:
        if self.slot_bits < 2 or self.slots < 1 or self.magnitude < 0 or self.addends < 1:
            raise ValueError("a packing needs at least one slot of two bits, and positive bounds")
        if self.bound * self.addends > self.slot_limit:
            raise ValueError(f"{self.addends} addends do not fit slots of {self.slot_bits} bits")

    @property
    def slot_limit(self) -> int:
        """The largest magnitude a slot can hold."""
        return int((1 << (self.slot_bits - 1)) - 1)

    @property
    def bound(self) -> int:
        """The largest magnitude of one value to pack."""
        return self.magnitude or self.slot_limit // self.addends

    @classmethod
    def for_sums(cls, magnitude: int, addends: int, modulus_bits: int, reserve_bits: int = 0) -> Packing:
        """Return the widest packing that keeps a sum of `addends` values of at most `magnitude` exact.

        `reserve_bits` at the top of the plaintext stay free, for a mask. Raises: ValueError if not one slot fits.
        """
        if magnitude < 1 or addends < 1 or reserve_bits < 0:
            raise ValueError("magnitude and addends are positive, reserved bits are not negative")
        slot_bits = (magnitude * addends).bit_length() + 1
        slots = (modulus_bits - 2 - reserve_bits) // slot_bits
        if slots < 1:
            raise ValueError(f"a slot of {slot_bits} bits does not fit a modulus of {modulus_bits} bits")
        return cls(slot_bits, slots, magnitude, addends)

    def pack(self, values: Sequence[int]) -> list[int]:
        """Return ceil(len(values) / slots) plaintexts, each the sum of v_i * 2^(i * slot_bits).

        A plaintext is negative when its highest non-zero value is. Raises: ValueError for a value out of bounds.
        """
        bound = self.bound
        if any(not -bound <= value <= bound for value in values):
            raise ValueError(f"a value exceeds the packing's magnitude of {bound.bit_length()} bits")
        return [self._join(values[start : start + self.slots]) for start in range(0, len(values), self.slots)]

    def unpack(self, packed: Sequence[int], count: int) -> list[int]:
        """Return the `count` signed sums in centred plaintexts `packed`.

        Raises: ValueError if a plaintext holds more than its slots can, or a slot exceeds magnitude * addends: a value
        or the number of addends was larger than the packing allows.
        """
        if len(packed) != -(-count // self.slots):
            raise ValueError(f"{count} values in slots of {self.slots} are not {len(packed)} plaintexts")
        values: list[int] = []
        for index, plaintext in enumerate(packed):
            values += self._split(int(plaintext), min(self.slots, count - index * self.slots))
        return values

    def _join(self, values: Sequence[int]) -> int:
        total = 0
        for value in reversed(values):
            total = (total << self.slot_bits) + int(value)
        return total

    def _split(self, plaintext: int, count: int) -> list[int]:
        limit = self.bound * self.addends
        half, mask = 1 << (self.slot_bits - 1), (1 << self.slot_bits) - 1
        values = []
        for _ in range(count):
            value = ((plaintext + half) & mask) - half
            if not -limit <= value <= limit:
                raise ValueError("a slot overflowed: more addends or larger values than the packing allows")
            values.append(value)
            plaintext = (plaintext - value) >> self.slot_bits
        if plaintext:
            raise ValueError("a packed plaintext holds more than its slots")
        return values
