"""An in-memory network for the boosting roles: real keys, real bytes, no transport."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import msgspec

from protocols.boosting.bank import BankBoosting
from protocols.boosting.messages import BoostingSpec
from protocols.boosting.model import BoostingPlan
from protocols.boosting.node import NodeBoosting
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.wire import Message, decode, digest, encode
from protocols.paillier import OwnerEncryptor
from protocols.scorecard import messages as m
from protocols.scorecard.model import BankRows
from protocols.scorecard.relay import RelayTraining
from protocols.scorecard.rows import BinnedRows

from .network import BANK, COORDINATOR, KEY_BITS, RecordingSite, paillier_key


class BoostingNetwork:
    """One bank, its nodes and a coordinator; delivers envelopes as bytes until nobody has anything to say."""

    def __init__(
        self, nodes: dict[str, BinnedRows], data: BankRows, plan: BoostingPlan, minimum_bin: int, bits: int = KEY_BITS
    ) -> None:
        self.data, self.plan = data, plan
        names = [BANK, COORDINATOR, *map(PartyId, nodes)]
        self.keys = {name: PartyKeys.generate(name, secrets.token_bytes) for name in names}
        roles = {BANK: PartyRole.BANK, COORDINATOR: PartyRole.COORDINATOR}
        self.cards: dict[PartyId, PartyCard] = {
            name: make_card(self.keys[name], roles.get(name, PartyRole.DATA_NODE)) for name in names
        }
        self.paillier = paillier_key(0, bits)
        labels = OwnerEncryptor(self.paillier, secrets.token_bytes).encrypt(data.training_bad.tolist())
        self.labels = m.EncryptedLabels(labels.to_bytes())
        self.spec = BoostingSpec(
            run=secrets.token_bytes(16),
            bank=BANK,
            bank_card=self.cards[BANK].fingerprint(),
            nodes=tuple(m.NodeEntry(n, n, self.cards[PartyId(n)].fingerprint()) for n in sorted(nodes)),
            created=1,
            key_bits=bits,
            rows=len(data.bad),
            training_rows=data.training_rows,
            minimum_bin=minimum_bin,
            fine_bins=32,
            row_totals=plan.row_totals,
            labels=digest(self.labels),
            rho=plan.rho,
            depth=plan.depth,
            group=plan.group,
            steps=plan.steps(),
            folds=plan.folds(data.training_rows, minimum_bin),
        )
        self.sites = {PartyId(name): RecordingSite(rows) for name, rows in nodes.items()}
        self.sent: list[Envelope] = []
        self.on_path: Callable[[Envelope], list[Envelope]] = lambda envelope: [envelope]

        self._open()

    def _open(self) -> None:
        """Make the roles of the run that `spec` announces."""
        public = self.paillier.public_key
        self.bank = BankBoosting(
            self.spec, self.channel(BANK), self.paillier, self.data, self.plan, secrets.token_bytes
        )
        self.nodes = {
            name: NodeBoosting(self.spec, self.channel(name), public, site, secrets.token_bytes)
            for name, site in self.sites.items()
        }
        self.relay = RelayTraining(self.spec, self.channel(COORDINATOR), public)

    def relabel(self, labels: m.EncryptedLabels) -> None:
        """Let the bank announce a run with other labels."""
        self.labels = labels
        self.spec = msgspec.structs.replace(self.spec, labels=digest(labels))
        self._open()

    def channel(self, name: PartyId) -> Channel:
        return Channel(self.keys[name], self.cards, self.spec.transcript())

    def cohorts(self) -> dict[PartyId, m.Cohort]:
        return dict.fromkeys(self.nodes, m.Cohort(tuple(f"e{i}" for i in range(self.spec.rows)), ""))

    def run(self) -> None:
        """Deliver everything, in the order sent."""
        queue = self.bank.start(self.labels, self.cohorts())
        while queue:
            passed = [delivered for envelope in queue for delivered in self.on_path(envelope)]
            queue = [reply for envelope in passed for reply in self.deliver(envelope)]

    def tell(self, node: str, message: Message, everyone: bool = False) -> list[Envelope]:
        """Deliver to one node what the bank signs, sealed to it or for everyone."""
        receiver = EVERYONE if everyone else PartyId(node)
        return self.nodes[PartyId(node)].receive(self.channel(BANK).wrap(receiver, message))

    def deliver(self, envelope: Envelope) -> list[Envelope]:
        """Carry one envelope as bytes past the coordinator to its audience; return their replies."""
        data = encode(envelope)
        self.sent.append(envelope)
        produced = [] if envelope.sender == COORDINATOR else self.relay.receive(decode(data, Envelope))
        audience = [BANK] if envelope.sender == COORDINATOR else self.relay.audience(envelope)
        replies = []
        for party in audience:
            received = decode(data, Envelope)
            if party == BANK:
                replies += self.bank.receive(received)
            elif received.message not in ("BoostingSpec", "RunFinished"):
                replies += self.nodes[party].receive(received)
        return replies + produced
