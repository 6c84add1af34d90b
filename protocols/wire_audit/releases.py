"""Counts what a run or a query reveals, by leak class, and holds it against the plan that its opening message states.

Needs no key: kinds are visible on every envelope, and the plan is public. A product that the coordinator makes is
recomputed from the shares that passed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from protocols.assessment.batch.messages import BatchQuery, BatchShares, CombinedBatch
from protocols.assessment.messages import CombinedScore, Query, ScoreShare
from protocols.boosting.messages import BoostingSpec
from protocols.channel.identity import PartyId
from protocols.channel.wire import Message, digest
from protocols.consortium.fit import MOST_EVALUATIONS
from protocols.consortium.messages import ConsortiumSpec, Invitation
from protocols.errors import CreditFederationError
from protocols.paillier import PublicKey
from protocols.scorecard.messages import (
    CombinedTotals,
    DistrictSums,
    EncryptedLabels,
    LeakClass,
    MaskedTotals,
    PooledSums,
    RunSpec,
)
from protocols.scorecard.releases import combine
from protocols.transparency.messages import CheckpointCosignature, CheckpointOffer, CheckpointRefusal
from protocols.wire_audit.findings import Code, FindingLog, Seen
from protocols.wire_audit.kinds import RELEASES

_ONCE_IN_A_QUERY = frozenset(
    {"Query", "ScoreShare", "Denial", "Acknowledgement"}
    | {"BatchQuery", "BatchSlips", "BatchDecisions", "BatchOpening", "BatchShares"}
)
Opening = RunSpec | Invitation | Query | BatchQuery
_CHECKPOINT_KINDS = frozenset(kind.__name__ for kind in (CheckpointOffer, CheckpointCosignature, CheckpointRefusal))


@dataclass(frozen=True, slots=True)
class Account:
    """What one run or query revealed, and the totals per enterprise that its plan allows. Reveals: counts only."""

    transcript: str
    opening: str
    planned_row_totals: int
    revealed: dict[str, int]


@dataclass(slots=True)
class _Run:
    first: Seen
    opening: Opening | None = None
    by_class: Counter[LeakClass] = field(default_factory=Counter)
    by_sender: Counter[tuple[str, str]] = field(default_factory=Counter)
    shares: dict[tuple[str, int, str], bytes] = field(default_factory=dict)


class ReleaseBook:
    """One account for each transcript that a message names."""

    def __init__(self, log: FindingLog, keys: dict[PartyId, PublicKey]) -> None:
        self._log, self._keys = log, keys
        self._runs: dict[bytes, _Run] = {}
        self._offers: set[bytes] = set()

    def enter(self, transcript: bytes, kind: str, seen: Seen, message: Message | None, receiver: str) -> None:
        """Count one distinct envelope to `receiver`; `message` is its body where that is open and well formed."""
        if isinstance(message, CheckpointOffer) and message.transcript() == transcript:
            self._offers.add(transcript)
        run = self._runs.setdefault(transcript, _Run(seen))
        if isinstance(message, Opening) and message.transcript() == transcript:
            run.opening = message
        if kind in RELEASES and RELEASES[kind] is not LeakClass.NONE:
            run.by_class[RELEASES[kind]] += 1
            if RELEASES[kind] is LeakClass.ROW_TOTALS and run.by_class[LeakClass.ROW_TOTALS] > _row_totals(run.opening):
                self._log.add(seen, Code.RELEASE_OVER_PLAN, detail=f"{_row_totals(run.opening)} totals are planned")
        run.by_sender[kind, seen.sender] += 1
        if run.by_sender[kind, seen.sender] > _most(kind, run.opening):
            self._log.add(seen, Code.RELEASE_OVER_PLAN, detail=f"{_most(kind, run.opening)} of its sender are planned")
        if message is not None:
            self._check_body(run, message, seen, _bank(run.opening, receiver))

    def _check_body(self, run: _Run, message: Message, seen: Seen, bank: str) -> None:
        if isinstance(message, EncryptedLabels):
            if isinstance(run.opening, RunSpec) and digest(message) != _labels(run.opening, seen.sender):
                self._log.add(seen, Code.LABELS_CHANGED)
        elif isinstance(message, MaskedTotals):
            run.shares[bank, message.release, seen.sender] = message.vector
        elif isinstance(message, ScoreShare):
            run.shares[bank, 0, seen.sender] = message.ciphertext
        elif isinstance(message, BatchShares):
            run.shares[bank, 0, seen.sender] = message.vector
        elif isinstance(message, DistrictSums):
            run.shares[f"{bank}/{message.step}", 0, seen.sender] = message.vector
        elif isinstance(message, PooledSums):
            districts = _districts(run.opening, message.lead)
            self._check_product(run, bank, 0, message.vector, seen, districts, f"{bank}/{message.step}")
        elif isinstance(message, CombinedTotals):
            self._check_product(run, bank, message.release, message.vector, seen)
        elif isinstance(message, CombinedScore):
            self._check_product(run, bank, 0, message.ciphertext, seen)
        elif isinstance(message, CombinedBatch):
            self._check_product(run, bank, 0, message.vector, seen)

    def _check_product(
        self,
        run: _Run,
        bank: str,
        release: int,
        product: bytes,
        seen: Seen,
        districts: tuple[str, ...] | None = None,
        place: str = "",
    ) -> None:
        """Recompute a product from the shares of the run's node set, or of `districts`; they are then forgotten."""
        nodes, key = districts or _nodes(run.opening), self._keys.get(PartyId(bank))
        shares = [run.shares.pop((place or bank, release, node), None) for node in nodes]
        missing = sum(share is None for share in shares)
        if missing or not nodes or key is None:
            self._log.add(seen, Code.PRODUCT_WRONG, detail=f"{missing} of {len(nodes)} nodes have sent no share")
            return
        try:
            holds = combine([share for share in shares if share is not None], key) == product
        except CreditFederationError:
            holds = False
        if not holds:
            self._log.add(seen, Code.PRODUCT_WRONG)

    def close(self) -> tuple[Account, ...]:
        """Return the accounts, and note every transcript that no opening message announced."""
        accounts = []
        for transcript, run in self._runs.items():
            if transcript in self._offers and all(kind in _CHECKPOINT_KINDS for kind, _ in run.by_sender):
                continue  # a checkpoint and its cosignatures: they reveal nothing of any enterprise
            if run.opening is None:
                self._log.add(run.first, Code.RUN_UNKNOWN)
            revealed = {leak.value: count for leak, count in sorted(run.by_class.items())}
            opening = type(run.opening).__name__ if run.opening else ""
            accounts.append(Account(transcript.hex(), opening, _row_totals(run.opening), revealed))
        return tuple(accounts)


