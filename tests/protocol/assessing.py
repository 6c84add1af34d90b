"""One assessment over an in-memory network: a bank, four nodes, a coordinator, real keys and bytes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import numpy as np

from protocols.assessment.bank import BankQuery
from protocols.assessment.evaluation import Evaluation
from protocols.assessment.layout import Coverage
from protocols.assessment.manifest import Manifest, PartEntry, SignedManifest, Theme, sign_manifest
from protocols.assessment.messages import CombinedScore, Query, ScoreShare, Subject
from protocols.assessment.node import share_of
from protocols.assessment.relay import RelayQuery
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.wire import decode, digest, encode
from protocols.consent import Purpose
from protocols.paillier import CiphertextVector, Encryptor, decrypt
from protocols.scorecard.messages import FeaturePoints, PointTables, Rows
from protocols.scorecard.releases import combine
from protocols.scorecard.themes import BAND_POINTS

from .network import BANK, COORDINATOR, paillier_key

NODES = tuple(map(PartyId, ("electricity", "fund", "social", "tax")))
NOW, LIFETIME = 1_000_000, 300
POLICY = bytes(32)
Bins = Mapping[PartyId, Sequence[int]]

PARTS: dict[PartyId, tuple[FeaturePoints, ...]] = {
    PartyId("electricity"): (FeaturePoints((0, 150, 400), 0),),
    PartyId("fund"): (FeaturePoints((0, 60)),),
    PartyId("social"): (FeaturePoints((300, 0), 0), FeaturePoints((0, 20, 80))),
    PartyId("tax"): (FeaturePoints((0, 900, 30), 0), FeaturePoints((5, 0))),
}
BINS: Bins = {NODES[0]: (1,), NODES[1]: (1,), NODES[2]: (0, 1), NODES[3]: (2, 0)}


def points(node: PartyId, bins: Bins = BINS) -> int:
    """What one node knows and nobody else may: its partial score."""
    return sum(feature.points[code] for feature, code in zip(PARTS[node], bins[node], strict=True))


class AssessmentNetwork:
    """Keys, cards and a signed manifest of one model; each party's side of any number of queries."""

    def __init__(self) -> None:
        names = (BANK, COORDINATOR, *NODES)
        roles = {BANK: PartyRole.BANK, COORDINATOR: PartyRole.COORDINATOR}
        self.keys = {name: PartyKeys.generate(name, secrets.token_bytes) for name in names}
        self.cards: dict[PartyId, PartyCard] = {
            name: make_card(self.keys[name], roles.get(name, PartyRole.DATA_NODE)) for name in names
        }
        self.bank_key = paillier_key(0)
        self.tables = {node: PointTables(1, Rows.NONE, PARTS[node], secrets.token_bytes(32)) for node in NODES}
        entries = tuple(
            PartEntry(node, node, self.cards[node].fingerprint(), digest(self.tables[node])) for node in NODES
        )
        self.manifest = Manifest(
            secrets.token_bytes(32),
            BANK,
            Purpose.ASSESSMENT,
            entries,
            20,
            sum(max(feature.points) for part in PARTS.values() for feature in part),
            (Theme("activity", 3, BAND_POINTS),),
            NOW,
        )
        signatures = tuple(sign_manifest(self.manifest, self.keys[node]) for node in NODES)
        self.signed = SignedManifest(self.manifest, signatures)

    def query(self) -> Query:
        return Query(
            secrets.token_bytes(16),
            BANK,
            self.cards[BANK].fingerprint(),
            self.manifest.model_hash(),
            Purpose.ASSESSMENT,
            NODES,
            NOW,
            NOW + LIFETIME,
            secrets.token_bytes(32),
        )

    def channel(self, party: PartyId, query: Query) -> Channel:
        return Channel(self.keys[party], self.cards, query.transcript())

    def bank(self, query: Query) -> BankQuery:
        subject = Subject("e1", "")
        return BankQuery(query, subject, self.manifest, self.channel(BANK, query), self.bank_key, COORDINATOR)

    def relay(self, query: Query) -> RelayQuery:
        return RelayQuery(query, self.channel(COORDINATOR, query), self.bank_key.public_key)

    def share(self, node: PartyId, query: Query, enterprise: str = "e1", bins: Bins = BINS) -> ScoreShare:
        evaluation = Evaluation(np.array([bins[node]]), (Coverage.OK,), (enterprise,))
        key = self.bank_key.public_key
        return share_of(
            query,
            self.manifest,
            PARTS[node],
            evaluation,
            self.keys[node],
            self.cards,
            key,
            POLICY,
            Encryptor(key, secrets.token_bytes).encrypt,
        )

    def answers(self, query: Query, enterprise: str = "e1", bins: Bins = BINS) -> dict[PartyId, Envelope]:
        """Every node's envelope, as it leaves the node."""
        return {
            node: self.channel(node, query).wrap(BANK, self.share(node, query, enterprise, bins), sealed=False)
            for node in NODES
        }

    def open_product(self, shares: Sequence[bytes]) -> int:
        """What holders of the bank's key read out of the product of some shares."""
        public = self.bank_key.public_key
        return decrypt(self.bank_key, CiphertextVector.from_bytes(public, combine(shares, public)))[0]

    def product(self, query: Query, ciphertext: bytes) -> Envelope:
        """The coordinator's word that `ciphertext` is the product of all shares."""
        return self.channel(COORDINATOR, query).wrap(BANK, CombinedScore(ciphertext), sealed=False)

    def ask(self, query: Query, bins: Bins = BINS) -> BankQuery:
        """Run one query among honest parties, every envelope as bytes."""
        bank, relay = self.bank(query), self.relay(query)
        for envelope in bank.start():
            assert relay.receive(decode(encode(envelope), Envelope)) == []
        queue = list(self.answers(query, bins=bins).values())
        while queue:
            envelope = decode(encode(queue.pop(0)), Envelope)
            if envelope.sender != COORDINATOR:
                queue += relay.receive(envelope)
            if envelope.receiver == BANK:
                queue += bank.receive(envelope)
        return bank
