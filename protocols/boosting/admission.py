"""What a boosting run must satisfy before a party takes part, whoever announced it."""

from __future__ import annotations

from collections.abc import Mapping

from protocols.boosting.messages import BoostingSpec
from protocols.channel.identity import PartyCard, PartyId
from protocols.errors import VerificationFailed
from protocols.scorecard.admission import check_spec, check_undivided


def check_boosting(spec: BoostingSpec, cards: Mapping[PartyId, PartyCard]) -> None:
    """Return if the run is one that `check_spec` admits, with one release of totals a turn, and large folds.

    Raises: VerificationFailed with codes WRONG_NODE_SET, WRONG_ROWS, WRONG_TURNS, WRONG_FOLDS, NO_NOISE, NOISY_TURNS.
    """
    check_spec(spec, cards)
    check_undivided(spec)
    if spec.rho and len(spec.steps) > 1:
        raise VerificationFailed(f"a run with noise has one turn, not {len(spec.steps)}", code="NOISY_TURNS")
    if len(spec.steps) != spec.row_totals:
        raise VerificationFailed(f"{len(spec.steps)} turns for {spec.row_totals} releases", code="WRONG_TURNS")
    if spec.group % spec.folds:
        raise VerificationFailed(f"{spec.folds} folds for groups of {spec.group} trees", code="WRONG_FOLDS")
    if spec.training_rows < spec.folds * spec.minimum_bin:
        raise VerificationFailed(f"{spec.training_rows} rows are too few for {spec.folds} folds", code="WRONG_ROWS")
