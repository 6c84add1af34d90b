"""Brings objections and decisions to every node until each has them, and the nodes' own decisions into the log."""

from __future__ import annotations

import logging
from typing import Final

from federation.coordinator import CoordinatorSite
from federation.enterprise.filing import Filing
from federation.enterprise.store import ObjectionStore
from federation.witnessing import Deliver
from protocols.channel.envelope import Channel, Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.channel.wire import decode
from protocols.enterprise.messages import ObjectionDecision, ObjectionPoll, ObjectionReceipt
from protocols.errors import CreditFederationError, UnexpectedMessage

logger = logging.getLogger(__name__)

AT_ONCE: Final = 64
"""Deliveries to one node in one round; what is left waits for the next."""


class ObjectionRounds:
    """One coordinator's rounds. A node that is away, or does not take something, is asked again in the next."""

    def __init__(self, site: CoordinatorSite, store: ObjectionStore, filing: Filing) -> None:
        self._site, self._store, self._filing = site, store, filing

    @property
    def due(self) -> bool:
        """Whether there is anything to bring or to ask for."""
        nodes = self._filing.nodes
        waiting = self._store.unlogged() or self._store.open_at(nodes)
        return bool(waiting or any(self._store.due(node, 1) for node in nodes))

    def run(self, deliver: Deliver) -> None:
        """Log what was left unlogged, bring what is due, ask for decisions, and bring those."""
        for filed in self._store.unlogged():
            self._filing.log(filed)
        self._bring(deliver)
        self._poll(deliver)
        self._bring(deliver)

    def _bring(self, deliver: Deliver) -> None:
        """Bring each node what it lacks, one thing at a time: one that it refuses holds nothing else up."""
        waiting = {node: self._store.due(node, AT_ONCE) for node in self._filing.nodes}
        while batch := {node: due.pop(0) for node, due in waiting.items() if due}:
            replies = deliver({node: delivery.parcel for node, delivery in batch.items()})
            for node in batch:
                self._take(node, replies.get(node))

    def _poll(self, deliver: Deliver) -> None:
        nodes = [PartyId(node) for node in self._store.open_at(self._filing.nodes)]
        poll = ObjectionPoll(self._site.clock_ms() // 1000)
        channel = Channel(self._site.keys, self._site.pins.cards, poll.transcript(), self._site.pins.signers)
        if nodes:
            parcels = {node: pack_parcel((channel.wrap(node, poll, sealed=False),)) for node in nodes}
            replies = deliver(parcels)
            for node in nodes:
                self._take(node, replies.get(node))

    def _take(self, node: PartyId, reply: bytes | None) -> None:
        """Take a node's receipts and decisions; what is not good is left, and the node will be asked again."""
        if reply is None:
            return
        try:
            for envelope in open_parcel(reply):
                if envelope.sender != node:
                    raise UnexpectedMessage(f"{node} answers in the name of {envelope.sender}")
                self._take_one(envelope)
        except CreditFederationError as error:
            logger.warning("%s did not take an objection: %s", node, error.code)

    def _take_one(self, envelope: Envelope) -> None:
        if envelope.message == ObjectionDecision.__name__:
            self._filing.decide(envelope)
            return
        receipt = decode(envelope.body, ObjectionReceipt)
        channel = Channel(self._site.keys, self._site.pins.cards, envelope.transcript, self._site.pins.signers)
        channel.unwrap(envelope, ObjectionReceipt)
        self._store.done(envelope.sender, receipt.objection, receipt.decided_by)
