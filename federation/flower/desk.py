"""The coordinator's desk for training: routes what parties have sent, and keeps what the ServerApp reports.

A bank asks for a run by handing in its first parcel (`intake`), which lies as RUN.parcel in the folder of records. The
desk has a coordinator of its own, in a thread of its own, over the same log: training never holds up an assessment.
Each run's record is a file of JSON lines, one for each round and one for the end.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from federation.coordinator import Coordinator, announced
from federation.flower import desk_messages as d
from federation.traffic import RoundEvent
from protocols.channel.envelope import Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.errors import CreditFederationError, UnexpectedMessage

logger = logging.getLogger(__name__)
RECORDS: Final = "training"


class TrainingDesk:
    """Serves the ServerApp of one coordinator."""

    def __init__(self, home: Path, coordinator: Coordinator) -> None:
        self._records, self._coordinator = home / RECORDS, coordinator
        self._under_way = ""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="training")

    async def serve(self, data: bytes) -> bytes:
        """Return the answer to one request; never raises. A sign of life does not wait for a round that is routed."""
        thread = None if d.is_sign_of_life(data) else self._thread
        return await asyncio.get_running_loop().run_in_executor(thread, self._serve, data)

    def close(self) -> None:
        """Finish what was begun."""
        self._thread.shutdown()

    def _serve(self, data: bytes) -> bytes:
        try:
            return d.encode(self._answer(d.decode_request(data)))
        except CreditFederationError as error:
            logger.warning("training request refused", extra={"code": error.code, "bytes": len(data)})
            return d.encode(d.Refused(error.code, str(error)))
        except Exception as error:
            logger.error("training request failed", extra={"error": type(error).__name__}, exc_info=error)
            return d.encode(d.Refused("INTERNAL_ERROR", type(error).__name__))

    def _answer(self, request: d.Request) -> d.Answer:
        if isinstance(request, d.Begin):
            self._coordinator.leaks.clear()
            self._under_way, opening = request.run, self._opening(request.run)
            first, *others = announced(open_parcel(opening))
            return d.Parties(first, opening, tuple(sorted({first, *others})))
        if request.run != self._under_way:  # begun before this process was, which knows nothing of it
            return self._lost(request)
        if isinstance(request, d.Route):
            return d.Routed(self._route(request))
        if isinstance(request, d.Alive):
            self._keep(request.run, {"alive": True})
        elif isinstance(request, d.Report):
            self._keep(request.run, {"round": request.event})
        else:
            leaks = {leak.value: count for leak, count in self._coordinator.leaks.items()}
            self._keep(request.run, {"end": msgspec.structs.replace(request.end, leaks=leaks)})
        return d.Noted()

    def _lost(self, request: d.Request) -> d.Answer:
        """Keep how a run ended that a coordinator before this one had begun. Raises: UnexpectedMessage for the rest."""
        if isinstance(request, d.Finished):
            self._keep(request.run, {"end": request.end})
            return d.Noted()
        raise UnexpectedMessage("the coordinator was started anew during this run", code="RUN_LOST")

    def _opening(self, run: str) -> bytes:
        """Return the parcel that asks for a run, once. Raises: UnexpectedMessage if nobody has handed one in."""
        path = self._records / f"{run}.parcel"
        try:
            parcel = path.read_bytes()
            path.unlink()
        except FileNotFoundError:
            raise UnexpectedMessage("nobody has asked for this run", code="RUN_UNKNOWN") from None
        return parcel

    def _route(self, request: d.Route) -> dict[str, bytes]:
        going: dict[PartyId, list[Envelope]] = {}
        for sender, parcel in request.parcels.items():
            for receiver, envelope in self._coordinator.route(PartyId(sender), open_parcel(parcel)):
                going.setdefault(receiver, []).append(envelope)
        return {party: pack_parcel(tuple(envelopes)) for party, envelopes in going.items()}

    def _keep(self, run: str, line: dict[str, RoundEvent | d.End | bool]) -> None:
        self._records.mkdir(exist_ok=True)
        with (self._records / f"{run}.jsonl").open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")
