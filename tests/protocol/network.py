"""An in-memory network for the protocol roles: real keys, real bytes, no transport.

`on_path` is where a hostile coordinator or network sits: it turns each envelope into those that are delivered instead.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from protocols.assessment.manifest import SignedManifest
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.wire import Message, decode, digest, encode
from protocols.paillier import OwnerEncryptor, PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.bank import BankTraining
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.node import NodeTraining
from protocols.scorecard.relay import RelayTraining
from protocols.scorecard.rows import BinnedRows

BANK, COORDINATOR = PartyId("bank"), PartyId("coordinator")
KEY_BITS = 768


@cache
def paillier_key(index: int, bits: int = KEY_BITS) -> PrivateKey:
    return PrivateKey.generate(bits, secrets.token_bytes)


@dataclass
class RecordingSite:
    """A site that allows everything, keeps what it was asked, and holds the rows it was given."""

    rows: BinnedRows
    releases: list[tuple[str, m.LeakClass]] = field(default_factory=list)
    part: tuple[SignedManifest, m.PointTables] | None = None

    def bin_cohort(self, spec: m.RunSpec, cohort: m.Cohort) -> BinnedRows:
        return self.rows

    def release(self, spec: m.RunSpec, step: str, leak: m.LeakClass) -> None:
        self.releases.append((step, leak))

    def data_as_of(self) -> str:
        return "2025-12-31"

    def keep_part(self, manifest: SignedManifest, tables: m.PointTables) -> None:
        self.part = (manifest, tables)


def binned(columns: list[NDArray[np.integer]], sizes: list[int], training_rows: int) -> BinnedRows:
    """Rows from given fine-bin codes; the last bin of each feature is the missing one."""
    shapes = tuple(
        m.FeatureShape(f"f{i}", True, tuple(int(v) for v in np.bincount(c[:training_rows], minlength=size)))
        for i, (c, size) in enumerate(zip(columns, sizes, strict=True))
    )
    codes = np.column_stack(columns).astype(np.uint16) if columns else np.empty((training_rows, 0), dtype=np.uint16)
    return BinnedRows(shapes, codes)


def economy(
    seed: int, features: dict[str, int], strength: float = 0.7, rows: int = 900, training_rows: int = 700
) -> tuple[dict[str, BinnedRows], NDArray[np.int64]]:
    """Binned rows per party and outcomes, all driven by one latent risk of the given strength."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=rows)
    bad = (risk + rng.normal(size=rows) > 1.2).astype(np.int64)
    binned_rows = {}
    for party, count in features.items():
        columns = []
        for _ in range(count):
            value = strength * risk + rng.normal(size=rows)
            code = np.searchsorted(np.quantile(value, np.linspace(0, 1, 9)[1:-1]), value)
            columns.append(np.where(rng.random(rows) < 0.1, 8, code))
        binned_rows[party] = binned(columns, [9] * count, training_rows)
    return binned_rows, bad


def small_network(
    features: dict[str, int] | None = None, refinements: int = 1, rows: int = 260, training_rows: int = 200
) -> Network:
    """A bank with one feature and four nodes, none of them trained yet."""
    chosen = features or {"bank": 1, "electricity": 1, "fund": 1, "social": 2, "tax": 2}
    return economy_network(chosen, 0.7, rows, training_rows, refinements)


def economy_network(
    features: dict[str, int], strength: float, rows: int, training_rows: int, refinements: int = 1
) -> Network:
    """Any parties over any economy."""
    parts, bad = economy(7, features, strength, rows, training_rows)
    return Network(parts, BankRows(parts.pop("bank"), bad, training_rows), TrainingPlan(refinements=refinements))


