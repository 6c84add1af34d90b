"""Opening a batch keeps no single answer waiting; single ones that wait together open as each does alone."""

from __future__ import annotations

import asyncio
import secrets
import threading
from dataclasses import dataclass, field

import pytest

from nodes.bank.asking.opener import Opener
from protocols.assessment.opening import SealedSum
from protocols.paillier import OwnerEncryptor, PrivateKey

DEADLINE = 60


@dataclass(frozen=True, slots=True)
class HeldSum(SealedSum):
    """A sum whose opening takes until it is let go."""

    begun: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def open(self, key: PrivateKey) -> list[int]:
        self.begun.set()
        assert self.released.wait(DEADLINE)
        return SealedSum(self.product, self.bits).open(key)


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return PrivateKey.generate(512, secrets.token_bytes)


def test_a_burst_of_batches_delays_no_single_answer(key: PrivateKey) -> None:
    encryptor = OwnerEncryptor(key, secrets.token_bytes)
    batches = [HeldSum(encryptor.encrypt([1, 2, 3]), 64) for _ in range(8)]

    async def run() -> None:
        opener = Opener(lambda _: key)
        opening = [asyncio.create_task(opener.open(batch)) for batch in batches]
        assert await asyncio.to_thread(batches[0].begun.wait, DEADLINE)
        for value in (7, 8, 9):
            sealed = SealedSum(encryptor.encrypt([value]), 64)
            assert await asyncio.wait_for(opener.open(sealed), DEADLINE) == [value]
        assert not any(task.done() for task in opening)
        for batch in batches:
            batch.released.set()
        assert await asyncio.gather(*opening) == [[1, 2, 3]] * len(batches)
        opener.close()

    asyncio.run(run())


def test_single_answers_of_two_keys_open_together(key: PrivateKey) -> None:
    keys = {key.public_key: key, (other := PrivateKey.generate(512, secrets.token_bytes)).public_key: other}
    encryptors = [OwnerEncryptor(secret, secrets.token_bytes) for secret in (key, other)]
    sums = [SealedSum(encryptors[value % 3 == 0].encrypt([value]), 64) for value in range(11)]

    async def run() -> None:
        opener = Opener(keys.__getitem__)
        opened = await asyncio.wait_for(asyncio.gather(*map(opener.open, sums)), DEADLINE)
        assert opened == [[value] for value in range(11)]
        opener.close()

    asyncio.run(run())
