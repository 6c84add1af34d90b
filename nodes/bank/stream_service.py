"""`BankService` over the bank's own outbound stream: many questions at once, each with its limit in time."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from prometheus_client import Counter, Histogram

from nodes.bank.agent import BankAgent, Turn
from nodes.bank.asking.convoys import Convoys
from nodes.bank.asking.opener import Opener
from nodes.bank.asking.results import AssessmentResult
from nodes.bank.model.file import ModelFile
from nodes.bank.model.in_force import ModelInForce
from nodes.bank.service import MAX_BATCH, Applicant
from nodes.bank.settings import BankSettings
from nodes.bank.site import BankSite
from nodes.further_keys import further_keys
from nodes.sources import is_identifier
from nodes.stream import Connection
from nodes.stream.connection import UNAVAILABLE
from nodes.upkeep import Upkeep
from protocols.assessment.messages import Subject
from protocols.channel.pins import SUSPENDED
from protocols.consent import QUESTIONS, Purpose
from protocols.errors import ConfigurationError, CreditFederationError, NotSent, PolicyDenied, TransportError
from protocols.stream import TOO_LARGE, Gatherer
from protocols.uscc import validate as validate_uscc

logger = logging.getLogger(__name__)

TIMEOUT: Final = "TIMEOUT"
ASSESSED = Counter("credfed_assessments_total", "Enterprises asked about, by status and code.", ["status", "code"])
STAGES = Histogram("credfed_question_seconds", "Time of a question, by stage.", ["stage"])
_assessed, _stage = functools.cache(ASSESSED.labels), functools.cache(STAGES.labels)  # each look-up takes a lock
R = TypeVar("R")
_Found = list[AssessmentResult]
Results = Callable[[bytes], _Found]


class StreamBankService:
    """The bank's agent behind its stream; `run` keeps that up. One event loop; as the port `BankService` says.

    What gives no answer raises with a stable code: NODE_UNAVAILABLE, COORDINATOR_UNAVAILABLE, TIMEOUT. Cancelling a
    call ends its question.
    """

    def __init__(self, home: Path, settings: BankSettings, site: BankSite, model: ModelFile) -> None:
        self._settings, self._site = settings, site
        self._models = ModelInForce(model, home / settings.model, site.pins)
        self._agent = BankAgent(site)
        self._work: Gatherer[Callable[[], object], object] = Gatherer("agent", self._call_all)
        self._opener = Opener(site.ring.opening, site.randomness)
        self._connection = Connection(home, settings.coordinator, self._serve, lambda: site.pins.sequence)
        self._upkeep = Upkeep(
            home,
            settings.coordinator.tls,
            site.ring,
            self._connection,
            lambda: self._do(site.ring.refresh),
            further_keys(home, home / settings.cards, settings.door, site.ring, site.witness),
        )
        self._slots, self._convoys = asyncio.Semaphore(settings.open_queries), Convoys()
        self._telling: set[asyncio.Task[None]] = set()

    @property
    def up(self) -> bool:
        """Whether the coordinator is reached."""
        return self._connection.up

    async def run(self) -> None:
        """Keep the stream up until cancelled; what is owed to the coordinator is told before the stream ends.

        Raises: ConfigurationError if a certificate's file is missing.
        """
        stream, upkeep = asyncio.create_task(self._connection.run()), asyncio.create_task(self._upkeep.run())
        try:
            await asyncio.shield(stream)
        finally:
            upkeep.cancel()
            if self._telling and self.up:
                await asyncio.wait(self._telling, timeout=self._settings.query_seconds)
            stream.cancel()
            await asyncio.gather(stream, return_exceptions=True)
            self._work.close()
            self._opener.close()

    # ---- the port

    def check_enterprise(self, enterprise: str) -> None:
        """Return if `enterprise` could be known. Raises: ConfigurationError, code INVALID_USCC or INVALID_ID."""
        if self._settings.uscc:
            validate_uscc(enterprise)
        elif not is_identifier(enterprise):
            raise ConfigurationError("an enterprise's id is empty, too long, or not printable", code="INVALID_ID")

    def model(self) -> ModelFile:
        """Return the model that answers, as the bank signed it."""
        return self._models.current

    async def assess(
        self, enterprise: str, consent: str, purpose: Purpose = Purpose.ASSESSMENT, objection: bytes = b""
    ) -> AssessmentResult:
        """Ask all nodes about one enterprise. Raises: as the port says."""
        self._check([enterprise], purpose)
        model = self._models.current
        (result,) = await self._ask(
            lambda: self._agent.pose(enterprise, consent, model, objection, purpose),
            lambda transcript: [self._agent.result(transcript)],
            self._settings.query_seconds,
        )
        return result

    async def assess_batch(self, applicants: Sequence[Applicant], purpose: Purpose) -> list[AssessmentResult]:
        """Ask all nodes about many enterprises at once. Raises: as the port says; ValueError for over `MAX_BATCH`."""
        if len(applicants) > MAX_BATCH:
            raise ValueError(f"{len(applicants)} applicants where at most {MAX_BATCH} go together")
        self._check([applicant.enterprise for applicant in applicants], purpose)
        subjects = [Subject(applicant.enterprise, applicant.consent) for applicant in applicants]
        return await self._ask_batch(subjects, purpose, self._models.current)

    async def _ask_batch(self, subjects: list[Subject], purpose: Purpose, model: ModelFile) -> _Found:
        """Ask about all of them at once, or, where that is too much for one frame of a stream, half by half."""
        try:
            return await self._ask(
                lambda: self._agent.pose_batch(subjects, model, purpose),
                self._agent.batch_results,
                self._settings.batch_seconds,
            )
        except CreditFederationError as error:
            if error.code != TOO_LARGE or len(subjects) < 2:
                raise
        middle = len(subjects) // 2
        first = await self._ask_batch(subjects[:middle], purpose, model)
        return first + await self._ask_batch(subjects[middle:], purpose, model)

    async def ready(self) -> None:
        """Return if the coordinator is reached. Raises: TransportError, code COORDINATOR_UNAVAILABLE."""
        if not self.up:
            raise TransportError("the coordinator is not reached", code=UNAVAILABLE)

    # ---- one question

    def _check(self, enterprises: Sequence[str], purpose: Purpose) -> None:
        if purpose not in QUESTIONS:
            raise PolicyDenied(f"no model serves the purpose {purpose}", code="PURPOSE_DENIED")
        for enterprise in enterprises:
            self.check_enterprise(enterprise)

    async def _ask(
        self,
        pose: Callable[[], tuple[bytes, bytes]],
        results: Results,
        seconds: float,
    ) -> _Found:
        """Carry a question to its end, and count what came of it."""
        try:
            with _stage("total").time():
                async with self._slots, self._convoys.joined():
                    await self._reach(seconds)
                    transcript, parcel = await self._pose(pose)
                    found = await self._conduct(transcript, parcel, results, seconds)
        except CreditFederationError as error:
            ours = isinstance(error, TransportError)  # a peer's codes would be labels without end
            _assessed("none", error.code if ours else "REFUSED").inc()
            raise
        for result in found:
            _assessed(result.status, "" if result.status == "denied" else result.code).inc()
        return found

    async def _reach(self, seconds: float) -> None:
        """Return once the coordinator is reached: a question that cannot leave is not put on record.

        Raises: NotSent, codes TIMEOUT, PARTY_SUSPENDED.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._connection.reached()
        except TimeoutError:
            raise NotSent(f"no stream to the coordinator in {seconds:g} s", code=TIMEOUT) from None

    async def _pose(self, pose: Callable[[], tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
        """Open a question; if the caller goes away meanwhile, it is given up as soon as it is open."""
        posing = asyncio.ensure_future(self._do(pose))
        try:
            with _stage("ask").time():
                return await asyncio.shield(posing)
        except asyncio.CancelledError:
            self._later(self._abandon(posing))
            raise

    async def _conduct(self, transcript: bytes, parcel: bytes, results: Results, seconds: float) -> _Found:
        """Ask and answer until the question has ended; see that the coordinator learns of it; return the results.

        Of a question that does not even leave nobody learns, and it is on no record.
        """
        asked = parcel
        try:
            async with asyncio.timeout(seconds):
                outcome: _Found | CreditFederationError | None = None
                while outcome is None:
                    parcel, outcome = await self._turn(transcript, parcel, results)
        except TimeoutError:
            raise self._given_up(transcript, TransportError(f"no answer in {seconds:g} s", code=TIMEOUT)) from None
        except CreditFederationError as error:
            if parcel is asked and isinstance(error, NotSent):
                await self._do(lambda: self._agent.withdraw(transcript))
                raise
            raise self._given_up(transcript, error) from None
        except asyncio.CancelledError:
            self._given_up(transcript, TransportError("nobody waits any more", code="CANCELLED"))
            raise
        self._later(self._tell(parcel))
        if isinstance(outcome, CreditFederationError):
            raise outcome
        return outcome

    async def _turn(
        self, transcript: bytes, parcel: bytes, results: Results
    ) -> tuple[bytes, _Found | CreditFederationError | None]:
        """Send a parcel and take the reply; return what to send next, and how the question has ended if it has."""
        with _stage("federation").time():
            try:
                reply = await self._connection.request(parcel)
            except TransportError as error:
                kept = error.code in (TOO_LARGE, "STREAM_FULL", SUSPENDED)
                raise type(error)(str(error), code=error.code if kept else UNAVAILABLE) from error

        def read(turn: Turn) -> tuple[Turn, _Found | CreditFederationError | None]:
            try:
                return turn, results(transcript) if turn.closed else None
            except CreditFederationError as error:  # the question has ended, and what came is not to be believed
                return turn, error

        with _stage("open").time():
            turn, outcome = await self._do(lambda: read(self._agent.proceed(transcript, reply)))
            if turn.sealed is not None:
                values = await self._opener.open(turn.sealed)
                turn, outcome = await self._do(lambda: read(self._agent.conclude(transcript, values)))
        return turn.parcel, outcome

    def _given_up(self, transcript: bytes, reason: CreditFederationError) -> CreditFederationError:
        """Have a question given up, and return why."""
        self._later(self._give_up(transcript, reason))
        return reason

    async def _abandon(self, posing: asyncio.Future[tuple[bytes, bytes]]) -> None:
        """Give up a question that nobody waits for once it is open; if it could not be opened, so much the better."""
        with suppress(Exception):
            transcript, _ = await posing
            await self._give_up(transcript, TransportError("nobody waits any more", code="CANCELLED"))

    async def _give_up(self, transcript: bytes, reason: CreditFederationError) -> None:
        await self._tell(await self._do(lambda: self._agent.give_up(transcript, reason)))

    async def _tell(self, parcel: bytes) -> None:
        """Send the word that ends a question. If it is lost, the log is without an ACK and says so."""
        try:
            async with asyncio.timeout(self._settings.query_seconds):
                await self._connection.request(parcel, patient=True)
        except (TransportError, TimeoutError) as error:
            logger.warning("an acknowledgement was lost", extra={"error": type(error).__name__})

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    # ---- the agent's thread

    async def _serve(self, parcel: bytes) -> bytes:
        return await self._do(lambda: self._agent.handle(parcel))

    async def _do(self, work: Callable[[], R]) -> R:
        return cast(R, await self._work.submit(work))

    def _call_all(self, calls: Sequence[Callable[[], object]]) -> list[object | Exception]:
        """Do what waits for the agent; nothing of it goes on before all of it is on record."""
        with self._site.ledger.group() if self._site.ledger is not None else nullcontext():
            return [_call(call) for call in calls]


def _call(call: Callable[[], object]) -> object | Exception:
    try:
        return call()
    except Exception as error:
        return error
