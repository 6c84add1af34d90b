"""The data node's agent: one long-lived process that owns data, keys, policy and ledger.

It takes parcels as bytes and gives parcels as bytes, whatever carried them, and trusts nothing but signatures,
transcripts and its own policy.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from nodes.binning import FineBinning, bin_rows, cohort_columns, row_index
from nodes.boundary import handle_parcel
from nodes.cohorts import check_difference, names_of, pack, unpack
from nodes.features import FeatureTable
from nodes.ledger import Answer, Ledger, StoredPart
from nodes.log_witness import LogWitness
from nodes.policy import NodePolicy
from protocols.assessment.layout import Coverage
from protocols.assessment.manifest import SignedManifest
from protocols.assessment.messages import Denial, Query, Subject
from protocols.assessment.node import Evaluation, check_query, share_of
from protocols.boosting.messages import BoostingSpec
from protocols.boosting.node import NodeBoosting
from protocols.boosting.serving import open_part, places
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, Randomness
from protocols.channel.pins import Pins
from protocols.channel.wire import Message, decode, encode
from protocols.consent import Purpose, cohort_subject, verify_consent
from protocols.errors import BudgetExceeded, PolicyDenied, UnexpectedMessage, VerificationFailed
from protocols.paillier import PrivateKey
from protocols.scorecard.messages import Cohort, LeakClass, PointTables, RunSpec
from protocols.scorecard.node import NodeTraining
from protocols.scorecard.rows import BinnedRows
from protocols.transparency.messages import OFFER

SECONDS_PER_DAY = 86_400
MAX_OPEN_QUERIES = 4096
SPECS: dict[str, type[RunSpec]] = {"RunSpec": RunSpec, "BoostingSpec": BoostingSpec}
_binnings = msgspec.msgpack.Decoder(tuple[FineBinning, ...])


def system_clock() -> int:
    """Return the time in whole seconds since 1970, UTC."""
    return int(time.time())


@dataclass(frozen=True, slots=True)
class NodeSite:
    """What one data owner brings: identity, rows, rules and records; `witness` if it cosigns the coordinator's log."""

    domain: str
    keys: PartyKeys = field(repr=False)
    paillier: PrivateKey = field(repr=False)
    pins: Pins = field(repr=False)
    table: FeatureTable = field(repr=False)
    policy: NodePolicy
    ledger: Ledger = field(repr=False)
    clock: Callable[[], int] = system_clock
    randomness: Randomness = secrets.token_bytes
    witness: LogWitness | None = field(default=None, repr=False)

    @property
    def card(self) -> PartyCard:
        """This node's own card, as the others have pinned it."""
        return self.pins.cards[self.keys.party]

    def channel(self, transcript: bytes) -> Channel:
        """Return this node's end of a run or query."""
        return Channel(self.keys, self.pins.cards, transcript)


class TrainingSite:
    """The site as one training run sees it: binds the run's rows and bins to the ledger."""

    def __init__(self, site: NodeSite) -> None:
        self._site = site
        self._binnings: tuple[FineBinning, ...] = ()

    def bin_cohort(self, spec: RunSpec, cohort: Cohort) -> BinnedRows:
        """Verify the cohort's consent and bin its rows. Raises: PolicyDenied."""
        site = self._site
        verify_consent(
            cohort.consent,
            site.pins.only(PartyRole.CONSENT_SERVICE),
            subject=cohort_subject(cohort.ids),
            bank=spec.bank,
            purpose=Purpose.TRAINING,
            domain=site.domain,
            now=site.clock(),
        )
        self._admit(spec, cohort)
        rows, self._binnings = bin_rows(site.table, cohort.ids, spec.training_rows, spec.fine_bins, spec.minimum_bin)
        return rows

    def _admit(self, spec: RunSpec, cohort: Cohort) -> None:
        """Refuse training rows that nearly equal an earlier run's, and remember them. Raises: PolicyDenied."""
        ledger = self._site.ledger
        names, known = names_of(cohort.ids[: spec.training_rows]), names_of(self._site.table.ids)
        check_difference(names, known, map(unpack, ledger.cohorts(spec.bank)), spec.minimum_bin)
        ledger.record_cohort(spec.transcript(), spec.bank, pack(names))

    def release(self, spec: RunSpec, step: str, leak: LeakClass) -> None:
        """Record a release before it is made. Raises: BudgetExceeded."""
        self._site.ledger.record_release(spec.transcript(), step, leak, self._site.clock())

    def keep_part(self, manifest: SignedManifest, tables: PointTables) -> None:
        """Store the part with the bins it refers to."""
        part = StoredPart(encode(manifest), encode(tables), msgspec.msgpack.encode(self._binnings))
        self._site.ledger.keep_part(manifest.manifest.model_hash(), part)


