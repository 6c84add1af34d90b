"""The deployed `ServerApp`: the rounds of one run over Flower's grid, each routed by the coordinator's desk.

It holds no key and opens nothing; what it may send to whom it is told. It runs as the coordinator's own user.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from federation.flower import desk_messages as d
from federation.flower.prompt_grid import PromptGrid, ask_again_soon
from federation.rounds import Mailroom, addresses
from federation.traffic import RoundEvent, Routed, Traffic
from protocols.channel.envelope import Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.errors import CreditFederationError, PeerRefused, TransportError, UnexpectedMessage

GATHER_SECONDS: Final = 60.0
ROUND_SECONDS: Final = 3600.0
"""For how long a round waits for its slowest party: one that hangs, or means to, ends the run, and blocks no other."""
DESK_SECONDS: Final = 30.0
"""For how long a desk that does not answer is asked again: a coordinator that ended is started anew."""
RETRY_SECONDS: Final = 0.5
ALIVE_SECONDS: Final = 5.0
Ask = Callable[[Path, bytes], bytes]


def make_server_app(ask: Ask) -> ServerApp:
    """Return the app; its run's configuration names the desk's socket and the run. `ask` brings a request to a socket.

    `ask` raises OSError if nobody answers there.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        socket = Path(str(context.run_config["desk"]))
        desk = Desk(lambda request: ask(socket, request), str(context.run_config["run"]))
        conduct(grid, desk)

    return app


class Desk:
    """The coordinator's desk, as its ServerApp sees it."""

    def __init__(self, ask: Callable[[bytes], bytes], run: str) -> None:
        self._bring, self._run = ask, run

    def begin(self) -> d.Parties:
        """Return whom the run must reach. Raises: PeerRefused with the desk's code."""
        answer = self._ask(d.Begin(self._run))
        if not isinstance(answer, d.Parties):
            raise UnexpectedMessage("the desk has not said whom the run must reach")
        return answer

    def route(self, sender: PartyId, envelopes: Sequence[Envelope]) -> Routed:
        """Return what follows from what a party has sent. Raises: PeerRefused with the desk's code."""
        answer = self._ask(d.Route(self._run, {sender: pack_parcel(tuple(envelopes))}))
        if not isinstance(answer, d.Routed):
            raise UnexpectedMessage("the desk has not said what goes on")
        return [(PartyId(p), envelope) for p, parcel in answer.parcels.items() for envelope in open_parcel(parcel)]

    def alive(self) -> None:
        """Tell that the run goes on, though no round has ended; a desk that does not hear it does not matter."""
        with suppress(OSError):
            self._bring(d.encode(d.Alive(self._run)))

    def report(self, event: RoundEvent) -> None:
        """Tell what a round did."""
        self._ask(d.Report(self._run, event))

    def finish(self, traffic: Traffic, carrying_seconds: float, code: str = "", text: str = "") -> None:
        """Tell that the run has ended."""
        end = d.End(
            code=code,
            text=text,
            bytes_sent=traffic.bytes_sent,
            bytes_received=traffic.bytes_received,
            rounds=traffic.rounds,
            seconds=traffic.seconds,
            carrying_seconds=carrying_seconds,
        )
        self._ask(d.Finished(self._run, end))

    def _ask(self, request: d.Request) -> d.Answer:
        answer = d.decode_answer(self._persist(d.encode(request)))
        if isinstance(answer, d.Refused):
            raise PeerRefused(answer.text, code=answer.code)
        return answer

    def _persist(self, request: bytes) -> bytes:
        limit = time.monotonic() + DESK_SECONDS
        while True:
            try:
                return self._bring(request)
            except OSError as error:
                if time.monotonic() > limit:
                    text = "the coordinator's desk does not answer"
                    raise TransportError(text, code="DESK_UNAVAILABLE") from error
                time.sleep(RETRY_SECONDS)


@contextmanager
def _alive(desk: Desk) -> Iterator[None]:
    """Tell the desk again and again that the run goes on, while the block runs."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(ALIVE_SECONDS):
            desk.alive()

    teller = threading.Thread(target=tell, name="alive", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def conduct(grid: Grid, desk: Desk) -> None:
    """Run all rounds, and tell the desk how they ended: what ends a run early is told, not raised."""
    ask_again_soon()
    traffic, prompt = Traffic(), PromptGrid(grid)
    code = text = ""
    try:
        parties = desk.begin()
        with _alive(desk):
            await_parties(grid, parties.parties)
            Mailroom(desk, PartyId(parties.first), parties.opening, traffic, desk.report, ROUND_SECONDS).run(prompt)
    except CreditFederationError as error:
        code, text = error.code, str(error)
    except Exception as error:  # of flwr, whose text may say anything
        code, text = "INTERNAL_ERROR", type(error).__name__
    desk.finish(traffic, prompt.carrying_seconds, code, text)


def await_parties(grid: Grid, parties: Sequence[str], seconds: float = GATHER_SECONDS) -> None:
    """Return once all parties' SuperNodes are connected. Raises: TransportError, code NODE_UNAVAILABLE."""
    limit = time.monotonic() + seconds
    while missing := sorted(set(parties) - addresses(grid).keys()):
        if time.monotonic() > limit:
            raise TransportError(f"not connected: {', '.join(missing)}", code="NODE_UNAVAILABLE")
        time.sleep(0.5)
