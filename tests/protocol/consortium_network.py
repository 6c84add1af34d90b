"""An in-memory network of several banks and their nodes: real keys, real bytes, no transport.

`on_path` is where a hostile coordinator or a hostile party's own network card sits; `seen` is all that each party got.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from protocols.assessment.manifest import SignedManifest
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.wire import decode, digest, encode
from protocols.consortium import messages as c
from protocols.consortium.admission import form, plan_digest
from protocols.consortium.bank import BankConsortium
from protocols.consortium.layout import Layout
from protocols.consortium.model import BankMember
from protocols.consortium.node import NodeConsortium
from protocols.consortium.plaintext import train_pooled
from protocols.consortium.relay import RelayConsortium
from protocols.errors import MalformedMessage
from protocols.paillier import OwnerEncryptor, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.plaintext import PooledScorecard
from protocols.scorecard.rows import BinnedRows
from tests.protocol.network import KEY_BITS, binned, economy, paillier_key

COORDINATOR = PartyId("coordinator")
CUT = b"the lead's own bins"


@dataclass
class PoolSite:
    """A site that allows everything, keeps what it was asked, and holds the pool's rows it was given."""

    rows: BinnedRows
    releases: list[tuple[str, m.LeakClass]] = field(default_factory=list)
    parts: dict[str, m.PointTables] = field(default_factory=dict)

    def bin_cohorts(self, spec: c.ConsortiumSpec, cohorts: Mapping[PartyId, m.Cohort]) -> BinnedRows:
        return self.rows

    def release(self, spec: m.RunSpec, step: str, leak: m.LeakClass) -> None:
        self.releases.append((step, leak))

    def data_as_of(self) -> str:
        return "2025-12-31"

    def keep_part(self, manifest: SignedManifest, tables: m.PointTables) -> None:
        self.parts[manifest.manifest.bank] = tables


@dataclass(frozen=True)
class PooledEconomy:
    """Every party's rows of one economy in the pool's order: all banks' training rows, then all their test rows."""

    nodes: dict[str, BinnedRows]
    own: BinnedRows
    bad: NDArray[np.int64]
    sizes: dict[str, tuple[int, int]]

    @property
    def training_rows(self) -> int:
        return sum(training for training, _ in self.sizes.values())

    def oracle(self, plan: TrainingPlan) -> PooledScorecard:
        """The existing plaintext oracle of one bank, on the concatenated rows of all."""
        data = BankRows(self.own, self.bad, self.training_rows)
        return train_pooled(PartyId("bank"), data, {PartyId(n): (n, rows) for n, rows in self.nodes.items()}, plan)


def pooled_economy(
    sizes: dict[str, tuple[int, int]], features: dict[str, int], own: int = 1, seed: int = 7, strength: float = 0.7
) -> PooledEconomy:
    """Rows of the parties in `features`, and of `own` columns that all banks have; `sizes` are training and test."""
    training, test = (sum(size[i] for size in sizes.values()) for i in (0, 1))
    parts, bad = economy(seed, features | {"bank": own}, strength, training + test, training)
    return PooledEconomy({n: parts[n] for n in features}, parts["bank"], bad, sizes)


