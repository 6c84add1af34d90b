"""Obfuscators made ahead of time, so that an encryption online costs two small multiplications."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType
from typing import Final

from protocols.paillier.keys import PrivateKey, PublicKey
from protocols.paillier.obfuscators import Obfuscator, ObfuscatorSource, OthersResidues, OwnerResidues
from protocols.paillier.sampling import Randomness

_TOGETHER: Final = 16
"""Obfuscators made at once: by the table, sixteen cost a third less each than one alone."""


class ObfuscatorPool:
    """At most `capacity` obfuscators in stock, refilled by a thread in the background; each is handed out once.

    The refilling begins once several are missing, for several together cost less.
    A burst beyond the stock is served at once, by computing the rest. `close`, or leaving the `with` block, ends the
    thread and drops the stock. Memory: about 0.4 * bits bytes each, 0.9 KiB at 2048 bits.
    """

    def __init__(self, public_key: PublicKey, randomness: Randomness, capacity: int = 1024) -> None:
        self._start(OthersResidues(public_key, randomness), capacity)

    @classmethod
    def for_owner(cls, private_key: PrivateKey, randomness: Randomness, capacity: int = 1024) -> ObfuscatorPool:
        """Return a pool of the key owner's obfuscators, for an `OwnerEncryptor`."""
        pool = cls.__new__(cls)
        pool._start(OwnerResidues(private_key, randomness), capacity)
        return pool

    def __enter__(self) -> ObfuscatorPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def public_key(self) -> PublicKey:
        """The key the obfuscators are for."""
        return self._source.public_key

    @property
    def in_stock(self) -> int:
        """How many are ready."""
        return len(self._stock)

    def take(self, count: int) -> list[Obfuscator]:
        """Return `count` obfuscators, from the stock as far as it goes. Raises: ValueError once closed."""
        with self._changed:
            if self._closed:
                raise ValueError("the obfuscator pool is closed")
            taken = [self._stock.popleft() for _ in range(min(count, len(self._stock)))]
            if self._worth_refilling():
                self._changed.notify_all()
        if len(taken) < count:
            with self._making:
                taken += self._source.take(count - len(taken))
        return taken

    def wait_until_full(self, timeout: float | None = None) -> bool:
        """Return whether the stock reached its capacity within `timeout` seconds."""
        with self._changed:
            self._filling = len(self._stock) < self.capacity
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or len(self._stock) >= self.capacity, timeout)
            return len(self._stock) >= self.capacity

    def close(self) -> None:
        """End the thread and drop the stock; safe to call twice."""
        with self._changed:
            self._closed = True
            self._stock.clear()
            self._changed.notify_all()
        self._thread.join()

    def _start(self, source: ObfuscatorSource, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("a pool holds at least one obfuscator")
        self.capacity = capacity
        self._source = source
        self._stock: deque[Obfuscator] = deque()
        self._changed = threading.Condition()  # guards the stock and the flag
        self._making = threading.Lock()  # guards the source
        self._closed = False
        self._filling = True
        self._thread = threading.Thread(target=self._refill, name="paillier-obfuscators", daemon=True)
        self._thread.start()

    def _worth_refilling(self) -> bool:
        return self.capacity - len(self._stock) >= min(_TOGETHER, self.capacity)

    def _refill(self) -> None:
        while True:
            with self._changed:
                self._filling = self._filling and len(self._stock) < self.capacity
                self._changed.wait_for(lambda: self._closed or self._filling or self._worth_refilling())
                if self._closed:
                    return
                self._filling, missing = True, self.capacity - len(self._stock)
            with self._making:
                fresh = self._source.take(min(_TOGETHER, missing))
            with self._changed:
                if self._closed:
                    return
                self._stock += fresh
                self._changed.notify_all()
            time.sleep(0)  # let a thread that serves a request have the interpreter
