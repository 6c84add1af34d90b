"""What a run, a plan of columns and a manifest must satisfy before a party takes part, whoever signed them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocols.assessment.manifest import Manifest, check_nodes
from protocols.assessment.node import check_part
from protocols.channel.identity import PartyCard, PartyId
from protocols.channel.wire import digest
from protocols.consent import Purpose
from protocols.errors import BudgetExceeded, VerificationFailed
from protocols.paillier import PublicKey
from protocols.scorecard.messages import PointTables, RunSpec
from protocols.scorecard.themes import BAND_POINTS

COLUMNS_ALWAYS: Final = 16
"""Columns that any party may bring to the Gram matrix, however few the rows."""


def column_limit(training_rows: int, minimum_bin: int) -> int:
    """Return how many columns one party may bring to the Gram matrix: one for each k enterprises.

    An owner that crafts its columns chooses the weights of each inner product; what it then learns of a column grows
    with their number, and with as many as there are rows it is every row.
    """
    return max(COLUMNS_ALWAYS, training_rows // minimum_bin)


def check_spec(spec: RunSpec, cards: Mapping[PartyId, PartyCard]) -> None:
    """Return if the run names at least two nodes, in order, each party under its pinned card, and rows that can be.

    Raises: VerificationFailed with codes WRONG_NODE_SET, WRONG_ROWS.
    """
    names = [node.party for node in spec.nodes]
    if names != sorted(set(names)) or len(names) < 2 or spec.bank in names:
        raise VerificationFailed("a run has two nodes or more, sorted, distinct, not the bank", code="WRONG_NODE_SET")
    for party, pinned in [(spec.bank, spec.bank_card), *((node.party, node.card) for node in spec.nodes)]:
        card = cards.get(PartyId(party))
        if card is None or card.fingerprint() != pinned:
            raise VerificationFailed(f"the run names a card of {party} that is not pinned", code="WRONG_NODE_SET")
    if not 1 <= spec.training_rows <= spec.rows:
        raise VerificationFailed(f"{spec.training_rows} training rows of {spec.rows}", code="WRONG_ROWS")
    if spec.rho and len({node.domain for node in spec.nodes}) < len(names):
        raise VerificationFailed("the sums of a domain that is split by region carry no noise", code="NO_NOISE")


def check_undivided(spec: RunSpec) -> None:
    """Return if no domain is split by region, for a family that does not pool districts.

    Raises: VerificationFailed, code DOMAIN_SPLIT.
    """
    if len({node.domain for node in spec.nodes}) < len(spec.nodes):
        raise VerificationFailed("this kind of run takes no domain that is split by region", code="DOMAIN_SPLIT")


def check_plan(spec: RunSpec, plan: Mapping[PartyId, int]) -> None:
    """Return if no party brings so many columns that inner products would tell rows. Raises: BudgetExceeded."""
    limit = column_limit(spec.training_rows, spec.minimum_bin)
    for party, columns in plan.items():
        if columns > limit:
            raise BudgetExceeded(f"{columns} columns of {party} are more than {limit}", code="TOO_MANY_COLUMNS")


def check_manifest(
    manifest: Manifest,
    spec: RunSpec,
    me: PartyId,
    cards: Mapping[PartyId, PartyCard],
    tables: PointTables,
    bank_key: PublicKey,
) -> None:
    """Return if a node may sign: the manifest is the run's, states the node's part, and has room for all its answers.

    Raises: VerificationFailed.
    """
    if manifest.run != spec.transcript() or manifest.bank != spec.bank or manifest.purpose != Purpose.ASSESSMENT:
        raise VerificationFailed("the manifest is of another run, bank or purpose")
    if (manifest.row_totals, manifest.rho) != (spec.row_totals, spec.rho):
        raise VerificationFailed("the manifest states other leaks than the run")
    check_nodes(manifest, cards)
    if [(e.party, e.domain, e.card) for e in manifest.nodes] != [(n.party, n.domain, n.card) for n in spec.nodes]:
        raise VerificationFailed("the manifest is for another node set than the run")
    entry = manifest.part(me)
    if entry is None or entry.part != digest(tables):
        raise VerificationFailed("the manifest does not state this node's part")
    if any(theme.band_points != BAND_POINTS for theme in manifest.themes):
        raise VerificationFailed("the manifest cuts a theme finer than the convention")
    check_part(manifest, tables.features, bank_key)
