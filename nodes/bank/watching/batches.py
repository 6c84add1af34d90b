"""Answers the rows of batches, chunk by chunk: what a chunk gave is durable before the next is asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from nodes.bank.asking.results import AssessmentResult
from nodes.bank.report.facts import ModelFacts
from nodes.bank.service import Applicant, BankService
from nodes.bank.store import assessments, batches
from nodes.bank.store.assessments import Assessment, Source
from nodes.bank.store.batches import Batch, BatchRow, RowStatus
from nodes.bank.store.database import Database
from protocols.consent import Purpose
from protocols.errors import ConfigurationError, CreditFederationError, TransportError

CHUNK: Final = 256
ATTEMPTS: Final = 3


class BatchRunner:
    """Goes on with the oldest batch that has open rows. A chunk that was not recorded, it asks again."""

    def __init__(
        self, service: BankService, database: Database, clock: Callable[[], int], facts: Callable[[str], ModelFacts]
    ) -> None:
        """`facts` says of a model's hash what the model says of itself."""
        self._service, self._database, self._clock, self._facts = service, database, clock, facts
        self._failures: dict[tuple[int, int], int] = {}

    async def answer_chunk(self) -> bool:
        """Answer one chunk; say whether one was answered. False: nothing is open, or the federation gives no answer."""
        batch = await self._database.call(batches.first_open)
        if batch is None:
            return False
        rows = await self._database.call(lambda c: batches.open_rows(c, batch.number, CHUNK))
        applicants = [Applicant(row.enterprise, row.consent) for row in rows]
        try:
            results = await self._service.assess_batch(applicants, Purpose(batch.purpose))
        except CreditFederationError as error:
            return await self._recover(batch, rows, error)
        await self._database.call(lambda c: self._record(c, batch, rows, results))
        return True

    def _record(
        self,
        connection: sqlite3.Connection,
        batch: Batch,
        rows: Sequence[BatchRow],
        results: Sequence[AssessmentResult],
    ) -> None:
        now = self._clock()
        for row, result in zip(rows, results, strict=True):
            facts, identifier = self._facts(result.model), assessments.new_id()
            made = Assessment(identifier, now, Source.BATCH, batch.purpose, row.reference, result, facts)
            assessments.add(connection, made)
            batches.settle(connection, batch.number, row.row, RowStatus(result.status), result.code, identifier)
        batches.wait_for(connection, batch.number, "")
        batches.close_if_done(connection, batch.number, now)

    async def _recover(self, batch: Batch, rows: Sequence[BatchRow], error: CreditFederationError) -> bool:
        """Let the batch wait; a chunk that fails again and again is given up, unless nobody can be reached."""
        await self._database.call(lambda c: batches.wait_for(c, batch.number, error.code))
        if isinstance(error, TransportError | ConfigurationError):
            return False
        place = batch.number, rows[0].row
        self._failures[place] = self._failures.get(place, 0) + 1
        if self._failures[place] < ATTEMPTS:
            return False
        del self._failures[place]

        def give_up(connection: sqlite3.Connection) -> None:
            for row in rows:
                batches.settle(connection, batch.number, row.row, RowStatus.FAILED, error.code, None)
            batches.wait_for(connection, batch.number, "")
            batches.close_if_done(connection, batch.number, self._clock())

        await self._database.call(give_up)
        return True