class Network:
    """One bank, its nodes and a coordinator; delivers envelopes as bytes until nobody has anything to say."""

    def __init__(self, nodes: dict[str, BinnedRows], data: BankRows, plan: TrainingPlan, minimum_bin: int = 1) -> None:
        self.data, self.plan_of_bank = data, plan
        names = [BANK, COORDINATOR, *map(PartyId, nodes)]
        self.keys = {name: PartyKeys.generate(name, secrets.token_bytes) for name in names}
        roles = {BANK: PartyRole.BANK, COORDINATOR: PartyRole.COORDINATOR}
        self.paillier = {name: paillier_key(i) for i, name in enumerate(n for n in names if n != COORDINATOR)}
        self.public: dict[PartyId, PublicKey] = {name: key.public_key for name, key in self.paillier.items()}
        self.cards: dict[PartyId, PartyCard] = {
            name: make_card(self.keys[name], roles.get(name, PartyRole.DATA_NODE)) for name in names
        }
        labels = OwnerEncryptor(self.paillier[BANK], secrets.token_bytes).encrypt(data.training_bad.tolist())
        self.labels = m.EncryptedLabels(labels.to_bytes())
        entries = tuple(m.NodeEntry(name, name, self.cards[PartyId(name)].fingerprint()) for name in sorted(nodes))
        self.spec = m.RunSpec(
            secrets.token_bytes(16),
            BANK,
            self.cards[BANK].fingerprint(),
            entries,
            1,
            KEY_BITS,
            len(data.bad),
            data.training_rows,
            minimum_bin,
            32,
            plan.row_totals,
            digest(self.labels),
            plan.rho,
        )
        self.sites = {PartyId(name): RecordingSite(rows) for name, rows in nodes.items()}
        self.bank = BankTraining(
            self.spec,
            self.channel(BANK),
            self.paillier[BANK],
            self.public,
            data,
            plan,
            secrets.token_bytes,
        )
        self.nodes = {
            name: NodeTraining(
                self.spec, self.channel(name), self.paillier[name], self.public, site, secrets.token_bytes
            )
            for name, site in self.sites.items()
        }
        self.relay = RelayTraining(self.spec, self.channel(COORDINATOR), self.public[BANK])
        self.transcript: list[tuple[PartyId, bytes]] = []
        self.on_path: Callable[[Envelope], list[Envelope]] = lambda envelope: [envelope]

    def channel(self, name: PartyId) -> Channel:
        return Channel(self.keys[name], self.cards, self.spec.transcript())

    def cohorts(self) -> dict[PartyId, m.Cohort]:
        ids = tuple(f"e{i}" for i in range(self.spec.rows))
        return {name: m.Cohort(ids, "") for name in self.nodes}

    def start(self) -> list[Envelope]:
        return self.bank.start(self.labels, self.cohorts())

    def run(self) -> None:
        """Deliver everything, in the order sent."""
        queue = self.start()
        while queue:
            passed = [delivered for envelope in queue for delivered in self.on_path(envelope)]
            queue = [reply for envelope in passed for reply in self.deliver(envelope)]

    def tell(self, node: str, message: Message, sender: PartyId = BANK, everyone: bool = False) -> list[Envelope]:
        """Deliver to one node what any party of the run may sign, sealed to it or for everyone."""
        receiver = EVERYONE if everyone else PartyId(node)
        return self.nodes[PartyId(node)].receive(self.channel(sender).wrap(receiver, message))

    def open_run(self, node: str) -> m.BinHistograms:
        """Bring one node to the point where it has answered with its histograms."""
        assert self.tell(node, self.labels, everyone=True) == []
        (reply,) = self.tell(node, self.cohorts()[PartyId(node)])
        return self.channel(BANK).unwrap(reply, m.BinHistograms)

    def woe(self, node: str, features: tuple[tuple[int, ...] | None, ...], own: int = 0) -> m.WoeTables:
        """WOE tables for one node, in a plan in which the bank brings `own` columns and the other nodes none."""
        columns = sum(table is not None for table in features)
        return m.WoeTables(features, self.plan(own, node, columns), (0,) * columns, (0,) * columns)

    def plan(self, own: int, node: str, columns: int) -> tuple[m.ColumnCount, ...]:
        """A plan in which the bank brings `own` columns, one node `columns` and the others none."""
        counts = dict.fromkeys(self.nodes, 0) | {BANK: own, PartyId(node): columns}
        return tuple(m.ColumnCount(name, count) for name, count in counts.items())

    def deliver(self, envelope: Envelope) -> list[Envelope]:
        """Carry one envelope as bytes past the coordinator to its audience; return their replies."""
        data = encode(envelope)
        produced = [] if envelope.sender == COORDINATOR else self.relay.receive(decode(data, Envelope))
        audience = [BANK] if envelope.sender == COORDINATOR else self.relay.audience(envelope)
        replies = []
        for party in audience:
            self.transcript.append((party, data))
            received = decode(data, Envelope)
            if party == BANK:
                replies += self.bank.receive(received)
            elif received.message != "RunSpec":
                replies += self.nodes[party].receive(received)
        return replies + produced
