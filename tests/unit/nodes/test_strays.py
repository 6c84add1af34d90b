"""A column that one odd value turns into text is told by name and row, never by value."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest

from federation.cli.training.job import stray_columns
from federation.local.federation import LocalFederation
from federation.local.layout import read_federation
from nodes.sources import read_description, read_node_source
from nodes.sources.checking import check_source
from nodes.sources.strays import stray_texts
from tests.small_federation import codes, make_federation, quick_keys, write_dataset


def column(*values: str | None) -> dict[str, np.ndarray[tuple[int], np.dtype[np.object_]]]:
    return {"sales": np.array(values, dtype=object)}


def test_numbers_with_a_few_strays_are_told_with_the_first_row() -> None:
    told = list(stray_texts(column("1", None, "secret", "2.5e3", "secret too", "-4", "7")))
    assert told == ["sales: 2 of its 6 values, the first in row 3, are no numbers: it is read as text"]


@pytest.mark.parametrize("written", ["2024-03-01", "2024/3/1", "2024-03-01 10:00:00", "2024-03-01T10:00:00Z"])
def test_dates_are_told(written: str) -> None:
    assert list(stray_texts(column(written, written, "unknown"))) == [
        "sales: dates are read as text: a number of days or months tells more"
    ]


@pytest.mark.parametrize("values", [("A", "B", None), ("retail", "7", "wholesale"), (None, None), ("12.5%", "13%")])
def test_categories_are_not(values: tuple[str | None, ...]) -> None:
    assert not list(stray_texts(column(*values)))


def test_numbers_are_not() -> None:
    assert not list(stray_texts({"sales": np.array([1.0, np.nan])}))


@pytest.mark.parametrize("written", ["?", "-", "--", "#N/A", "<NA>", "NaT", "n/a", " "])
def test_what_stands_for_no_value_makes_no_text_of_a_column(tmp_path: Path, written: str) -> None:
    data = write_dataset(tmp_path / "data", codes(60))
    spoil(data / "node_tax.csv", written)
    description = read_description(data)
    name = description.domains["tax"][0]
    assert np.isnan(read_node_source(description, "tax").columns[name][0])


def test_a_dry_run_finds_them(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", codes(60))
    spoil(data / "node_tax.csv", "secret")
    found = check_source(read_description(data), "tax", (), datetime.date(2026, 1, 1)).findings
    assert any(text.startswith("sales: 1 of its ") and "the first in row 1," in text for text in found)
    assert not any("secret" in text for text in found)


def test_a_training_warns_of_them_file_by_file(tmp_path: Path) -> None:
    with quick_keys():
        folder = make_federation(tmp_path / "out")
    spoil(read_description(folder / read_federation(folder).data).source("tax"), "secret")
    with LocalFederation(folder) as federation:
        (told,) = stray_columns(federation)
    assert told.startswith("node_tax: sales: 1 of its ")
    assert "secret" not in told


def spoil(path: Path, text: str) -> None:
    """Put a text in the first feature of the first row."""
    lines = path.read_text(encoding="utf-8").splitlines()
    fields = lines[1].split(",")
    fields[1] = text
    path.write_text("\n".join([lines[0], ",".join(fields), *lines[2:]]) + "\n", encoding="utf-8")
