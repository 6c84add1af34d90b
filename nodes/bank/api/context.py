"""What every request of the bank's API works with."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Annotated
from weakref import WeakValueDictionary

from fastapi import Depends, Header, Request, Response

from nodes.bank.api.problems import Problem
from nodes.bank.api.settings import ApiSettings
from nodes.bank.report.facts import ModelFacts, model_facts
from nodes.bank.service import BankService
from nodes.bank.store import replays
from nodes.bank.store.api_keys import ApiKey
from nodes.bank.store.database import Database
from nodes.bank.store.replays import Answer
from nodes.bank.watching.webhooks import WebhookSigner

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Any text of your own, new for each new request. The same key with the same request gets the same "
        "answer for a week, however often it is sent; with another request it gets 409.",
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
    ),
]


Finish = Callable[[sqlite3.Connection], Answer]
"""Stores the work of a request, within one transaction, and returns its answer."""


class BankContext:
    """The federation's port, the bank's database and its settings, for one process."""

    def __init__(self, service: BankService, database: Database, signer: WebhookSigner, settings: ApiSettings) -> None:
        self.service, self.database, self.signer, self.settings = service, database, signer, settings
        self._sleepers: list[asyncio.Event] = []
        self._facts: dict[str, ModelFacts] = {}
        self._open: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def now(self) -> int:
        """Return the time in seconds since 1970 UTC."""
        return self.settings.clock()

    def facts(self, model_hash: str) -> ModelFacts:
        """Return what the model that answered says of itself. Raises: ConfigurationError, VerificationFailed."""
        if model_hash not in self._facts:
            found = model_facts(self.service.model())
            self._facts[found.hash] = found
        unknown = ModelFacts(model_hash, "", "", "", None, 0)  # trained anew since it answered
        return self._facts.get(model_hash, unknown)

    def sleeper(self) -> asyncio.Event:
        """Return an event that `wake` sets: for work that waits for something to do."""
        self._sleepers.append(asyncio.Event())
        return self._sleepers[-1]

    def wake(self) -> None:
        """Let the work that runs beside the requests look for something to do, now."""
        for sleeper in self._sleepers:
            sleeper.set()

    async def once(
        self,
        caller: ApiKey,
        key: str | None,
        request: Request,
        make: Callable[[], Awaitable[Finish]],
    ) -> Response:
        """Answer a request once: what `make` returns stores its work and the answer in one transaction.

        With a key, a request that comes again, at the same time or later, gets the bytes of the first answer. A
        request that ended in an error is not kept, and can be sent again.
        Raises: Problem, 409 IDEMPOTENCY_CONFLICT, if the key was used for another request.
        """
        if key is None:
            return _response(await self.database.call(await make()))
        said = _fingerprint(request, await request.body())
        lock = self._open.setdefault((caller.id, key), asyncio.Lock())
        async with lock:
            now = self.now()
            known = await self.database.call(lambda c: replays.find(c, caller.id, key, now))
            if known is not None:
                if known[0] != said:
                    raise Problem(409, "IDEMPOTENCY_CONFLICT", "the idempotency key was used for another request")
                return _response(known[1], replayed=True)
            finish = await make()

            def both(connection: sqlite3.Connection) -> Answer:
                answer = finish(connection)
                replays.keep(connection, caller.id, key, said, answer, now)
                return answer

            return _response(await self.database.call(both))


def bank_context(request: Request) -> BankContext:
    """Return the context of the application that serves a request."""
    found: BankContext = request.app.state.bank
    return found


Bank = Annotated[BankContext, Depends(bank_context)]


def _fingerprint(request: Request, body: bytes) -> bytes:
    hasher = hashlib.sha256()
    for part in (request.method, request.url.path, request.url.query, request.headers.get("content-type", "")):
        hasher.update(len(part.encode()).to_bytes(4) + part.encode())
    hasher.update(body)
    return hasher.digest()


def _response(answer: Answer, *, replayed: bool = False) -> Response:
    headers = {"Location": answer.location} if answer.location else {}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(answer.body, answer.status, headers, "application/json")
