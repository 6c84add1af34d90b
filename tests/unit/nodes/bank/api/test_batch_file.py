"""Files of applicants: read as they were written, or refused with the line that is wrong."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.bank.api.batch_file import MAX_ROWS, FileFormat, FileRow, read_batch_file
from protocols.errors import MalformedMessage

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ROWS = st.lists(st.builds(FileRow, TEXTS.filter(bool), TEXTS, TEXTS), min_size=1, max_size=20)


@given(ROWS)
def test_json_lines_come_back_as_they_were_written(rows: list[FileRow]) -> None:
    lines = [json.dumps({"enterprise": r.enterprise, "consent": r.consent, "reference": r.reference}) for r in rows]
    assert read_batch_file("\n".join(lines).encode(), FileFormat.JSON_LINES) == rows


@given(ROWS)
def test_a_json_object_comes_back_as_it_was_written(rows: list[FileRow]) -> None:
    applicants = [{"enterprise": r.enterprise, "consent": r.consent, "reference": r.reference} for r in rows]
    assert read_batch_file(json.dumps({"applicants": applicants}).encode(), FileFormat.JSON) == rows


@given(ROWS, st.permutations(["enterprise", "consent", "reference"]), st.booleans())
def test_a_csv_file_comes_back_as_it_was_written(rows: list[FileRow], columns: list[str], mark: bool) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows([getattr(row, column) for column in columns] for row in rows)
    data = text.getvalue().encode("utf-8-sig" if mark else "utf-8")
    assert read_batch_file(data, FileFormat.CSV) == rows


def read_or_code(data: bytes, form: FileFormat) -> list[FileRow] | str:
    """The applicants of a file, or the code of its refusal."""
    try:
        return read_batch_file(data, form)
    except MalformedMessage as error:
        return error.code


@given(st.binary(max_size=400), st.sampled_from(FileFormat))
def test_any_bytes_are_applicants_or_a_malformed_message(data: bytes, form: FileFormat) -> None:
    found = read_or_code(data, form)
    assert found == "BATCH_FILE" or isinstance(found[0], FileRow)


@given(st.text(max_size=200), st.sampled_from(FileFormat))
def test_any_text_behind_a_good_line_is_applicants_or_a_malformed_message(text: str, form: FileFormat) -> None:
    good = {
        FileFormat.CSV: "enterprise\nfirst\n",
        FileFormat.JSON_LINES: '{"enterprise":"first"}\n',
        FileFormat.JSON: '{"applicants":[{"enterprise":"first"}]}',
    }[form]
    found = read_or_code((good + text).encode("utf-8", "surrogatepass"), form)
    assert found == "BATCH_FILE" or found[0] == FileRow("first", "", "")


@pytest.mark.parametrize(
    ("form", "data", "said"),
    [
        (FileFormat.CSV, b"", "no applicant"),
        (FileFormat.CSV, b"enterprise\n", "no applicant"),
        (FileFormat.CSV, b"name\nx\n", "line 1 "),
        (FileFormat.CSV, b"enterprise,enterprise\nx,y\n", "line 1 "),
        (FileFormat.CSV, b"enterprise,turnover\nx,y\n", "line 1 "),
        (FileFormat.CSV, b"enterprise,consent\nx,y\nx\n", "line 3 "),
        (FileFormat.CSV, b'enterprise\n"x\n', "line 2 "),
        (FileFormat.CSV, b"enterprise\n\xff\n", "not UTF-8"),
        (FileFormat.CSV, b"enterprise\n" + b"x" * 129, "line 2 "),
        (FileFormat.JSON_LINES, b'{"enterprise":"x","reference":1}', "line 1 "),
        (FileFormat.CSV, b"enterprise\n" + b"x" * 200_000, "line 2 "),
        (FileFormat.JSON_LINES, b"\n\n", "no applicant"),
        (FileFormat.JSON, b'{"applicants":[]}', "no applicant"),
        (FileFormat.JSON, b"[]", "line 1 "),
        (FileFormat.JSON, b'{"applicants":[{"enterprise":"x"}],"more":1}', "line 1 "),
        (FileFormat.JSON_LINES, b'{"enterprise":"x"}\n[', "line 2 "),
        (FileFormat.JSON_LINES, b'{"enterprise":""}', "line 1 "),
        (FileFormat.JSON_LINES, b'{"enterprise":"x","turnover":1}', "line 1 "),
        (FileFormat.JSON_LINES, b"[" * 100_000, "line 1 "),
    ],
)
def test_a_wrong_file_is_refused_with_the_line_that_is_wrong(form: FileFormat, data: bytes, said: str) -> None:
    with pytest.raises(MalformedMessage, match=said) as refused:
        read_batch_file(data, form)
    assert "xxx" not in str(refused.value)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("name,turnover", "found: name, turnover"),
        ("企业,consent", "found: 企业, consent"),
        ("enterprise,enterprise", "found: enterprise, enterprise"),
        ("enterprise;consent", "found: one that is no name"),
        (
            "91350100M000100Y43,eyJhbGciOiJFZERTQSJ9.e30.c2ln,LN-1",
            "found: " + ", ".join(["one that is no name"] * 3),
        ),
        ("a,b,c,d,e,f,g,h,i,j", "found: a, b, c, d, e, f, g, h and 2 more"),
    ],
)
def test_a_wrong_header_says_what_is_wanted_and_what_was_found_and_repeats_no_code(header: str, found: str) -> None:
    with pytest.raises(MalformedMessage) as refused:
        read_batch_file(f"\n{header}\nx,y\n".encode(), FileFormat.CSV)
    assert str(refused.value) == (
        "line 2 must name the columns, comma between them: enterprise, and optionally consent and reference, "
        f"each once; {found}"
    )


def test_a_file_of_too_many_applicants_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="at most"):
        read_batch_file(b"enterprise\n" + b"x\n" * (MAX_ROWS + 1), FileFormat.CSV)
