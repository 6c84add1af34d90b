"""The parts of models that a node holds, opened once and kept at hand, and what they say of its enterprises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from nodes.binning import FineBinning, assign_rows, cohort_columns
from nodes.data_node.rows import Snapshot
from nodes.data_node.site import NodeSite
from protocols.assessment.evaluation import Evaluation
from protocols.assessment.layout import Coverage
from protocols.assessment.manifest import Manifest, SignedManifest
from protocols.boosting.serving import open_part, places
from protocols.boosting.trees import Codes
from protocols.channel.wire import decode
from protocols.errors import VerificationFailed
from protocols.scorecard.messages import PointTables

MODELS_AT_HAND: Final = 8
_binnings = msgspec.msgpack.Decoder(tuple[FineBinning, ...])


@dataclass(frozen=True, slots=True)
class OpenPart:
    """One node's part of a signed model: what all signed, its points, and the bins that they are for.

    `absent` are the places of an enterprise that the node does not know.
    """

    manifest: Manifest
    tables: PointTables = field(repr=False)
    binnings: tuple[FineBinning, ...] = field(repr=False)
    absent: NDArray[np.int64] = field(repr=False)


class Parts:
    """The models that one node can answer from."""

    def __init__(self, site: NodeSite) -> None:
        self._site = site
        self._open: dict[bytes, OpenPart] = {}

    def of(self, model: bytes) -> OpenPart:
        """Return this node's part of a model. Raises: VerificationFailed, code WRONG_MODEL, if it has none."""
        if model not in self._open:
            stored = self._site.ledger.parts.find(model)
            if stored is None:
                raise VerificationFailed("no part of this model is stored here", code="WRONG_MODEL")
            while len(self._open) >= MODELS_AT_HAND:
                del self._open[next(iter(self._open))]
            manifest = decode(stored.manifest, SignedManifest).manifest
            tables, binnings = open_part(stored.tables), _binnings.decode(stored.binnings)
            (absent,) = places(tables, _bins(self._site.rows.now(), binnings, ("",)))
            self._open[model] = OpenPart(manifest, tables, binnings, absent)
        return self._open[model]

    def evaluate(self, part: OpenPart, enterprises: Sequence[str]) -> Evaluation:
        """Return what the part says of these enterprises, from the rows as they are now."""
        rows = self._site.rows.now()
        found = places(part.tables, _bins(rows, part.binnings, enterprises))
        coverage = [Coverage.OK if e in rows.row_of else Coverage.ABSENT for e in enterprises]
        objected = self._site.ledger.objections.pending(enterprises)
        return Evaluation(found, coverage, tuple(enterprises), part.absent, objected, rows.table.said_as_of)


def _bins(rows: Snapshot, binnings: Sequence[FineBinning], enterprises: Sequence[str]) -> Codes:
    columns = cohort_columns(rows.table, rows.row_of, enterprises)
    return assign_rows(binnings, columns, len(enterprises))
