"""The closed loop without a file: what was reported of loans takes the place of labels when the bank trains again."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodes.bank.store import outcomes as store
from nodes.bank.store.database import DATABASE_FILE
from nodes.bank.store.outcomes import Label
from nodes.features import FeatureTable
from protocols.errors import ConfigurationError

TRAINS_NOTHING: Final = -1
"""The outcome of an enterprise that is left out of training: 30 to 90 days past due say neither good nor bad."""

_OUTCOMES: Final = {Label.DEFAULT: 1, Label.GOOD: 0, Label.INDETERMINATE: TRAINS_NOTHING}


def reported_labels(home: Path) -> Mapping[str, Label]:
    """Return the label of each enterprise whose outcome the bank's API has recorded; none if it has never run.

    Raises: ConfigurationError, code BAD_DATABASE.
    """
    path = home / DATABASE_FILE
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return store.labels(connection)
    except sqlite3.Error as error:
        raise ConfigurationError(f"{path}: cannot be read as the bank's database", code="BAD_DATABASE") from error


def with_reported(table: FeatureTable, outcomes: NDArray[np.int64], labels: Mapping[str, Label]) -> NDArray[np.int64]:
    """Return the outcomes of a bank's rows, the file's where nothing was reported or the loan is still open.

    Shapes: (rows of the table,) in and out; `TRAINS_NOTHING` where it is indeterminate. Whom the file does not know has
    no row, and is not added.
    """
    said = [_OUTCOMES.get(labels.get(id_, Label.OPEN)) for id_ in table.ids]
    return np.array([old if new is None else new for old, new in zip(outcomes.tolist(), said, strict=True)], np.int64)
