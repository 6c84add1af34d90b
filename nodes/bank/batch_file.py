"""Files of applicants that a bank's systems send: CSV, JSON lines or one JSON object, read strictly.

All say the same: `enterprise`, and optionally its `consent` and the bank's own `reference`. A file that is not what it
must be is refused whole, with the line that is wrong; an applicant that cannot be asked is not this module's question.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocols.errors import MalformedMessage

MAX_ROWS: Final = 100_000
MAX_ENTERPRISE: Final = 128
MAX_CONSENT: Final = 8192
_COLUMNS: Final = ("enterprise", "consent", "reference")


class FileFormat(StrEnum):
    """The media types of a file of applicants."""

    CSV = "text/csv"
    JSON_LINES = "application/x-ndjson"
    JSON = "application/json"


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enterprise: Annotated[str, Meta(min_length=1, max_length=MAX_ENTERPRISE)]
    consent: Annotated[str, Meta(max_length=MAX_CONSENT)] = ""
    reference: Annotated[str, Meta(max_length=64, pattern=r"^([A-Za-z0-9][A-Za-z0-9._:/-]*)?\Z")] = ""


class _Object(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    applicants: Annotated[list[_Line], Meta(max_length=MAX_ROWS)]


@dataclass(frozen=True, slots=True)
class FileRow:
    """One applicant of a file."""

    enterprise: str = field(repr=False)
    consent: str = field(repr=False)
    reference: str


def read_batch_file(data: bytes, form: FileFormat) -> list[FileRow]:
    """Return the applicants of a file in its order.

    Raises: MalformedMessage, code BATCH_FILE, for anything else; the text names the line, never what stands there.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedMessage("the file is not UTF-8", code="BATCH_FILE") from error
    rows = []
    for row in _READERS[form](text):
        rows.append(row)
        if len(rows) > MAX_ROWS:
            raise MalformedMessage(f"a file holds at most {MAX_ROWS} applicants", code="BATCH_FILE")
    if not rows:
        raise MalformedMessage("the file holds no applicant", code="BATCH_FILE")
    return rows


def _read_lines(text: str) -> Iterator[FileRow]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield _row(msgspec.json.decode(line, type=_Line))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise _wrong(number) from error


def _read_csv(text: str) -> Iterator[FileRow]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] | None = None
    while True:
        try:
            cells = next(reader)
            if not cells:
                continue
            if columns is None:
                columns = _header(cells)
            else:
                named = dict(zip(columns, cells, strict=True))
                yield _row(msgspec.convert(named, _Line))
        except StopIteration:
            return
        except (csv.Error, msgspec.ValidationError, ValueError) as error:
            raise _wrong(max(1, reader.line_num)) from error


def _read_object(text: str) -> Iterator[FileRow]:
    try:
        yield from map(_row, msgspec.json.decode(text, type=_Object).applicants)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _wrong(1) from error


_READERS: Final = {FileFormat.CSV: _read_csv, FileFormat.JSON_LINES: _read_lines, FileFormat.JSON: _read_object}


def _header(cells: list[str]) -> list[str]:
    """Return the columns, each known and named once, `enterprise` among them. Raises: ValueError."""
    columns = [cell.strip() for cell in cells]
    if "enterprise" not in columns or len(set(columns)) < len(columns) or not set(columns) <= set(_COLUMNS):
        raise ValueError("the header")
    return columns


def _row(line: _Line) -> FileRow:
    return FileRow(line.enterprise, line.consent, line.reference)


def _wrong(line: int) -> MalformedMessage:
    wanted = "enterprise, and optionally consent and reference (letters, digits and ._:/-), each within its length"
    return MalformedMessage(f"line {line} is not an applicant: {wanted}", code="BATCH_FILE")
