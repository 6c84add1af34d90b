"""Obfuscators made ahead of time, so that an encryption online costs two small multiplications."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

import gmpy2
from gmpy2 import mpz

from protocols.paillier.fixed_base import FixedBaseTable, join
from protocols.paillier.keys import PublicKey
from protocols.paillier.sampling import Randomness, uniform_unit


class ObfuscatorSource:
    """Obfuscators h_s^x under a base of its own: h_s = (-y^2)^n, x uniform of |n|/2 bits."""

    def __init__(self, public_key: PublicKey, randomness: Randomness) -> None:
        self.public_key = public_key
        self._randomness = randomness
        y = uniform_unit(public_key.modulus, randomness)
        base = gmpy2.powmod(-y * y, public_key.modulus, public_key.modulus_square)
        self._table = FixedBaseTable(base, public_key.modulus, public_key.bits // 16)

    def take(self, count: int) -> list[mpz]:
        """Return `count` fresh obfuscators."""
        return [self._fresh() for _ in range(count)]

    def _fresh(self) -> mpz:
        product, tail = self._table.power(self._randomness(self._table.digits))
        return join(product, tail, self.public_key.modulus, self.public_key.modulus_square)


class ObfuscatorPool:
    """At most `capacity` obfuscators in stock, refilled by a thread in the background; each is handed out once.

    A burst beyond the stock is served at once by computing the rest. `close` (or leaving the `with` block) ends the
    thread and forgets the stock.
    """

    def __init__(self, public_key: PublicKey, randomness: Randomness, capacity: int = 1024) -> None:
        if capacity < 1:
            raise ValueError("a pool holds at least one obfuscator")
        self.public_key = public_key
        self.capacity = capacity
        self._source = ObfuscatorSource(public_key, randomness)
        self._stock: deque[mpz] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._refill, name="paillier-obfuscators", daemon=True)
        self._thread.start()

    def __enter__(self) -> ObfuscatorPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """The number in stock."""
        return len(self._stock)

    def take(self, count: int) -> list[mpz]:
        """Return `count` obfuscators, from the stock as far as it goes. Raises: ValueError once closed."""
        with self._changed:
            if self._closed:
                raise ValueError("the obfuscator pool is closed")
            taken = [self._stock.popleft() for _ in range(min(count, len(self._stock)))]
            self._changed.notify_all()
        return taken + self._source.take(count - len(taken))

    def wait_until_full(self, timeout: float | None = None) -> bool:
        """Return whether the stock reached its capacity within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or len(self._stock) >= self.capacity, timeout)

    def close(self) -> None:
        """Stop the thread and drop the stock; safe to call twice."""
        with self._changed:
            self._closed = True
            self._stock.clear()
            self._changed.notify_all()
        self._thread.join()

    def _refill(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._stock) < self.capacity)
                if self._closed:
                    return
            fresh = self._source.take(1)
            with self._changed:
                if self._closed:
                    return
                self._stock.extend(fresh)
                self._changed.notify_all()