class DataNodeAgent:
    """Serves training runs and assessments of one data owner."""

    def __init__(self, site: NodeSite) -> None:
        self._site = site
        self._runs: dict[bytes, NodeTraining | NodeBoosting] = {}
        self._queries: dict[bytes, Query] = {}
        self._row_of = row_index(site.table)

    def handle(self, data: bytes) -> bytes:
        """Return the reply to a parcel; never raises."""
        return handle_parcel(self._site.keys.party, data, self._receive_all)

    def _receive_all(self, envelopes: tuple[Envelope, ...]) -> list[Envelope]:
        return [reply for envelope in envelopes for reply in self._receive(envelope)]

    def _receive(self, envelope: Envelope) -> list[Envelope]:
        if envelope.message in SPECS:
            return self._open_run(envelope, SPECS[envelope.message])
        if envelope.message == "Query":
            return self._open_query(envelope)
        if envelope.message == "Subject":
            return [self._answer(envelope)]
        if envelope.message == OFFER and self._site.witness is not None:
            coordinator, now = self._site.pins.only(PartyRole.COORDINATOR), self._site.clock()
            return [self._site.witness.answer(envelope, coordinator, self._site.channel, now)]
        run = self._runs.get(envelope.transcript)
        if run is None:
            raise UnexpectedMessage(f"{envelope.message} for a run that is not open")
        replies = run.receive(envelope)
        if envelope.message == "SignedManifest":
            del self._runs[envelope.transcript]
        return replies

    # ---- training

    def _open_run(self, envelope: Envelope, kind: type[RunSpec]) -> list[Envelope]:
        """Admit a run, in place of an unfinished one of the same bank. Raises: as the policy and the pins say."""
        site = self._site
        spec = decode(envelope.body, kind)
        channel = site.channel(spec.transcript())
        channel.unwrap(envelope, kind)
        self._check_parties(envelope, spec)
        site.policy.check_run(spec)
        run = self._role(spec, channel)
        site.ledger.open_run(channel.transcript, spec.bank, spec.row_totals)
        others = {t: open_run for t, open_run in self._runs.items() if open_run.spec.bank != spec.bank}
        self._runs = others | {channel.transcript: run}
        return []

    def _role(self, spec: RunSpec, channel: Channel) -> NodeTraining | NodeBoosting:
        site = self._site
        keys = {PartyId(p): site.pins.paillier_key(PartyId(p), spec.key_bits) for p in _parties(spec)}
        if isinstance(spec, BoostingSpec):
            return NodeBoosting(spec, channel, keys[PartyId(spec.bank)], TrainingSite(site), site.randomness)
        return NodeTraining(spec, channel, site.paillier, keys, TrainingSite(site), site.randomness)

    def _check_parties(self, envelope: Envelope, spec: RunSpec) -> None:
        """Hold the run's parties against the pinned cards. Raises: VerificationFailed."""
        pins = self._site.pins
        bank = pins.card(PartyId(spec.bank), PartyRole.BANK)
        if envelope.sender != spec.bank or bank.fingerprint() != spec.bank_card:
            raise VerificationFailed("the run is not announced by its bank, under its pinned card")
        names = [node.party for node in spec.nodes]
        if names != sorted(set(names)) or spec.bank in names or self._site.keys.party not in names:
            raise VerificationFailed("the run's nodes are sorted, distinct, and include this one")
        for node in spec.nodes:
            if pins.card(PartyId(node.party), PartyRole.DATA_NODE).fingerprint() != node.card:
                raise VerificationFailed(f"the run names a card of {node.party} that is not pinned")

    # ---- assessments

    def _open_query(self, envelope: Envelope) -> list[Envelope]:
        query = decode(envelope.body, Query)
        transcript = query.transcript()
        self._site.channel(transcript).unwrap(envelope, Query)
        bank = self._site.pins.card(PartyId(query.bank), PartyRole.BANK)
        if envelope.sender != query.bank or bank.fingerprint() != query.bank_card:
            raise VerificationFailed("the query is not its bank's, under its pinned card")
        while len(self._queries) >= MAX_OPEN_QUERIES:  # the oldest has waited for its subject in vain
            del self._queries[next(iter(self._queries))]
        self._queries[transcript] = query
        return []

    def _answer(self, envelope: Envelope) -> Envelope:
        """Return the share or the denial for one subject; the same bytes for the same query, however often asked."""
        query = self._queries.pop(envelope.transcript, None)
        if query is None or envelope.sender != query.bank:
            raise UnexpectedMessage("a subject without its query")
        channel = self._site.channel(envelope.transcript)
        subject = channel.unwrap(envelope, Subject)
        known = self._site.ledger.find_answer(query.query, channel.transcript)
        if known is not None:
            return decode(known, Envelope)
        try:
            return self._commit(query, subject, channel, "RELEASE", self._share(query, subject))
        except (PolicyDenied, BudgetExceeded, VerificationFailed) as refusal:
            denial = Denial(refusal.code, self._site.policy.digest())
            return self._commit(query, subject, channel, "DENY", denial)

    def _share(self, query: Query, subject: Subject) -> Message:
        """Evaluate this node's part. Raises: PolicyDenied, VerificationFailed."""
        site = self._site
        part = site.ledger.part(query.model)
        if part is None:
            raise VerificationFailed("no part of this model is stored here", code="WRONG_MODEL")
        manifest = decode(part.manifest, SignedManifest).manifest
        check_query(query, manifest, site.clock())
        site.policy.check_bank(query.bank, Purpose.ASSESSMENT)
        verify_consent(
            subject.consent,
            site.pins.only(PartyRole.CONSENT_SERVICE),
            subject=subject.enterprise,
            bank=query.bank,
            purpose=Purpose.ASSESSMENT,
            domain=site.domain,
            now=site.clock(),
        )
        tables = open_part(part.tables)
        bank_key = site.pins.paillier_key(PartyId(query.bank), site.paillier.public_key.bits)
        evaluation = self._evaluate(subject.enterprise, _binnings.decode(part.binnings), tables)
        cards, policy, points = site.pins.cards, site.policy.digest(), tables.features
        return share_of(query, manifest, points, evaluation, site.keys, cards, bank_key, policy, site.randomness)

    def _evaluate(self, enterprise: str, binnings: tuple[FineBinning, ...], part: PointTables) -> Evaluation:
        columns = cohort_columns(self._site.table, self._row_of, (enterprise,))
        bins = [int(binning.assign(columns[binning.name])[0]) for binning in binnings]
        coverage = Coverage.OK if enterprise in self._row_of else Coverage.ABSENT
        return Evaluation(places(part, bins), coverage, enterprise)

    def _commit(self, query: Query, subject: Subject, channel: Channel, decision: str, message: Message) -> Envelope:
        """Make the answer durable, then return it. Raises: PolicyDenied, BudgetExceeded before anything is released."""
        site = self._site
        envelope = channel.wrap(PartyId(query.bank), message, sealed=False)
        nodes = hashlib.sha256("\0".join(query.nodes).encode()).digest()
        now = site.clock()
        day, response = now // SECONDS_PER_DAY, encode(envelope)
        answer = Answer(
            query.query,
            channel.transcript,
            query.bank,
            subject.enterprise,
            nodes,
            day,
            now,
            decision,
            response,
        )
        site.ledger.commit_answer(answer, site.policy.queries_per_day)
        return envelope


def _parties(spec: RunSpec) -> tuple[str, ...]:
    return (spec.bank, *(node.party for node in spec.nodes))
