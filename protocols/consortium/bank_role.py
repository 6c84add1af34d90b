"""What every bank of a consortium does at any step: pool numbers with the others, and know its parties."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.channel.wire import M
from protocols.consortium import messages as c
from protocols.consortium.admission import check_consortium, plan_digest
from protocols.consortium.model import BankMember
from protocols.consortium.noise import pool_noise
from protocols.consortium.pool import BankPool
from protocols.consortium.shares import Residues
from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.paillier import PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.model import BankRows

Sent = list[Envelope]
Then = Callable[[Residues], Sent]
Handlers = Mapping[str, Callable[[Envelope], Sent]]


class BankMemberRole(ABC):
    """One bank in one run of several: `start` opens it, `receive` drives it.

    Raises: MalformedMessage, UnexpectedMessage, VerificationFailed; CreditFederationError with code FIT_DIVERGED.
    """

    def __init__(
        self,
        spec: c.ConsortiumSpec,
        channel: Channel,
        paillier: PrivateKey,
        keys: Mapping[PartyId, PublicKey],
        member: BankMember,
        randomness: Randomness,
    ) -> None:
        check_consortium(spec, channel.cards)
        agreed = (plan_digest(member.plan), member.plan.row_totals, member.plan.rho)
        if (spec.plan, spec.row_totals, spec.rho) != agreed:
            raise VerificationFailed("the run follows another plan than this bank's", code="PLAN_DIFFERS")
        self.spec, self._channel, self._paillier, self._keys = spec, channel, paillier, keys
        self._member, self._plan, self._randomness = member, member.plan, randomness
        self._noise = pool_noise(spec)
        self._me = channel.keys.party
        self._banks = [PartyId(entry.party) for entry in spec.members]
        self._nodes = [PartyId(node.party) for node in spec.nodes]
        self._domains = {PartyId(node.party): node.domain for node in spec.nodes}
        self._pool = BankPool(channel, self._banks)
        self._awaited: tuple[str, Then] | None = None
        self._cut: c.BankCut | None = None
        self._data: BankRows | None = None

    def start(
        self, labels: m.EncryptedLabels, cohorts: Mapping[PartyId, m.Cohort], cut: c.BankCut | None = None
    ) -> Sent:
        """Open the run at this bank: its labels for all nodes, its cohort for each; the lead announces it with its cut.

        Reveals: to each node, who the bank's customers of the cohort are.
        """
        sent: Sent = []
        if (cut is not None) != (self._me == self.spec.bank):
            raise ValueError("the lead, and it alone, cuts the banks' columns")
        if cut is not None:
            sent.append(self._channel.wrap(EVERYONE, self.spec))
            sent += [self._channel.wrap(bank, cut) for bank in self._banks if bank != self._me]
            self._take_cut(cut)
        sent.append(self._channel.wrap(EVERYONE, labels))
        return sent + [self._channel.wrap(node, cohorts[node]) for node in self._nodes]

    def receive(self, envelope: Envelope) -> Sent:
        """Take one envelope of the run, from a relay that may be hostile; return the envelopes it leads to."""
        common: Handlers = {"BankCut": self._on_cut, "PoolShare": self._on_pool_share}
        handler = common.get(envelope.message) or self._handlers().get(envelope.message)
        if handler is None:
            raise UnexpectedMessage(f"a bank of a consortium does not take {envelope.message}")
        return handler(envelope)

    @abstractmethod
    def _handlers(self) -> Handlers:
        """Return what takes each kind of message that a part of the role adds."""

    @abstractmethod
    def _pool_histograms_when_ready(self) -> Sent:
        """Begin, once the cut and all nodes' histograms are there."""

    def _on_cut(self, envelope: Envelope) -> Sent:
        if envelope.sender != self.spec.bank or self._cut is not None:
            raise UnexpectedMessage(f"no cut of {envelope.sender} is due")
        self._take_cut(self._channel.unwrap(envelope, c.BankCut))
        return self._pool_histograms_when_ready()

    def _take_cut(self, cut: c.BankCut) -> None:
        data = self._member.rows(cut.cut)
        if tuple(feature.name for feature in data.rows.features) != self.spec.columns:
            raise MalformedMessage(f"the lead's cut is not of the run's {len(self.spec.columns)} columns")
        self._cut, self._data = cut, data

    # ---- pooled steps

    def _ask(self, step: str, numbers: Residues, then: Then, context: bytes = b"") -> Sent:
        """Offer this bank's addends of a step, and go on with `then` once every bank's are there."""
        sent = self._pool.offer(step, numbers, context)
        self._awaited = (step, then)
        return sent + self._go_on()

    def _go_on(self) -> Sent:
        if self._awaited is None or not self._pool.ready(self._awaited[0]):
            return []
        (step, then), self._awaited = self._awaited, None
        return then(self._pool.total(step))

    def _on_pool_share(self, envelope: Envelope) -> Sent:
        self._pool.put(envelope)
        return self._go_on()

    def _from_node(self, envelope: Envelope, kind: type[M]) -> tuple[PartyId, M]:
        sender = PartyId(envelope.sender)
        if sender not in self._domains:
            raise UnexpectedMessage(f"{envelope.message} of {sender}, which is no node of this run")
        return sender, self._channel.unwrap(envelope, kind)
