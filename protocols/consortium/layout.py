"""Which rows of the pool are whose: all banks' training rows in the banks' order, then all their test rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.channel.identity import PartyId
from protocols.consortium.messages import ConsortiumSpec


@dataclass(frozen=True, slots=True)
class Layout:
    """Row numbers of the pool. Shapes: `training` and `test` hold each bank's own rows, in its own order."""

    training: dict[PartyId, NDArray[np.intp]] = field(repr=False)
    test: dict[PartyId, NDArray[np.intp]] = field(repr=False)

    @classmethod
    def of(cls, spec: ConsortiumSpec) -> Layout:
        """Return the layout of a run."""
        training, test = {}, {}
        start, start_test = 0, spec.training_rows
        for member in spec.members:
            bank, count = PartyId(member.party), member.rows - member.training_rows
            training[bank] = np.arange(start, start + member.training_rows)
            test[bank] = np.arange(start_test, start_test + count)
            start, start_test = start + member.training_rows, start_test + count
        return cls(training, test)

    def rows(self, bank: PartyId) -> NDArray[np.intp]:
        """Return one bank's rows in its own order, training rows first."""
        return np.concatenate([self.training[bank], self.test[bank]])

    def order(self, ids: dict[PartyId, tuple[str, ...]]) -> tuple[str, ...]:
        """Return the pool's enterprises in its order, from each bank's cohort; one may stand there once a bank."""
        training = [name for bank, rows in self.training.items() for name in ids[bank][: len(rows)]]
        return (*training, *(name for bank, rows in self.training.items() for name in ids[bank][len(rows) :]))
