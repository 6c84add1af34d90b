"""The closed loop without a file: what was reported of loans takes the place of labels when the bank trains again."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from nodes.bank.store import outcomes as store
from nodes.bank.store.database import DATABASE_FILE
from nodes.bank.store.outcomes import Label
from nodes.binning import cohort_columns, row_index
from nodes.features import FeatureTable
from protocols.errors import ConfigurationError

TRAINS_NOTHING: Final = -1
"""The outcome of an enterprise that is left out of training: 30 to 90 days past due say neither good nor bad."""

_OUTCOMES: Final = {Label.DEFAULT: 1, Label.GOOD: 0, Label.INDETERMINATE: TRAINS_NOTHING}


class ReportedCounts(msgspec.Struct, frozen=True):
    """What reports have made of the labels of a bank's file.

    `reported` enterprises have a label by reports; of these `changed` have another one than in the file, `added` are
    not in it, `left_out` are indeterminate; `open` ones keep the file's label. `as_of` is the last day that counts.
    """

    as_of: str
    reported: int
    changed: int
    added: int
    left_out: int
    open: int


@dataclass(frozen=True, slots=True)
class Labelled:
    """A bank's rows and the outcomes to train on; `TRAINS_NOTHING` where one is indeterminate.

    Shapes: `outcomes` (rows of the table,).
    """

    table: FeatureTable = field(repr=False)
    outcomes: NDArray[np.int64] = field(repr=False)
    counts: ReportedCounts


def label_again(home: Path, table: FeatureTable, outcomes: NDArray[np.int64], now: int) -> Labelled:
    """Return a bank's rows under the labels that were reported to its API, as of the day of `now`.

    Shapes: `outcomes` (rows of the table,). Units: `now` in seconds since 1970 UTC. Raises: ConfigurationError, code
    BAD_DATABASE.
    """
    today = store.latest_day(now)
    return with_reported(table, outcomes, reported_labels(home, today), today)


def reported_labels(home: Path, as_of: datetime.date) -> Mapping[str, Label]:
    """Return the label of each enterprise by what the bank's API was told until a day; none if it has never run.

    Raises: ConfigurationError, code BAD_DATABASE.
    """
    path = home / DATABASE_FILE
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return store.labels(connection, as_of)
    except sqlite3.Error as error:
        raise ConfigurationError(f"{path}: cannot be read as the bank's database", code="BAD_DATABASE") from error


def with_reported(
    table: FeatureTable, outcomes: NDArray[np.int64], labels: Mapping[str, Label], as_of: datetime.date
) -> Labelled:
    """Return the rows of a bank's file under reported labels, then those of enterprises that only reports know.

    Where nothing was reported, or the loan is still open, the file's label stands. Whom the file does not know has no
    features of the bank's own: all of them are missing.
    """
    known = set(table.ids)
    added = sorted(name for name, label in labels.items() if name not in known and _OUTCOMES.get(label, -1) >= 0)
    ids = [*table.ids, *added]
    said = [_OUTCOMES.get(labels.get(name, Label.OPEN)) for name in ids]
    before = [*outcomes.tolist(), *[None] * len(added)]
    found = np.array([old if new is None else new for old, new in zip(before, said, strict=True)], np.int64)
    if added:
        columns = cohort_columns(table, row_index(table), ids)
        table = FeatureTable(ids, columns, table.special, table.as_of)
    return Labelled(table, found, _count(before, said, labels, as_of))


def _count(
    before: list[int | None], said: list[int | None], labels: Mapping[str, Label], as_of: datetime.date
) -> ReportedCounts:
    pairs = [(old, new) for old, new in zip(before, said, strict=True) if new is not None]
    return ReportedCounts(
        as_of=as_of.isoformat(),
        reported=len(pairs),
        changed=sum(old is not None and new not in (old, TRAINS_NOTHING) for old, new in pairs),
        added=sum(old is None for old, _ in pairs),
        left_out=sum(new == TRAINS_NOTHING for _, new in pairs),
        open=sum(label is Label.OPEN for label in labels.values()),
    )
