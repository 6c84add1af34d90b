"""Which rows of a bank's file train a model, and which test it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodes.bank.training.reported import TRAINS_NOTHING
from protocols.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of the bank's file that train the model, and those that test it; `seed` if one drew them."""

    training: NDArray[np.intp]
    test: NDArray[np.intp]
    seed: int | None = None

    def order(self) -> NDArray[np.intp]:
        """Return all rows of the cohort, training rows first."""
        return np.concatenate([self.training, self.test])


def split_rows(outcomes: NDArray[np.int64], test_size: float, seed: int) -> Split:
    """Return the split that every report names: stratified, by row numbers of the bank's file, of those that train.

    Raises: ConfigurationError, code BAD_SPLIT, if the rows are too few to split so.
    """
    from sklearn.model_selection import train_test_split  # a second to load, if there is something to split

    rows = np.flatnonzero(outcomes != TRAINS_NOTHING)
    try:
        training, test = train_test_split(rows, test_size=test_size, random_state=seed, stratify=outcomes[rows])
    except ValueError as error:
        raise ConfigurationError(f"{len(rows)} rows cannot be split: {error}", code="BAD_SPLIT") from error
    return Split(training, test, seed)
