"""A run of several banks at one data node: each bank is admitted, and charged, as if it had asked alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from nodes.binning import FineBinning, bin_rows
from nodes.data_node.site import NodeSite
from nodes.features import FeatureTable
from nodes.ledger import StoredPart
from protocols.assessment.manifest import SignedManifest
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import encode
from protocols.consortium.layout import Layout
from protocols.consortium.messages import ConsortiumSpec
from protocols.scorecard.messages import Cohort, LeakClass, PointTables, RunSpec
from protocols.scorecard.rows import BinnedRows


class MemberSite(Protocol):
    """How the site treats one bank."""

    def admit(self, spec: RunSpec, cohort: Cohort) -> None:
        """Verify the cohort's consent, and hold it against the bank's earlier ones. Raises: PolicyDenied."""
        ...

    def release(self, spec: RunSpec, step: str, leak: LeakClass) -> None:
        """Record a release, and charge it to the bank, before it is made. Raises: BudgetExceeded."""
        ...


def asked_by(spec: RunSpec) -> tuple[RunSpec, ...]:
    """Return what each bank of a run asks for in its own name; its transcript names the bank's part in the ledger."""
    if not isinstance(spec, ConsortiumSpec):
        return (spec,)
    return tuple(
        msgspec.structs.replace(
            spec,
            bank=member.party,
            bank_card=member.card,
            rows=member.rows,
            training_rows=member.training_rows,
            labels=member.labels,
        )
        for member in spec.members
    )


def check_members(site: NodeSite, spec: ConsortiumSpec) -> None:
    """Return if every member is pinned as a bank. Raises: VerificationFailed."""
    for member in spec.members:
        site.pins.card(PartyId(member.party), PartyRole.BANK)


class PoolSite:
    """The site as one run of several banks sees it. `table` holds the features that every one of them may use."""

    def __init__(self, site: NodeSite, table: FeatureTable, members: Mapping[PartyId, MemberSite]) -> None:
        self._site, self._table, self._members = site, table, members
        self._binnings: tuple[FineBinning, ...] = ()

    def bin_cohorts(self, spec: ConsortiumSpec, cohorts: Mapping[PartyId, Cohort]) -> BinnedRows:
        """Admit every bank's cohort, and bin the rows of all in the pool's order. Raises: PolicyDenied."""
        for asked in asked_by(spec):
            bank = PartyId(asked.bank)
            self._members[bank].admit(asked, cohorts[bank])
        ids = Layout.of(spec).order({bank: cohort.ids for bank, cohort in cohorts.items()})
        rows, self._binnings = bin_rows(self._table, ids, spec.training_rows, spec.fine_bins, spec.minimum_bin)
        return rows

    def release(self, spec: RunSpec, step: str, leak: LeakClass) -> None:
        """Record a release, and charge it to every bank's year, before it is made. Raises: BudgetExceeded."""
        with self._site.ledger.group():
            for asked in asked_by(spec):
                self._members[PartyId(asked.bank)].release(asked, step, leak)

    def data_as_of(self) -> str:
        """Return as of which day the binned records speak, or ""."""
        return self._table.said_as_of

    def keep_part(self, manifest: SignedManifest, tables: PointTables) -> None:
        """Store the part, under one bank's manifest, with the bins it refers to."""
        part = StoredPart(encode(manifest), encode(tables), msgspec.msgpack.encode(self._binnings))
        self._site.ledger.parts.keep(manifest.manifest.model_hash(), part)
