"""Where a bank's answers are decrypted: apart from the agent, so that neither new questions nor single ones wait.

Decryption leaves the interpreter to others while it works, and touches neither ledger nor log.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from protocols.assessment.opening import SealedSum
from protocols.paillier import PrivateKey, PublicKey

MOST_THREADS: Final = 4


class Opener:
    """Opens sums: single answers on a few threads, batches, which take longer, one after the other on another."""

    def __init__(self, key_of: Callable[[PublicKey], PrivateKey]) -> None:
        """`key_of` returns the secret key of a public one, which a rotation may have replaced meanwhile."""
        self._key_of = key_of
        self._single = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1), thread_name_prefix="open")
        self._batches = ThreadPoolExecutor(1, thread_name_prefix="open-batch")

    async def open(self, sealed: SealedSum) -> list[int]:
        """Return the plaintexts of a sum."""
        threads = self._single if len(sealed.product) == 1 else self._batches
        key = self._key_of(sealed.product.public_key)
        return await asyncio.get_running_loop().run_in_executor(threads, sealed.open, key)

    def close(self) -> None:
        """Wait for what is being opened; nothing more is."""
        self._single.shutdown()
        self._batches.shutdown()
