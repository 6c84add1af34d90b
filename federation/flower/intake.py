"""Takes the runs that banks hand in: gathers an opening's pieces, has the engine carry it, and lets its bank follow.

The coordinator believes a bank's certificate only for who it is. What it hands in goes on only as the desk's
coordinator verifies it, envelope by envelope, as in any round.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import secrets
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from federation.flower import desk_messages as d
from protocols.channel.envelope import open_parcel
from protocols.channel.identity import PartyId
from protocols.channel.wire import encode
from protocols.errors import CreditFederationError, PolicyDenied, UnexpectedMessage, VerificationFailed
from protocols.stream import runs as r

logger = logging.getLogger(__name__)
SILENCE_SECONDS: Final = 60.0
"""A run of whose ServerApp nothing was heard for so long is over."""


@dataclass(slots=True)
class _Arriving:
    """An opening of which not all is there; `run` is its name once it was begun."""

    asked: bytes
    size: int
    path: Path
    held: int = 0
    run: str = ""


class TrainingIntake:
    """The coordinator's end of banks' lines for training: one request at a time, beside the event loop.

    `submit` has the engine carry a run; `may_ask` tells who may hand one in; `roster` returns the parcel that tells a
    party of a newer roster than the one of a sequence, b"" if there is none.
    """

    def __init__(
        self,
        records: Path,
        submit: Callable[[str], None],
        may_ask: Callable[[PartyId], bool],
        roster: Callable[[PartyId, int], bytes],
    ) -> None:
        self._records, self._submit, self._may_ask, self._roster = records, submit, may_ask, roster
        self._arriving: dict[PartyId, _Arriving] = {}
        self._latest = ""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="intake")
        self._engine = ThreadPoolExecutor(1, thread_name_prefix="engine")
        for forgotten in records.glob(".*"):  # of a coordinator that ended meanwhile
            forgotten.unlink()

    async def serve(self, party: PartyId, data: bytes) -> bytes:
        """Return the answer to one request of an admitted party; never raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._serve, party, data)

    def close(self) -> None:
        """Let the engine take what was handed in."""
        self._thread.shutdown()
        self._engine.shutdown()

    def _serve(self, party: PartyId, data: bytes) -> bytes:
        try:
            if not self._may_ask(party):
                raise PolicyDenied(f"{party} trains nothing", code="NOT_A_BANK")
            asked = r.decode_asked(data)
            return encode(self._answer(party, asked))
        except CreditFederationError as error:
            logger.warning("training refused", extra={"party": party, "code": error.code, "text": str(error)})
            return encode(r.RunRefused(error.code))
        except Exception as error:
            logger.error("training failed", extra={"party": party, "error": type(error).__name__}, exc_info=error)
            return encode(r.RunRefused("INTERNAL_ERROR"))

    def _answer(self, party: PartyId, asked: r.Asked) -> r.Answered:
        if isinstance(asked, r.RosterQuestion):
            return r.RosterParcel(self._roster(party, asked.known))
        return self._take(party, asked) if isinstance(asked, r.OpeningPiece) else self._read(party, asked)

    # ---- what is handed in

    def _take(self, party: PartyId, piece: r.OpeningPiece) -> r.RunHeld:
        """Keep a piece; begin the run with the last one. Raises: UnexpectedMessage, VerificationFailed."""
        arriving = self._arriving.get(party)
        if arriving is None or arriving.asked != piece.asked:
            arriving = self._arriving[party] = self._anew(party, piece)
        if arriving.run or piece.at != arriving.held:  # an answer was lost: the bank learns where it stands
            return r.RunHeld(arriving.held, arriving.run)
        if piece.size != arriving.size or not piece.data or arriving.held + len(piece.data) > arriving.size:
            raise UnexpectedMessage(f"a piece of {len(piece.data)} bytes does not fit the opening")
        with arriving.path.open("ab") as file:
            file.write(piece.data)
        arriving.held += len(piece.data)
        if arriving.held == arriving.size:
            arriving.run = self._begin(party, arriving.path)
        return r.RunHeld(arriving.held, arriving.run)

    def _anew(self, party: PartyId, piece: r.OpeningPiece) -> _Arriving:
        """Forget what the party has begun to hand in before."""
        if piece.at:
            raise UnexpectedMessage("the opening's first pieces are lost", code="OPENING_LOST")
        self._records.mkdir(exist_ok=True)
        if party in self._arriving:
            self._arriving[party].path.unlink(missing_ok=True)
        path = self._records / f".{piece.asked.hex()}"
        path.write_bytes(b"")
        return _Arriving(piece.asked, piece.size, path)

    def _begin(self, party: PartyId, opening: Path) -> str:
        """Begin a run, and return its name. Raises: VerificationFailed; UnexpectedMessage, code TRAINING_BUSY."""
        try:
            senders = {envelope.sender for envelope in open_parcel(opening.read_bytes())}
            if senders != {party}:
                raise VerificationFailed(f"{party} has handed in what it has not written")
            if self._busy():
                raise UnexpectedMessage("another run is under way", code="TRAINING_BUSY")
        except CreditFederationError:
            opening.unlink()
            raise
        run = self._latest = f"{datetime.datetime.now(datetime.UTC):%Y%m%dt%H%M%Sz}-{secrets.token_hex(3)}"
        self._note(run, {"bank": party})
        opening.rename(self._records / f"{run}.parcel")
        self._engine.submit(self._start, run)
        return run

    def _busy(self) -> bool:
        """Whether the latest run has not ended, and was heard of lately."""
        record = self._record(self._latest)
        if not self._latest or not record.exists() or time.time() > record.stat().st_mtime + SILENCE_SECONDS:
            return False
        return not any(msgspec.json.decode(line, type=_Ended).end for line in record.read_bytes().splitlines())

    def _start(self, run: str) -> None:
        try:
            self._submit(run)
        except (subprocess.CalledProcessError, OSError) as error:
            logger.error("the SuperLink has not taken a run", extra={"run": run, "error": type(error).__name__})
            (self._records / f"{run}.parcel").unlink(missing_ok=True)
            text = "the SuperLink has not taken the run"
            self._note(run, {"end": d.End("ENGINE_UNAVAILABLE", text, {}, {}, 0, {})})

    # ---- what is said of it

    def _read(self, party: PartyId, question: r.RecordQuestion) -> r.RecordPiece:
        """Return what was added to a run's record. Raises: PolicyDenied, code RUN_UNKNOWN, to all but its bank."""
        try:
            with self._record(question.run).open("rb") as file:
                asker = msgspec.json.decode(file.readline(), type=_AskedBy).bank
                file.seek(question.at)
                found = file.read(r.LARGEST_PIECE)
        except (OSError, msgspec.DecodeError):
            asker, found = "", b""
        if asker != party:
            raise PolicyDenied(f"{party} has no such run", code="RUN_UNKNOWN")
        return r.RecordPiece(found[: found.rfind(b"\n") + 1])

    def _record(self, run: str) -> Path:
        return self._records / f"{run}.jsonl"

    def _note(self, run: str, line: dict[str, d.End | str]) -> None:
        with self._record(run).open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")


class _Ended(msgspec.Struct, frozen=True):
    """Whether a line of a record says how the run ended."""

    end: dict[str, object] | None = None


class _AskedBy(msgspec.Struct, frozen=True):
    """The first line of a record: whose run it is."""

    bank: str
