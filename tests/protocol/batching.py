"""Batches over the assessment tests' network: the same model and keys, many enterprises a question."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import numpy as np

from protocols.assessment.batch.bank import BankBatch
from protocols.assessment.batch.messages import BatchDecisions, BatchOpening, BatchQuery, BatchShares
from protocols.assessment.batch.relay import RelayBatch
from protocols.assessment.evaluation import Evaluation
from protocols.assessment.layout import Coverage
from protocols.assessment.messages import Subject
from protocols.assessment.node import batch_shares_of
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import decode, encode
from protocols.consent import Purpose
from protocols.paillier import Encryptor

from .assessing import LIFETIME, NODES, NOW, PARTS, POLICY, AssessmentNetwork
from .network import BANK, COORDINATOR

Refusals = Mapping[PartyId, Mapping[int, str]]


def enterprises(count: int) -> tuple[str, ...]:
    return tuple(f"enterprise number {number}" for number in range(count))


def places(node: PartyId, row: int) -> list[int]:
    """The bins of an enterprise at one node: every combination comes up."""
    return [(row + 3 * entry) % len(feature.points) for entry, feature in enumerate(PARTS[node])]


def total(row: int) -> int:
    """What the sum of all parts must be."""
    return sum(f.points[place] for node in NODES for f, place in zip(PARTS[node], places(node, row), strict=True))


class BatchNetwork:
    """One batch among parties that are honest unless a test changes what they send."""

    def __init__(self, count: int, network: AssessmentNetwork | None = None) -> None:
        self.count, self.network = count, network or AssessmentNetwork()
        self.names = enterprises(count)
        self.query = BatchQuery(
            secrets.token_bytes(16),
            BANK,
            self.network.cards[BANK].fingerprint(),
            self.network.manifest.model_hash(),
            Purpose.ASSESSMENT,
            NODES,
            NOW,
            NOW + LIFETIME,
            tuple(secrets.token_bytes(32) for _ in range(count)),
            (b"",) * count,
        )
        self.bank = BankBatch(
            self.query,
            [Subject(name, "") for name in self.names],
            [""] * count,
            self.network.manifest,
            self.channel(BANK),
            self.network.bank_key,
            COORDINATOR,
        )
        self.relay = RelayBatch(self.query, self.channel(COORDINATOR), self.network.bank_key.public_key)

    def channel(self, party: PartyId) -> Channel:
        return Channel(self.network.keys[party], self.network.cards, self.query.transcript())

    def decisions(self, node: PartyId, refusals: Refusals) -> BatchDecisions:
        codes = tuple(refusals.get(node, {}).get(row, "") for row in range(self.count))
        return BatchDecisions(codes, POLICY)

    def shares(self, node: PartyId, opening: BatchOpening, names: Sequence[str] | None = None) -> BatchShares:
        """A node's shares for an opening; `names` if it was told of other enterprises than the rest."""
        rows = list(opening.accepted)
        told = [(names or self.names)[row] for row in rows]
        table = np.array([places(node, row) for row in rows], dtype=np.int64).reshape(len(rows), len(PARTS[node]))
        key = self.network.bank_key.public_key
        return batch_shares_of(
            opening.binding(self.query.transcript()),
            self.network.manifest,
            PARTS[node],
            Evaluation(table, [Coverage.OK] * len(rows), told),
            self.network.keys[node],
            self.network.cards,
            key,
            POLICY,
            Encryptor(key, secrets.token_bytes).encrypt,
        )

    def show(self, refused: Mapping[int, str] | None = None) -> None:
        """Let the coordinator see the slips, and refuse some."""
        slips = self.bank.start()[1]
        assert self.relay.receive(decode(encode(slips), Envelope)) == []
        word = self.relay.decide(tuple((refused or {}).get(row, "") for row in range(self.count)))
        assert self.bank.receive(decode(encode(word), Envelope)) == []

    def decide(self, refusals: Refusals) -> BatchOpening:
        """Let the coordinator and all nodes decide; return the bank's opening."""
        if self.relay.refused is None:
            self.show()
        sent: list[Envelope] = []
        for node in NODES:
            envelope = self.channel(node).wrap(BANK, self.decisions(node, refusals), sealed=False)
            sent += self.pass_on(envelope)
        (opening,) = sent
        assert opening.receiver == EVERYONE
        assert self.relay.receive(opening) == []
        return self.channel(NODES[0]).unwrap(opening, BatchOpening)

    def pass_on(self, envelope: Envelope) -> list[Envelope]:
        """Give an envelope, as bytes, to the relay and what follows to the bank; return what the bank then sends."""
        arrived = decode(encode(envelope), Envelope)
        produced = self.relay.receive(arrived)
        return [reply for each in (arrived, *produced) for reply in self.bank.receive(each)]

    def run(self, refusals: Refusals | None = None) -> BankBatch:
        """Run the whole batch."""
        for envelope in self.bank.start():
            if envelope.message != "BatchSlips":
                assert self.relay.receive(decode(encode(envelope), Envelope)) == []
        opening = self.decide(refusals or {})
        for node in NODES:
            for reply in self.pass_on(self.channel(node).wrap(BANK, self.shares(node, opening), sealed=False)):
                self.relay.receive(reply)
        return self.bank
