"""Files of applicants that a bank's systems send: CSV, JSON lines or one JSON object, read strictly.

All say the same: `enterprise`, and optionally its `consent` and the bank's own `reference`. A file that is not what it
must be is refused whole, with the line that is wrong; an applicant that cannot be asked, or a reference that cannot be
one, is not this module's question.
"""

from __future__ import annotations

import csv
import io
import re
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
_NAME: Final = re.compile(r"[^\W\d]{1,32}")
"""What may be repeated of a header: where none was sent, its line holds a code and a consent, which have digits."""

_SHOWN: Final = 8


class FileFormat(StrEnum):
    """The media types of a file of applicants."""

    CSV = "text/csv"
    JSON_LINES = "application/x-ndjson"
    JSON = "application/json"


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enterprise: Annotated[str, Meta(min_length=1, max_length=MAX_ENTERPRISE)]
    consent: Annotated[str, Meta(max_length=MAX_CONSENT)] = ""
    reference: str = ""


class _Object(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    applicants: Annotated[list[_Line], Meta(max_length=MAX_ROWS)]


@dataclass(frozen=True, slots=True)
class FileRow:
    """One applicant of a file."""

    enterprise: str = field(repr=False)
    consent: str = field(repr=False)
    reference: str = field(repr=False)


def read_batch_file(data: bytes, form: FileFormat) -> list[FileRow]:
    """Return the applicants of a file in its order.

    Raises: MalformedMessage, code BATCH_FILE, for anything else; the text names the line, never what stands there.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused('the file is not UTF-8; a spreadsheet saves it so as "CSV UTF-8"') from error
    rows = []
    for row in _READERS[form](text):
        rows.append(row)
        if len(rows) > MAX_ROWS:
            raise _refused(f"a file holds at most {MAX_ROWS} applicants")
    if not rows:
        raise _refused("the file holds no applicant")
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
                columns = _header(cells, reader.line_num)
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


def _header(cells: list[str], line: int) -> list[str]:
    """Return the columns, each known and named once, `enterprise` among them. Raises: MalformedMessage."""
    columns = [cell.strip() for cell in cells]
    if "enterprise" not in columns or len(set(columns)) < len(columns) or not set(columns) <= set(_COLUMNS):
        found = ", ".join(column if _NAME.fullmatch(column) else "one that is no name" for column in columns[:_SHOWN])
        more = f" and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else ""
        raise _refused(
            f"line {line} must name the columns, comma between them: enterprise, and optionally consent and "
            f"reference, each once; found: {found}{more}"
        )
    return columns


def _row(line: _Line) -> FileRow:
    return FileRow(line.enterprise, line.consent, line.reference)


def _wrong(line: int) -> MalformedMessage:
    return _refused(
        f"line {line} is not an applicant: enterprise, and optionally consent and reference, each within its length"
    )


def _refused(text: str) -> MalformedMessage:
    return MalformedMessage(text, code="BATCH_FILE")
