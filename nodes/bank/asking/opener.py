"""Where a bank's answers are decrypted: apart from the agent, so that neither new questions nor single ones wait.

Decryption leaves the interpreter to others while it works, and touches neither ledger nor log.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from protocols.assessment.opening import SealedSum, open_together
from protocols.paillier import PrivateKey, PublicKey, Randomness
from protocols.stream import Gatherer

_Closed = tuple[PrivateKey, SealedSum]

TOGETHER: Final = 4
"""Single answers that are opened at once, if so many wait: as many as a 3072-bit key has room for in any model."""


class Opener:
    """Opens sums: single answers that wait together with one exponentiation, batches, one by one, on another thread."""

    def __init__(self, key_of: Callable[[PublicKey], PrivateKey], randomness: Randomness = secrets.token_bytes) -> None:
        """`key_of` returns the secret key of a public one, which a rotation may have replaced meanwhile."""
        self._key_of, self._randomness = key_of, randomness
        self._single: Gatherer[_Closed, list[int]] = Gatherer("open", self._open_all, TOGETHER)
        self._batches = ThreadPoolExecutor(1, thread_name_prefix="open-batch")

    async def open(self, sealed: SealedSum) -> list[int]:
        """Return the plaintexts of a sum."""
        key = self._key_of(sealed.product.public_key)
        if len(sealed.product) == 1:
            return await self._single.submit((key, sealed))
        return await asyncio.get_running_loop().run_in_executor(self._batches, sealed.open, key)

    def close(self) -> None:
        """Wait for what is being opened; nothing more is."""
        self._single.close()
        self._batches.shutdown()

    def _open_all(self, closed: Sequence[_Closed]) -> list[list[int]]:
        """Open single answers; those under one key, as all are but during a rotation, together."""
        found: list[list[int]] = []
        for key, some in itertools.groupby(closed, lambda one: one[0]):
            found += open_together([sealed for _, sealed in some], key, self._randomness)
        return found
