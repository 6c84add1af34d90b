"""The role of a data node that shares its domain with others by region: only the domain's sums open, to anybody.

Before anything is counted for the bank, the districts of a domain agree on common bins: each counts its rows in the
cells of a public grid, masked, for the first of them by name, which adds all up and tells the others. Whatever a node
of its own would tell the bank then goes in shares that cancel over the domain. Their masks depend on the counts that
each was told, so that nothing opens if those were not the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.errors import UnexpectedMessage
from protocols.masks import zero_sum_masks, zero_sum_words
from protocols.paillier import CiphertextVector, Packing, PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import histogram_packing, masked_sums
from protocols.scorecard.cells import Words, add_up, fold, narrow, unfold, width
from protocols.scorecard.gathering import GRAM_MODULUS, Gathering, pooled_gram
from protocols.scorecard.node import NodeTraining
from protocols.scorecard.node_role import Handlers, Sent, Site, require
from protocols.scorecard.products import add_low_bits
from protocols.scorecard.rows import BinnedRows, WoeColumns


class Survey(Protocol):
    """A district's own counts, level by level, and the bins that follow from its domain's."""

    @property
    def level(self) -> int:
        """The level that is counted next."""
        ...

    @property
    def cells(self) -> int:
        """How many cells the level has."""
        ...

    def counts(self) -> Words:
        """Return how many of the own training rows fall in each cell of the level."""
        ...

    def take(self, pooled: Words) -> BinnedRows | None:
        """Take the domain's counts of the level; return the rows in common bins after the last. Raises: PolicyDenied.

        Shapes: `features` of the rows count the whole domain's, `codes` are the own.
        """
        ...


class DistrictSite(Site, Protocol):
    """What the owner's side of a district provides beyond a node's."""

    def survey(self, spec: m.RunSpec, cohort: m.Cohort) -> Survey:
        """Verify the consent, and look the enterprises up. Raises: PolicyDenied."""
        ...


class DistrictTraining(NodeTraining):
    """One district of a split domain in one run. Raises: as `NodeTraining`."""

    def __init__(
        self,
        spec: m.RunSpec,
        channel: Channel,
        paillier: PrivateKey,
        keys: dict[PartyId, PublicKey],
        site: DistrictSite,
        randomness: Randomness,
    ) -> None:
        super().__init__(spec, channel, paillier, keys, site, randomness)
        self._district_site = site
        self._siblings, self._lead = self._districts.siblings(self._me), self._districts.leads[self._me]
        self._width = width(len(self._siblings) + 1, spec.training_rows)
        self._told = ""
        self._survey: Survey | None = None
        self._label_vector: CiphertextVector | None = None
        self._counts: Gathering[bytes] = Gathering(self._districts)
        self._grams: Gathering[tuple[int, ...]] = Gathering(self._districts)

    def _handlers(self) -> Handlers:
        return {
            **super()._handlers(),
            "DistrictCounts": self._on_counts,
            "DomainCounts": self._on_domain_counts,
            "LocalGram": self._on_gram,
        }

    def _salt(self, step: str) -> bytes:
        """Return what masks of a step depend on: they cancel only if all were told the same run, cohort and counts."""
        return self._channel.transcript + f"district/{step}/{self._cohort_name}/{self._told}".encode()

    def _peers(self) -> dict[str, bytes]:
        return {sibling: self._channel.cards[sibling].mask_key for sibling in self._siblings}

    def _masks_of(self, step: str, count: int, modulus: int) -> list[int]:
        return zero_sum_masks(self._me, self._channel.keys.mask, self._peers(), self._salt(step), count, modulus)

    def _from_sibling(self, envelope: Envelope) -> PartyId:
        sender = PartyId(envelope.sender)
        if sender not in self._siblings:
            raise UnexpectedMessage(f"{envelope.message} does not come from {sender}")
        return sender

    # ---- common bins

    def _admit(self, labels: CiphertextVector, cohort: m.Cohort) -> Sent:
        self._label_vector, self._survey = labels, self._district_site.survey(self.spec, cohort)
        return self._count(self._survey)

    def _count(self, survey: Survey) -> Sent:
        level = survey.level
        self._site.release(self.spec, f"DistrictCounts/{level}", m.LeakClass.AGGREGATE)
        own, salt = survey.counts(), self._salt(f"counts/{level}")
        masks = zero_sum_words(self._me, self._channel.keys.mask, self._peers(), salt, len(own))
        masked = narrow(own + masks, self._width)
        if self._me == self._lead:
            return self._add_up(self._counts.put(f"counts/{level}", self._me, masked))
        return [self._channel.wrap(self._lead, m.DistrictCounts(level, masked))]

    def _on_counts(self, envelope: Envelope) -> Sent:
        sender = self._from_sibling(envelope)
        if self._me != self._lead:
            raise UnexpectedMessage(f"{self._lead} adds up this domain's counts, not {self._me}")
        message = self._channel.unwrap(envelope, m.DistrictCounts)
        return self._add_up(self._counts.put(f"counts/{message.level}", sender, message.counts))

    def _add_up(self, parts: list[bytes] | None) -> Sent:
        """Add up a level once all districts have counted it, and tell the others."""
        if parts is None:
            return []
        survey, pooled = require(self._survey), add_up(parts, self._width)
        message = m.DomainCounts(survey.level, fold(pooled))
        return [self._channel.wrap(sibling, message) for sibling in self._siblings] + self._take(survey, pooled)

    def _on_domain_counts(self, envelope: Envelope) -> Sent:
        message, survey = self._from_bank(envelope, m.DomainCounts, self._lead), require(self._survey)
        if self._me == self._lead or message.level != survey.level or self._rows is not None:
            raise UnexpectedMessage(f"counts of level {message.level} are not due")
        return self._take(survey, unfold(message.counts, survey.cells))

    def _take(self, survey: Survey, pooled: Words) -> Sent:
        """Take the domain's counts of a level, and go on to the next, or to the histograms."""
        self._told = hashlib.sha256(self._told.encode() + pooled.astype("<u4").tobytes()).hexdigest()
        rows = survey.take(pooled)
        return self._count(survey) if rows is None else self._begin(require(self._label_vector), rows)

    # ---- sums for the bank

    def _cells(self, labels: CiphertextVector, rows: BinnedRows) -> list[CiphertextVector]:
        cells = super()._cells(labels, rows)
        if self._districts.stands_in(self._me):
            return cells
        nobody = labels.total().scale([-1])
        return [
            CiphertextVector.concat([c[:at], c[at : at + 1] + nobody, c[at + 1 :]])
            for c, at in zip(cells, rows.absent, strict=True)
        ]

    def _send_histograms(self, rows: BinnedRows, cells: CiphertextVector) -> Sent:
        packing = histogram_packing(self.spec.training_rows, self._bank_key.bits)
        shapes = self._channel.wrap(self._bank, m.BinHistograms(rows.features, b""))
        return [
            shapes,
            self._sums("histograms", masked_sums(cells, packing, self._randomness, addends=self._addends)),
        ]

    def _send_gradient(self, release: int, sums: CiphertextVector, packing: Packing, noise: list[int]) -> Sent:
        masked = masked_sums(sums, packing, self._randomness, filled=2, addends=self._addends)
        return [self._sums(f"gradient/{release}", masked)]

    @property
    def _addends(self) -> int:
        return len(self._siblings) + 1

    def _sums(self, step: str, masked: CiphertextVector) -> Envelope:
        """Return a share of the domain's sums, masked over the whole plaintext: no other sum of it opens."""
        masks = self._masks_of(step, len(masked), self._bank_key.n)
        message = m.DistrictSums(step, masked.add_plain(masks).to_bytes())
        return self._channel.wrap(self._bank, message, sealed=False)

    def _totals(self, points: list[tuple[int, ...]]) -> NDArray[np.int64]:
        values = super()._totals(points)
        if self._districts.stands_in(self._me):
            return values
        return values - sum(table[at] for table, at in zip(points, require(self._rows).absent, strict=True))

    # ---- the Gram matrix

    def _as_added(self, columns: WoeColumns, tables: Sequence[tuple[int, ...] | None]) -> WoeColumns:
        if self._districts.stands_in(self._me):
            return columns
        absent = require(self._rows).absent
        return columns.relative(tuple(t[at] for t, at in zip(tables, absent, strict=True) if t is not None))

    def _local_gram(self, columns: WoeColumns, upper: tuple[int, ...]) -> Sent:
        masks = self._masks_of("gram", len(upper), GRAM_MODULUS)
        masked = tuple((entry + mask) % GRAM_MODULUS for entry, mask in zip(upper, masks, strict=True))
        sent = super()._local_gram(columns, masked)
        if not upper or self.spec.row_totals < 2:
            return sent
        sent += [self._channel.wrap(sibling, m.LocalGram(masked)) for sibling in self._siblings]
        return sent + self._start_when_ready(self._grams.put("gram", self._me, masked))

    def _start(self, upper: tuple[int, ...]) -> Sent:
        return [] if upper else super()._start(upper)

    def _on_gram(self, envelope: Envelope) -> Sent:
        sender = self._from_sibling(envelope)
        message = self._channel.unwrap(envelope, m.LocalGram)
        return self._start_when_ready(self._grams.put("gram", sender, message.entries))

    def _start_when_ready(self, grams: list[tuple[int, ...]] | None) -> Sent:
        return [] if grams is None else super()._start(pooled_gram(grams))

    def _hidden(
        self, step: str, shares: list[tuple[bytes, ...]], owner_columns: int, evaluator_columns: int
    ) -> tuple[bytes, ...]:
        maskings = self._maskings(owner_columns, evaluator_columns)
        widest = max(mask.bits for mask in maskings)
        masks = self._masks_of(step, len(maskings), 1 << widest)
        hiding = tuple(h.low(v).to_bytes(h.width) for v, h in zip(masks, maskings, strict=True))
        return add_low_bits([*shares, hiding], maskings)
