"""The `ServerApp`: carries parcels between the parties, round by round, until nobody has anything more to say.

One round is one exchange over Flower's grid, whoever is in it: data nodes, the bank, or all of them at once. What is in
the parcels, and who gets them next, is the coordinator's business; this module knows only parties, bytes and time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from federation.grid import parcel_message, reply_parcel
from federation.traffic import RoundEvent, Routed, Traffic, phase_of
from federation.witnessing import Deliver
from protocols.channel.envelope import Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.errors import CreditFederationError, PeerRefused, TransportError


class Router(Protocol):
    """Whoever says what goes on to whom: the coordinator, here or at the end of a socket."""

    def route(self, sender: PartyId, envelopes: Sequence[Envelope]) -> Routed:
        """Return what follows from what a party has sent. Raises: CreditFederationError."""
        ...


class Mailroom:
    """Runs rounds over a grid for one coordinator. Units: `timeout` of a round in seconds; None is the grid's own.

    `opening` is the parcel that `first` hands in with its request; what is in it goes on in the first round.
    """

    def __init__(
        self,
        coordinator: Router,
        first: PartyId,
        opening: bytes,
        traffic: Traffic,
        on_round: Callable[[RoundEvent], None] = lambda event: None,
        timeout: float | None = None,
    ) -> None:
        self._coordinator, self._first, self._opening = coordinator, first, opening
        self._traffic, self._on_round, self._timeout = traffic, on_round, timeout

    def run(self, grid: Grid) -> None:
        """Deliver what the first party has handed in, and carry on until nobody answers any more.

        Raises: PeerRefused with the party's code; TransportError for a party that does not answer; MalformedMessage,
        UnexpectedMessage or VerificationFailed for an answer that is not what it must be; ConfigurationError if the
        log cannot be written. The text names the party, the round and its phase.

        Rounds are not undone. What was released, charged and logged until then stays so, and so does what a party
        keeps of the run until it opens the next: an unfinished training, and at nodes that all signatures had
        reached, a part of a model that no bank has and that is therefore never asked for. What the other parties have
        answered in the last round is logged, though nobody gets it.
        """
        nodes = addresses(grid)
        pending = self._route({self._first: self._opening}, "opening")
        while pending:
            started = time.monotonic()
            self._traffic.rounds += 1
            before, phase = self._traffic.total_bytes, phase_of(pending)
            where = f"round {self._traffic.rounds}, {phase}"
            replies = self._exchange(grid, nodes, pending, where)
            following = self._route(replies, where)
            seconds, size = time.monotonic() - started, self._traffic.total_bytes - before
            self._traffic.seconds[phase] = self._traffic.seconds.get(phase, 0.0) + seconds
            self._on_round(RoundEvent(self._traffic.rounds, phase, tuple(pending), size, seconds))
            pending = following

    def _route(self, replies: Mapping[PartyId, bytes | None], where: str) -> dict[PartyId, list[Envelope]]:
        """Return what each party gets next, once all that verifies is logged; then raise what a party has failed in."""
        answers = {party: reply for party, reply in replies.items() if reply is not None}
        failures: list[CreditFederationError] = []
        if silent := replies.keys() - answers.keys():
            failures.append(TransportError(f"{', '.join(sorted(silent))} did not answer ({where})"))
        following: dict[PartyId, list[Envelope]] = {}
        for party, reply in answers.items():
            try:
                for receiver, envelope in self._routed(party, reply, where):
                    following.setdefault(receiver, []).append(envelope)
            except TransportError:  # of a coordinator that is gone: it logs nothing more
                raise
            except CreditFederationError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]
        return following

    def _routed(self, party: PartyId, reply: bytes, where: str) -> Routed:
        self._traffic.bytes_sent[party] = self._traffic.bytes_sent.get(party, 0) + len(reply)
        with _told(party, where):
            return self._coordinator.route(party, open_parcel(reply))

    def _exchange(
        self, grid: Grid, nodes: Mapping[PartyId, int], pending: Mapping[PartyId, list[Envelope]], where: str
    ) -> dict[PartyId, bytes | None]:
        parcels = {}
        for party, envelopes in pending.items():
            if party not in nodes:
                raise TransportError(f"{party} is not connected ({where})")
            parcels[party] = pack_parcel(tuple(envelopes))
            self._count_received(party, envelopes, len(parcels[party]))
        return exchange(grid, nodes, parcels, str(self._traffic.rounds), self._timeout)

    def _count_received(self, party: PartyId, envelopes: list[Envelope], size: int) -> None:
        traffic = self._traffic
        traffic.bytes_received[party] = traffic.bytes_received.get(party, 0) + size
        traffic.messages_received[party] = traffic.messages_received.get(party, 0) + len(envelopes)
        traffic.kinds_received.setdefault(party, set()).update(envelope.message for envelope in envelopes)


class Rounds(Protocol):
    """Whatever is done in exchanges over a grid."""

    def run(self, grid: Grid) -> None:
        """Do all of it."""
        ...


class Deliveries:
    """Rounds in which `work` takes parcels to parties, whenever it likes, and gets their replies."""

    def __init__(self, work: Callable[[Deliver], None], group: str) -> None:
        self._work, self._group = work, group

    def run(self, grid: Grid) -> None:
        """Do the work over a grid; who is not connected to it is not asked."""
        nodes = addresses(grid)

        def deliver(parcels: Mapping[PartyId, bytes]) -> dict[PartyId, bytes | None]:
            present = {party: parcel for party, parcel in parcels.items() if party in nodes}
            return exchange(grid, nodes, present, self._group)

        self._work(deliver)


def server_app(rounds: Rounds) -> ServerApp:
    """Return the Flower app that runs the rounds; its errors reach the caller of the app."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        rounds.run(grid)

    return app


def addresses(grid: Grid) -> dict[PartyId, int]:
    """Return the Flower node id of each connected party."""
    return {PartyId(node.name): node.node_id for node in grid.get_nodes()}


def exchange(
    grid: Grid, nodes: Mapping[PartyId, int], parcels: Mapping[PartyId, bytes], group: str, timeout: float | None = None
) -> dict[PartyId, bytes | None]:
    """Deliver a parcel to each party at once and return its reply, None from one that gave none within `timeout`.

    Raises: TransportError if the grid itself fails.
    """
    messages = {party: parcel_message(parcel, nodes[party], group) for party, parcel in parcels.items()}
    try:
        replies = list(grid.send_and_receive(messages.values(), timeout=timeout))
    except Exception as error:  # what a grid raises is its own; its text may quote what it carried
        raise TransportError(f"Flower's grid failed on {', '.join(parcels)}: {type(error).__name__}") from error
    answers = {reply.metadata.reply_to_message_id: reply for reply in replies}
    found = {party: answers.get(message.metadata.message_id) for party, message in messages.items()}
    return {party: None if answer is None else reply_parcel(answer) for party, answer in found.items()}


@contextmanager
def _told(party: PartyId, where: str) -> Iterator[None]:
    """Let an error about a party's answer say whose it was, and when. Its kind and its code stay."""
    try:
        yield
    except PeerRefused as refusal:
        raise PeerRefused(f"{party} refused: {refusal.code} ({where})", code=refusal.code) from None
    except CreditFederationError as error:
        raise type(error)(f"the answer of {party}: {error} ({where})", code=error.code) from error
