"""Several label files in one data set: which banks there are, and which columns each has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nodes.sources import read_bank_source, read_description
from protocols.errors import ConfigurationError
from tests.small_federation import write_dataset
from tests.split_banks import split_bank


def described(directory: Path, **changes: object) -> Path:
    path = directory / "domains.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    return directory


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "data", [f"e{i}" for i in range(120)])
    split_bank(tmp_path / "data", {"bank_a": 0.7, "bank_b": 0.3}, shared=5)
    return tmp_path / "data"


def test_each_bank_has_its_own_file_and_the_common_columns(data: Path) -> None:
    description = read_description(data)
    assert description.banks == ("bank_a", "bank_b")
    assert "bank_a" not in description.node_domains
    tables = {bank: read_bank_source(description, bank) for bank in description.banks}
    sizes = {bank: len(outcomes) for bank, (_, outcomes) in tables.items()}
    assert sum(sizes.values()) == 120 + 5
    assert sizes["bank_a"] > 2 * sizes["bank_b"]
    assert len(set(tables["bank_a"][0].ids) & set(tables["bank_b"][0].ids)) == 5
    assert all(list(table.columns) == ["utilisation"] for table, _ in tables.values())
    assert read_bank_source(description)[0].ids == tables["bank_a"][0].ids


def test_without_banks_there_is_one_named_bank(tmp_path: Path) -> None:
    write_dataset(tmp_path, [f"e{i}" for i in range(60)])
    assert read_description(tmp_path).banks == ("bank",)


def test_a_bank_may_list_its_own_columns(data: Path) -> None:
    domains = json.loads((data / "domains.json").read_text(encoding="utf-8"))["domains"]
    description = read_description(described(data, domains=domains | {"bank_b": []}))
    assert description.bank_columns("bank_a") == ("utilisation",)
    assert read_bank_source(description, "bank_b")[0].columns == {}


@pytest.mark.parametrize("banks", [["bank_a", "bank_a"], ["../bank_a"], [""]])
def test_names_that_cannot_be_banks_are_refused(data: Path, banks: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_description(described(data, banks=banks))
    assert caught.value.code == "UNKNOWN_DOMAIN"


def test_a_bank_without_its_file_is_named(data: Path) -> None:
    (data / "node_bank_b.csv").unlink()
    description = read_description(data)
    with pytest.raises(ConfigurationError, match="bank_b") as caught:
        read_bank_source(description, "bank_b")
    assert caught.value.code == "MISSING_FILE"
