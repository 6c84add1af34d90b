"""The questions that a bank asks about enterprises, from the query to the result it reads."""

from __future__ import annotations

from nodes.bank.model_file import BOOSTING, ModelFile
from nodes.bank.results import AssessmentResult, describe_answer, describe_refusal
from nodes.bank.site import BankSite
from nodes.binning import assign_rows, cohort_columns, row_index
from protocols.assessment.bank import BankQuery
from protocols.assessment.manifest import verify_manifest
from protocols.assessment.messages import Acknowledgement, Query, Subject
from protocols.boosting.serving import leaves_of
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import digest
from protocols.consent import Purpose
from protocols.errors import VerificationFailed
from protocols.scorecard.messages import Count
from protocols.transparency.checkpoints import verify_log_signature
from protocols.transparency.leaves import subject_tag
from protocols.transparency.notes import parse_note

QUERY_SECONDS = 300


class Questions:
    """The queries that one bank has open."""

    def __init__(self, site: BankSite) -> None:
        self._site = site
        self._me = site.keys.party
        self._queries: dict[bytes, tuple[BankQuery, ModelFile, str]] = {}
        self._row_of = row_index(site.table)

    def __contains__(self, transcript: bytes) -> bool:
        return transcript in self._queries

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take a message of an open query. Raises: as the query's role does."""
        return self._receive_answer(envelope, self._queries[envelope.transcript][0])

    def ask(self, enterprise: str, consent: str, model: ModelFile) -> tuple[bytes, list[Envelope]]:
        """Return a new query's transcript and its messages.

        Raises: VerificationFailed if not every node of the model's manifest has signed it.
        """
        site = self._site
        signed = model.signed_manifest()
        verify_manifest(signed, site.pins.cards)
        manifest, now = signed.manifest, site.clock()
        query = Query(
            query=site.randomness(16),
            bank=self._me,
            bank_card=site.pins.cards[self._me].fingerprint(),
            model=manifest.model_hash(),
            purpose=Purpose.ASSESSMENT,
            nodes=tuple(entry.party for entry in manifest.nodes),
            issued=now,
            expires=now + QUERY_SECONDS,
            subject_tag=subject_tag(site.tag_key, enterprise),
        )
        channel = site.channel(query.transcript())
        coordinator = PartyId(site.pins.only(PartyRole.COORDINATOR).party)
        role = BankQuery(query, Subject(enterprise, consent), manifest, channel, site.paillier, coordinator)
        asked = role.start()
        if self._site.ledger is not None:
            self._site.ledger.open_question(query.query, now, digest(asked[0]))
        self._queries[channel.transcript] = (role, model, enterprise)
        return channel.transcript, asked

    def _receive_answer(self, envelope: Envelope, role: BankQuery) -> list[Envelope]:
        """Pass an envelope to its query; what the query ends with is on record before it leaves."""
        replies = role.receive(envelope)
        for reply in replies:
            if self._site.ledger is not None and reply.message == Acknowledgement.__name__:
                receipt = None if role.receipt is None else role.receipt.note
                self._site.ledger.close_question(role.query.query, digest(reply), receipt)
        return replies

    def result(self, transcript: bytes) -> AssessmentResult:
        """Return the answer to a query, whatever it was, and forget the query."""
        role, model, enterprise = self._queries.pop(transcript)
        manifest, now = model.signed_manifest().manifest, self._site.clock()
        if role.opened is None:
            return describe_refusal(role, enterprise, manifest)
        receipt = self._verified_receipt(role)
        own = self._own_points(enterprise, model)
        return describe_answer(role.query, role.opened, enterprise, manifest, model.calibration, own, receipt, now)

    def _own_points(self, enterprise: str, model: ModelFile) -> int:
        columns = cohort_columns(self._site.table, self._row_of, (enterprise,))
        codes = assign_rows(model.own_binnings, columns, 1)
        places = leaves_of(model.own_trees(), codes) if model.family == BOOSTING else codes
        return sum(points[place] for points, place in zip(model.own_points, places[0].tolist(), strict=True))

    def _verified_receipt(self, role: BankQuery) -> Count:
        """Return the leaf of the log that records the result. Raises: VerificationFailed, code NO_RECEIPT."""
        if role.receipt is None:
            raise VerificationFailed("the answer came without a receipt of the log", code="NO_RECEIPT")
        checkpoint = verify_log_signature(parse_note(role.receipt.note), self._site.log_key)
        if role.receipt.leaf >= checkpoint.size:
            raise VerificationFailed("the receipt's leaf is outside its tree", code="NO_RECEIPT")
        return role.receipt.leaf
