"""What the bank adds to an opened answer: its own points, and the log's word that the answer is recorded."""

from __future__ import annotations

from collections.abc import Sequence

from nodes.bank.model.file import BOOSTING, ModelFile
from nodes.bank.site import BankSite
from nodes.binning import assign_rows, cohort_columns, row_index
from protocols.assessment.manifest import Manifest, verify_manifest
from protocols.assessment.messages import Acknowledgement, LogReceipt
from protocols.boosting.serving import leaves_of
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import digest
from protocols.errors import VerificationFailed
from protocols.scorecard.messages import Count
from protocols.transparency.checkpoints import verify_log_signature
from protocols.transparency.notes import parse_note


class AnswerReader:
    """Reads answers with what the bank alone has: its own features and the log key that it has pinned."""

    def __init__(self, site: BankSite) -> None:
        self._site = site
        self._row_of = row_index(site.table)
        self._last_note: tuple[bytes | None, int] = None, 0

    def own_points(self, enterprises: Sequence[str], model: ModelFile) -> list[int]:
        """Return what the bank's own part of a model gives each enterprise."""
        columns = cohort_columns(self._site.table, self._row_of, enterprises)
        codes = assign_rows(model.own_binnings, columns, len(enterprises))
        places = leaves_of(model.own_trees(), codes) if model.family == BOOSTING else codes
        return [sum(p[place] for p, place in zip(model.own_points, row, strict=True)) for row in places.tolist()]

    def leaf_of(self, receipt: LogReceipt | None) -> Count:
        """Return the leaf of the log that records an answer. Raises: VerificationFailed, code NO_RECEIPT."""
        if receipt is None:
            raise VerificationFailed("the answer came without a receipt of the log", code="NO_RECEIPT")
        if receipt.note != self._last_note[0]:  # answers that were logged together come under one note
            size = verify_log_signature(parse_note(receipt.note), self._site.present_log_key).size
            self._last_note = receipt.note, size
        if receipt.leaf >= self._last_note[1]:
            raise VerificationFailed("the receipt's leaf is outside its tree", code="NO_RECEIPT")
        return receipt.leaf


class VerifiedManifests:
    """The manifests of the models that are asked with, each verified once: neither signatures nor lineages change."""

    def __init__(self, site: BankSite) -> None:
        self._site = site
        self._last: tuple[ModelFile, Manifest] | None = None

    def of(self, model: ModelFile) -> Manifest:
        """Return a model's manifest. Raises: VerificationFailed if not every node of it has signed it."""
        if self._last is None or self._last[0] is not model:
            signed = model.signed_manifest()
            entries = {PartyId(entry.party): entry.card for entry in signed.manifest.nodes}
            verify_manifest(signed, self._site.pins.named(entries))
            self._last = model, signed.manifest
        return self._last[1]


def present_cards(site: BankSite, manifest: Manifest) -> tuple[str, ...]:
    """Return the cards under which the nodes answer now; nothing if they are those that the manifest names."""
    present = tuple(site.pins.fingerprint(PartyId(entry.party)) for entry in manifest.nodes)
    return () if present == tuple(entry.card for entry in manifest.nodes) else present


def record_end(site: BankSite, question: bytes, receipt: LogReceipt | None, replies: list[Envelope]) -> list[Envelope]:
    """Return the replies of a query or batch, the one that ends it put on record before it leaves."""
    for reply in replies:
        if site.ledger is not None and reply.message == Acknowledgement.__name__:
            site.ledger.questions.close(question, digest(reply), None if receipt is None else receipt.note)
    return replies
