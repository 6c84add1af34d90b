"""The closed loop: reported outcomes become labels in the bank's own file, from which the next training run reads.

An enterprise that has defaulted is labelled 1, a good one 0; one that is indeterminate is left out, as the definition
of default wants, and one whose loans are still open keeps the label it had. Features stay as the file has them; an
enterprise that the file does not know is added without any.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nodes.bank.store.outcomes import Label
from nodes.sources.dataset import DatasetDescription
from nodes.sources.files import read_columns
from protocols.errors import ConfigurationError

_WRITTEN: Final = {Label.DEFAULT: "1", Label.GOOD: "0"}


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What became of the rows of a bank's file."""

    rows: int
    changed: int
    added: int
    left_out: int


def write_labelled(description: DatasetDescription, bank: str, labels: Mapping[str, Label], out: Path) -> LabelCounts:
    """Write the bank's file anew to `out`, for its owner alone, with reported outcomes as labels.

    Raises: ConfigurationError for a source that is no file of rows, lacks a column, or an `out` that cannot be written.
    """
    path = description.source(bank or description.banks[0])
    if path.is_dir():
        raise ConfigurationError(f"{path}: raw records; their labels are made by SQL", code="NOT_A_FILE")
    columns = read_columns(path)
    for name in (description.id_column, description.label_column):
        if name not in columns:
            raise ConfigurationError(f"{path}: column {name!r} is missing", code="MISSING_COLUMN")
    rows = [["" if cell is None else str(cell) for cell in cells] for cells in zip(*columns.values(), strict=True)]
    names = list(columns)
    places = names.index(description.id_column), names.index(description.label_column)
    kept, changed = _relabelled(rows, *places, labels)
    added = _added(rows, *places, len(names), labels)
    _write(out, names, kept + added)
    return LabelCounts(len(kept) + len(added), changed, len(added), len(rows) - len(kept))


Row = list[str]


def _relabelled(rows: list[Row], id_at: int, label_at: int, labels: Mapping[str, Label]) -> tuple[list[Row], int]:
    """Return the rows to train on under their labels, and how many labels are other ones than before."""
    kept, changed = [], 0
    for row in rows:
        label = labels.get(row[id_at].strip(), Label.OPEN)
        if label is not Label.INDETERMINATE:
            said = _WRITTEN.get(label, row[label_at])
            changed += said != row[label_at].strip()
            kept.append([*row[:label_at], said, *row[label_at + 1 :]])
    return kept, changed


def _added(rows: list[Row], id_at: int, label_at: int, width: int, labels: Mapping[str, Label]) -> list[Row]:
    """Return a row, without features, for each labelled enterprise that the file does not know."""
    known = {row[id_at].strip() for row in rows}
    found = []
    for enterprise, label in sorted(labels.items()):
        if enterprise not in known and label in _WRITTEN:
            row = [""] * width
            row[id_at], row[label_at] = enterprise, _WRITTEN[label]
            found.append(row)
    return found


def _write(out: Path, names: list[str], rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows(rows)
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text.getvalue().encode())
    except OSError as error:
        raise ConfigurationError(f"{out}: {error.strerror}", code="OUT_NOT_WRITABLE") from error