def _row_totals(opening: Opening | None) -> int:
    """Return how many totals per enterprise a plan opens, to all banks: a query or a batch opens one."""
    if isinstance(opening, RunSpec):
        return opening.row_totals * _banks(opening)
    return 0 if opening is None or isinstance(opening, Invitation) else 1


def _banks(spec: RunSpec) -> int:
    """Return how many banks get what a node sends in a run."""
    return len(spec.members) if isinstance(spec, ConsortiumSpec) else 1


def _bank(opening: Opening | None, receiver: str) -> str:
    """Return the bank whom a share or a product is for: of a consortium's the receiver, else the only one."""
    if isinstance(opening, ConsortiumSpec):
        return receiver
    return "" if opening is None or isinstance(opening, Invitation) else opening.bank


def _labels(spec: RunSpec, bank: str) -> bytes:
    """Return the label commitment of a run's bank, none for a stranger."""
    if isinstance(spec, ConsortiumSpec):
        return next((member.labels for member in spec.members if member.party == bank), b"")
    return spec.labels


def _districts(opening: Opening | None, lead: str) -> tuple[str, ...]:
    """Return the nodes of the domain that a node leads."""
    nodes = opening.nodes if isinstance(opening, RunSpec) else ()
    domains = {node.domain for node in nodes if node.party == lead}
    return tuple(node.party for node in nodes if node.domain in domains)


def _nodes(opening: Opening | None) -> tuple[str, ...]:
    if isinstance(opening, RunSpec):
        return tuple(node.party for node in opening.nodes)
    return () if opening is None or isinstance(opening, Invitation) else opening.nodes


_MOST_IN_A_RUN: dict[str, Callable[[RunSpec], int]] = {
    "RunSpec": lambda spec: 1,
    "EncryptedLabels": lambda spec: 1,
    "BinHistograms": lambda spec: 1,
    "LocalGram": lambda spec: _banks(spec) + len(spec.nodes),
    "DistrictCounts": lambda spec: 2,
    "DomainCounts": lambda spec: 2 * len(spec.nodes),
    "DistrictSums": lambda spec: max(1, spec.row_totals),
    "PooledSums": lambda spec: len(spec.nodes) * max(1, spec.row_totals),
    "MaskedProducts": lambda spec: len(spec.nodes),
    "MaskShare": lambda spec: len(spec.nodes) * _banks(spec),
    "ProductShare": lambda spec: len(spec.nodes) * _banks(spec),
    "MaskedTotals": lambda spec: spec.row_totals * _banks(spec),
    "GradientShare": lambda spec: max(0, spec.row_totals - 1),
    "BoostingSpec": lambda spec: 1,
    "ConsortiumSpec": lambda spec: 1,
    "HistogramShare": _banks,
    "OwnProductShare": _banks,
    "GradientPoolShare": lambda spec: max(0, spec.row_totals - 1) * _banks(spec),
    "PoolShare": lambda spec: (3 + spec.row_totals * (2 + MOST_EVALUATIONS)) * (_banks(spec) - 1),
    "FeatureHistograms": lambda spec: 1,
    "Gradients": lambda spec: max(0, spec.row_totals - 1),
    "LeafHistograms": lambda spec: sum(spec.steps) * spec.depth if isinstance(spec, BoostingSpec) else 0,
    "ValidationGain": lambda spec: sum(spec.steps) if isinstance(spec, BoostingSpec) else 0,
}


def _most(kind: str, opening: Opening | None) -> int:
    """Return how many messages of a kind one sender may send: the bank is one more owner of columns than the nodes."""
    if isinstance(opening, RunSpec) and kind in _MOST_IN_A_RUN:
        return _MOST_IN_A_RUN[kind](opening)
    if isinstance(opening, Query | BatchQuery) and kind in _ONCE_IN_A_QUERY:
        return 1
    return 1 << 62
