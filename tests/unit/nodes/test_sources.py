"""Every wrong input is refused with a stable code and a line that says where: file, column, row."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pytest

from nodes.economy import generate, write
from nodes.sources import (
    is_identifier,
    read_bank_source,
    read_description,
    read_node_source,
    require_usccs,
    uses_usccs,
)
from nodes.sources.tables import read_raw
from protocols.errors import ConfigurationError
from protocols.uscc import synthetic
from tests.small_federation import codes, write_dataset, write_description

Edit = Callable[[Path], None]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", codes(60))


def replace_field(path: Path, row: int, column: int, text: str) -> None:
    """Overwrite one field of a CSV file; row 1 is the first below the header."""
    lines = path.read_text(encoding="utf-8").splitlines()
    fields = lines[row].split(",")
    fields[column] = text
    lines[row] = ",".join(fields)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_all(data: Path) -> None:
    """What `credfed train` reads before anything is written."""
    description = read_description(data)
    table, _ = read_bank_source(description)
    for domain in description.node_domains:
        read_node_source(description, domain)
    if uses_usccs(table.ids):
        require_usccs(description, "bank", table.ids)
        for domain in description.node_domains:
            require_usccs(description, domain, read_node_source(description, domain).ids)


def without_column(data: Path) -> None:
    path = data / "node_tax.csv"
    path.write_text("\n".join(line.rsplit(",", 1)[0] for line in path.read_text().splitlines()))


def with_label_column(data: Path) -> None:
    path = data / "node_tax.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0] + ",defaulted", *(line + ",0" for line in lines[1:])]))


def only_header(data: Path) -> None:
    path = data / "node_social.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")


def long_row(data: Path) -> None:
    path = data / "node_social.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:5], lines[5] + ",9", *lines[6:]]))


def other_encoding(data: Path) -> None:
    path = data / "node_tax.csv"
    path.write_bytes(path.read_text(encoding="utf-8").encode("gb18030"))


def cut_gzip(data: Path) -> None:
    path = data / "node_social.csv"
    packed = gzip.compress(path.read_bytes())
    path.unlink()
    (data / "node_social.csv.gz").write_bytes(packed[: len(packed) // 2])


def no_gzip(data: Path) -> None:
    (data / "node_social.csv").rename(data / "node_social.csv.gz")


def no_parquet(data: Path) -> None:
    (data / "node_social.csv").rename(data / "node_social.parquet")


def duplicate_header(data: Path) -> None:
    path = data / "node_tax.csv"
    path.write_text(path.read_text().replace("id,sales,等级", "id,sales,sales", 1))


BAD_FILES: dict[str, tuple[Edit, str, tuple[str, ...]]] = {
    "label 2": (
        lambda d: replace_field(d / "node_bank.csv", 7, 1, "2"),
        "LABEL_NOT_BINARY",
        ("node_bank.csv", "'defaulted'", "row 7"),
    ),
    "label blank": (
        lambda d: replace_field(d / "node_bank.csv", 3, 1, ""),
        "LABEL_NOT_BINARY",
        ("node_bank.csv", "'defaulted'", "row 3"),
    ),
    "label text": (
        lambda d: replace_field(d / "node_bank.csv", 9, 1, "bad"),
        "LABEL_NOT_BINARY",
        ("node_bank.csv", "'defaulted'", "row 9"),
    ),
    "label half": (
        lambda d: replace_field(d / "node_bank.csv", 60, 1, "0.5"),
        "LABEL_NOT_BINARY",
        ("node_bank.csv", "'defaulted'", "row 60"),
    ),
    "column missing": (without_column, "MISSING_COLUMN", ("node_tax.csv", "'等级'")),
    "id blank": (
        lambda d: replace_field(d / "node_tax.csv", 4, 0, "  "),
        "INVALID_ID",
        ("node_tax.csv", "'id'", "row 4"),
    ),
    "id too long": (
        lambda d: replace_field(d / "node_tax.csv", 4, 0, "x" * 129),
        "INVALID_ID",
        ("node_tax.csv", "'id'", "row 4"),
    ),
    "id twice": (
        lambda d: replace_field(d / "node_tax.csv", 12, 0, synthetic(2)),
        "DUPLICATE_ID",
        ("node_tax.csv", "'id'", "row 12", "row 2"),
    ),
    "label at a node": (with_label_column, "LABEL_IN_DATA_NODE", ("node_tax.csv", "'defaulted'")),
    "empty node": (only_header, "EMPTY_NODE", ("node_social.csv",)),
    "empty file": (lambda d: (d / "node_social.csv").write_text(""), "EMPTY_NODE", ("node_social.csv",)),
    "ragged row": (long_row, "RAGGED_ROW", ("node_social.csv", "row 5")),
    "encoding": (other_encoding, "UNREADABLE_FILE", ("node_tax.csv", "UTF-8")),
    "open quote": (
        lambda d: replace_field(d / "node_tax.csv", 6, 1, '"1'),
        "UNREADABLE_FILE",
        ("node_tax.csv",),
    ),
    "cut gzip": (cut_gzip, "UNREADABLE_FILE", ("node_social.csv.gz",)),
    "no gzip": (no_gzip, "UNREADABLE_FILE", ("node_social.csv.gz",)),
    "no parquet": (no_parquet, "UNREADABLE_FILE", ("node_social.parquet",)),
    "header twice": (duplicate_header, "DUPLICATE_COLUMN", ("node_tax.csv", "'sales'")),
    "wrong code": (
        lambda d: replace_field(d / "node_bank.csv", 8, 0, "91999999MA0DEM0139"),
        "INVALID_USCC",
        ("node_bank.csv", "'id'", "row 8"),
    ),
    "wrong code at a node": (
        lambda d: replace_field(d / "node_social.csv", 5, 0, "91999999MA0DEM0139"),
        "INVALID_USCC",
        ("node_social.csv", "'id'", "row 5"),
    ),
    "domain without a file": (lambda d: (d / "node_tax.csv").unlink(), "MISSING_FILE", ("domain tax", "node_tax.csv")),
    "file without a domain": (
        lambda d: (d / "node_customs.csv").write_text("id,x\na,1\n"),
        "UNKNOWN_DOMAIN",
        ("node_customs.csv",),
    ),
    "two files for a domain": (
        lambda d: (d / "node_tax.csv.gz").write_bytes(b""),
        "CONFIGURATION",
        ("node_tax.csv", "node_tax.csv.gz"),
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_by_code_and_place(data: Path, case: str) -> None:
    edit, code, places = BAD_FILES[case]
    read_all(data)
    edit(data)
    with pytest.raises(ConfigurationError) as refusal:
        read_all(data)
    assert refusal.value.code == code
    assert "\n" not in str(refusal.value)
    for place in places:
        assert place in str(refusal.value)


def test_a_refusal_never_quotes_the_value(data: Path) -> None:
    replace_field(data / "node_bank.csv", 7, 1, "7654321.125")
    replace_field(data / "node_tax.csv", 7, 0, "91999999MA0DEM0139")
    description = read_description(data)
    codes_of_tax = read_node_source(description, "tax").ids
    with pytest.raises(ConfigurationError) as of_label:
        read_bank_source(description)
    with pytest.raises(ConfigurationError) as of_code:
        require_usccs(description, "tax", codes_of_tax)
    for refusal in (of_label, of_code):
        assert "7654321" not in str(refusal.value)
        assert "MA0DEM" not in str(refusal.value)


def test_one_wrong_code_is_enough_even_where_a_node_holds_no_other(data: Path) -> None:
    path = data / "node_social.csv"
    path.write_text("id,staff\n91999999MA0DEM0139,4\n")
    with pytest.raises(ConfigurationError) as refusal:
        read_all(data)
    assert refusal.value.code == "INVALID_USCC"


BAD_DESCRIPTIONS: dict[str, tuple[str | bytes, str]] = {
    "not json": ("{", "CONFIGURATION"),
    "not utf-8": (b'{"id": "\xff", "label": "y", "domains": {}}', "CONFIGURATION"),
    "no label": ('{"id": "id", "domains": {"tax": ["sales"]}}', "CONFIGURATION"),
    "columns no list": ('{"id": "id", "label": "y", "domains": {"tax": "sales"}}', "CONFIGURATION"),
    "id is label": ('{"id": "id", "label": "id", "domains": {"tax": ["sales"]}}', "CONFIGURATION"),
    "label is feature": ('{"id": "id", "label": "y", "domains": {"bank": ["y"], "tax": ["sales"]}}', "CONFIGURATION"),
    "column twice": ('{"id": "id", "label": "y", "domains": {"tax": ["sales", "sales"]}}', "CONFIGURATION"),
    "column without a name": ('{"id": "id", "label": "y", "domains": {"tax": [""]}}', "CONFIGURATION"),
    "column name too long": (
        json.dumps({"id": "id", "label": "y", "domains": {"tax": ["x" * 257]}}),
        "CONFIGURATION",
    ),
    "domain without columns": ('{"id": "id", "label": "y", "domains": {"tax": []}}', "EMPTY_NODE"),
    "bank alone": ('{"id": "id", "label": "y", "domains": {"bank": ["b"]}}', "EMPTY_NODE"),
    "a path as a domain": ('{"id": "id", "label": "y", "domains": {"../tax": ["sales"]}}', "UNKNOWN_DOMAIN"),
    "a blank domain": ('{"id": "id", "label": "y", "domains": {"": ["sales"]}}', "UNKNOWN_DOMAIN"),
}


@pytest.mark.parametrize("case", BAD_DESCRIPTIONS)
def test_a_bad_description_is_refused_and_named(tmp_path: Path, case: str) -> None:
    text, code = BAD_DESCRIPTIONS[case]
    (tmp_path / "domains.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as refusal:
        read_description(tmp_path)
    assert refusal.value.code == code
    assert "domains.json" in str(refusal.value)


def test_a_folder_without_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read_description(tmp_path / "nowhere")
    assert refusal.value.code == "MISSING_FILE"


@pytest.mark.parametrize("text", ["", "x" * 129, "a\nb", "a\x00", "\udcff"])
def test_an_id_is_short_printable_text(text: str) -> None:
    assert not is_identifier(text)
    assert is_identifier("某某有限公司 7")


def test_csv_gzip_and_parquet_give_the_same_table(tmp_path: Path) -> None:
    text = "id,x,等级,空\na,1.5,甲,\nb,NA, 乙 ,\nc,-3e2,n/a,\n"
    write_description(tmp_path, {"tax": ["x", "等级", "空"]}, label="y")
    (tmp_path / "node_bank.csv").write_text("id,y\na,0\nb,1\n")
    plain = tmp_path / "node_tax.csv"
    plain.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    tables = [read_node_source(read_description(tmp_path), "tax")]
    plain.unlink()
    (tmp_path / "node_tax.csv.gz").write_bytes(gzip.compress(text.encode()))
    tables.append(read_node_source(read_description(tmp_path), "tax"))
    (tmp_path / "node_tax.csv.gz").unlink()
    with duckdb.connect() as connection:
        values = "('a', 1.5, '甲', NULL), ('b', NULL, '乙', NULL), ('c', -300, NULL, NULL)"
        query = f"SELECT * FROM (VALUES {values}) t(id, x, 等级, 空)"  # noqa: S608
        connection.execute(f"COPY ({query}) TO '{tmp_path}/node_tax.parquet' (FORMAT parquet)")
    tables.append(read_node_source(read_description(tmp_path), "tax"))
    for table in tables:
        assert table.ids == ["a", "b", "c"]
        np.testing.assert_array_equal(table.columns["x"], [1.5, np.nan, -300.0])
        assert table.columns["等级"].tolist() == ["甲", "乙", None]
        assert table.columns["空"].dtype == np.float64
        assert np.isnan(table.columns["空"]).all()


def test_a_column_is_numeric_only_if_every_value_is(tmp_path: Path) -> None:
    write_description(tmp_path, {"tax": ["n", "t", "u", "N"]}, label="y")
    (tmp_path / "node_tax.csv").write_text('id,n,t,u,N\na,1,1,1_0,7\nb,,x,2_0,8\nc,None,"3,5;",,9\n')
    columns = read_node_source(read_description(tmp_path), "tax").columns
    np.testing.assert_array_equal(columns["n"], [1.0, np.nan, np.nan])
    assert columns["t"].tolist() == ["1", "x", "3,5;"]
    assert columns["u"].tolist() == ["1_0", "2_0", None]
    np.testing.assert_array_equal(columns["N"], [7.0, 8.0, 9.0])


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_header_without_commas_is_parted_as_it_shows(tmp_path: Path, mark: str) -> None:
    write_description(tmp_path, {"tax": ["x"]}, label="y")
    (tmp_path / "node_tax.csv").write_text(f"id{mark}x\na{mark}1\n\nb{mark}2\n")
    assert read_node_source(read_description(tmp_path), "tax").columns["x"].tolist() == [1.0, 2.0]


def test_a_bank_needs_no_features_and_no_mention(tmp_path: Path) -> None:
    write_description(tmp_path, {"tax": ["x"]}, label="y")
    (tmp_path / "node_bank.csv").write_text("id,y\nb,1.0\na,0\n")
    table, outcomes = read_bank_source(read_description(tmp_path))
    assert (table.ids, table.columns, outcomes.tolist()) == (["b", "a"], {}, [1, 0])


def test_two_domains_may_name_a_column_alike_and_have_dots(tmp_path: Path) -> None:
    write_description(tmp_path, {"tax.sh": ["amount"], "customs": ["amount"]}, label="y")
    (tmp_path / "node_tax.sh.csv").write_text("id,amount\na,1\n")
    (tmp_path / "node_customs.csv").write_text("id,amount\na,2\n")
    description = read_description(tmp_path)
    assert description.node_domains == ("customs", "tax.sh")
    assert read_node_source(description, "tax.sh").columns["amount"].tolist() == [1.0]


def test_all_outcomes_alike_are_refused(tmp_path: Path) -> None:
    write_description(tmp_path, {"tax": ["x"]}, label="y")
    (tmp_path / "node_bank.csv").write_text("id,y\na,0\nb,0\n")
    with pytest.raises(ConfigurationError, match="alike"):
        read_bank_source(read_description(tmp_path))


def test_a_folder_of_raw_records_yields_the_columns_that_are_asked_for(tmp_path: Path) -> None:
    write(generate(500, 3), tmp_path)
    text = json.loads((tmp_path / "domains.json").read_text())
    text["domains"]["tax"] = text["domains"]["tax"][:2]
    (tmp_path / "domains.json").write_text(json.dumps(text))
    description = read_description(tmp_path)
    tax = read_node_source(description, "tax")
    assert tuple(tax.columns) == description.domains["tax"]
    assert read_raw(description, "tax").newest == tax.as_of  # what a check says is what answers say
    table, outcomes = read_bank_source(description)
    assert description.label_column not in table.columns
    assert set(outcomes.tolist()) == {0, 1}
    text["domains"]["tax"] = ["shoe_size"]
    (tmp_path / "domains.json").write_text(json.dumps(text))
    with pytest.raises(ConfigurationError) as refusal:
        read_node_source(read_description(tmp_path), "tax")
    assert refusal.value.code == "MISSING_COLUMN"


def test_domains_json_may_begin_with_a_byte_order_mark(data: Path) -> None:
    path, plain = data / "domains.json", read_description(data)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_description(data) == plain


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("monoton", "did you mean 'monotone'?"),
        ("Regions", "did you mean 'regions'?"),
        ("specials", "did you mean 'special'?"),
        ("bank", "did you mean 'banks'?"),
        ("asof", "did you mean 'as_of'?"),
    ],
)
def test_a_misspelt_key_of_domains_json_is_refused_not_ignored(data: Path, key: str, advice: str) -> None:
    path = data / "domains.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: {}}))
    with pytest.raises(ConfigurationError) as refusal:
        read_description(data)
    assert refusal.value.code == "UNKNOWN_KEY"
    assert str(refusal.value) == f"{path}: unknown key {key!r}; {advice}"


@pytest.mark.parametrize("key", ["unassigned", "source", "description", "licence", "name", "rows", "target", "notes"])
def test_domains_json_may_tell_its_readers_more(data: Path, key: str) -> None:
    path, plain = data / "domains.json", read_description(data)
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: ["row_number"]}))
    assert read_description(data) == plain


def test_files_speak_as_of_the_day_that_is_declared_or_else_when_they_were_written(data: Path) -> None:
    path, undeclared = data / "domains.json", read_description(data)
    os.utime(data / "node_tax.csv", (86_400.0 * 365, 86_400.0 * 365))
    assert read_node_source(undeclared, "tax").said_as_of == "1971-01-01"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"as_of": "2025-06-30"}))
    declared = read_description(data)
    tables = [read_bank_source(declared)[0], *(read_node_source(declared, node) for node in declared.nodes)]
    assert {table.said_as_of for table in tables} == {"2025-06-30"}
    assert str(read_raw(declared, "tax").newest) == "2025-06-30"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"as_of": "30.6.2025"}))
    with pytest.raises(ConfigurationError, match="as_of"):
        read_description(data)