class ConsortiumNetwork:
    """Banks, nodes and a coordinator; delivers envelopes as bytes until nobody has anything to say."""

    def __init__(self, economy: PooledEconomy, plan: TrainingPlan | None = None, minimum_bin: int = 1) -> None:
        self.economy, self.plan = economy, plan or TrainingPlan()
        self.banks, self.node_names = [*map(PartyId, economy.sizes)], [*map(PartyId, economy.nodes)]
        names = [*self.banks, *self.node_names, COORDINATOR]
        roles = dict.fromkeys(self.banks, PartyRole.BANK) | {COORDINATOR: PartyRole.COORDINATOR}
        self.keys = {name: PartyKeys.generate(name, secrets.token_bytes) for name in names}
        self.paillier = {name: paillier_key(i) for i, name in enumerate(names[:-1])}
        self.public: dict[PartyId, PublicKey] = {name: key.public_key for name, key in self.paillier.items()}
        self.cards: dict[PartyId, PartyCard] = {
            name: make_card(self.keys[name], roles.get(name, PartyRole.DATA_NODE)) for name in names
        }
        self.lead = self.banks[0]
        self._labels: dict[PartyId, m.EncryptedLabels] = {}
        self.spec = self._form(minimum_bin)
        self.layout = Layout.of(self.spec)
        self.sites = {node: PoolSite(economy.nodes[node]) for node in self.node_names}
        self.bank_roles = {bank: self._bank_role(bank) for bank in self.banks}
        self.node_roles = {
            node: NodeConsortium(
                self.spec, self.channel(node), self.paillier[node], self.public, self.sites[node], secrets.token_bytes
            )
            for node in self.node_names
        }
        self.relay = RelayConsortium(self.spec, self.channel(COORDINATOR), self.public)
        self.seen: list[tuple[PartyId, Envelope]] = []
        self.on_path: Callable[[Envelope], list[Envelope]] = lambda envelope: [envelope]

    def _form(self, minimum_bin: int) -> c.ConsortiumSpec:
        """What invitation and acceptances come to; the bank agents' tests run those messages themselves."""
        nodes = tuple(m.NodeEntry(n, n, self.cards[n].fingerprint()) for n in sorted(self.node_names))
        entries = tuple(c.BankEntry(b, self.cards[b].fingerprint()) for b in sorted(self.banks))
        columns = tuple(feature.name for feature in self.economy.own.features)
        invitation = c.Invitation(
            secrets.token_bytes(16),
            self.lead,
            entries,
            nodes,
            1,
            KEY_BITS,
            minimum_bin,
            32,
            self.plan.row_totals,
            columns,
            plan_digest(self.plan),
            self.plan.rho,
        )
        acceptances, start = {}, 0
        for bank in self.banks:
            training, test = self.economy.sizes[bank]
            bad = self.economy.bad[start : start + training]
            start += training
            vector = OwnerEncryptor(self.paillier[bank], secrets.token_bytes).encrypt(bad.tolist())
            self._labels[bank] = m.EncryptedLabels(vector.to_bytes())
            acceptances[bank] = c.Acceptance(training + test, training, digest(self._labels[bank]), columns)
        return form(invitation, acceptances)

    def member(self, bank: PartyId, plan: TrainingPlan | None = None) -> BankMember:
        rows, own = self.layout.rows(bank), self.economy.own
        training = len(self.layout.training[bank])
        sizes = own.fine_bins()
        data = binned([own.codes[rows, i] for i in range(len(sizes))], sizes, training)
        if not sizes:
            data = BinnedRows((), np.empty((len(rows), 0), dtype=np.uint16))
        return BankMember(self.economy.bad[rows], training, plan or self.plan, partial(self._bin_own, data))

    @staticmethod
    def _bin_own(data: BinnedRows, cut: bytes) -> BinnedRows:
        if cut != CUT:
            raise MalformedMessage("a cut that is not the lead's")
        return data

    def _bank_role(self, bank: PartyId) -> BankConsortium:
        return BankConsortium(
            self.spec,
            self.channel(bank),
            self.paillier[bank],
            self.public,
            self.member(bank),
            secrets.token_bytes,
        )

    def channel(self, name: PartyId) -> Channel:
        return Channel(self.keys[name], self.cards, self.spec.transcript())

    def ids(self, bank: PartyId) -> tuple[str, ...]:
        return tuple(f"e{i}" for i in self.layout.rows(bank))

    def start(self) -> list[Envelope]:
        sent = []
        for bank, role in self.bank_roles.items():
            cut = c.BankCut(CUT, bytes(32)) if bank == self.lead else None
            cohorts = {node: m.Cohort(self.ids(bank), "") for node in self.node_names}
            sent += role.start(self._labels[bank], cohorts, cut)
        return sent

    def run(self) -> None:
        """Deliver everything, in the order sent."""
        queue = self.start()
        while queue:
            passed = [delivered for envelope in queue for delivered in self.on_path(envelope)]
            queue = [reply for envelope in passed for reply in self.deliver(envelope)]

    def deliver(self, envelope: Envelope) -> list[Envelope]:
        """Carry one envelope as bytes past the coordinator to its audience; return their replies."""
        data = encode(envelope)
        produced, audience = [], [PartyId(envelope.receiver)]
        if envelope.sender != COORDINATOR:
            produced = self.relay.receive(decode(data, Envelope))
            audience = self.relay.audience(envelope)
        replies = []
        for party in audience:
            received = decode(data, Envelope)
            self.seen.append((party, received))
            if received.message in ("ConsortiumSpec", "RunFinished"):
                continue
            role = self.bank_roles.get(party) or self.node_roles[party]
            replies += role.receive(received)
        return replies + produced
