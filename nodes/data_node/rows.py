"""An owner's features as they are now: computed again, before the next answer, when something was put right."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from nodes.binning import row_index
from nodes.features import FeatureTable
from nodes.ledger import Repair
from nodes.ledger.repairs import RepairRecords
from protocols.errors import ConfigurationError, PolicyDenied

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The features at one time, and the row of each enterprise."""

    table: FeatureTable = field(repr=False)
    row_of: dict[str, int] = field(repr=False)


class Rows:
    """One owner's rows. For any number of threads."""

    def __init__(self, read: Callable[[Sequence[Repair]], FeatureTable], repairs: RepairRecords) -> None:
        """Read the source, with the repairs that stand. Raises: ConfigurationError."""
        self._read, self._repairs, self._lock = read, repairs, Lock()
        self._version = repairs.version()
        self._snapshot = self._compute()

    def now(self) -> Snapshot:
        """Return the features with every repair that stands.

        Raises: PolicyDenied, code REPAIR_FAILED, if they cannot be computed: what was put right must not be answered
        from as it was.
        """
        version = self._repairs.version()
        with self._lock:
            if version != self._version:
                try:
                    self._snapshot, self._version = self._compute(), version
                except ConfigurationError as error:
                    logger.error("the features cannot be computed with the repairs that stand: %s", error)
                    raise PolicyDenied("the records are being put right", code="REPAIR_FAILED") from error
            return self._snapshot

    def _compute(self) -> Snapshot:
        table = self._read(self._repairs.standing())
        return Snapshot(table, row_index(table))
