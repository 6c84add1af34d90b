"""A bank's own marks: what people write comes back as it is; what could harm a file or deceive a reader is none."""

from __future__ import annotations

import re
import unicodedata

import pytest
from pydantic import TypeAdapter, ValidationError

from nodes.bank.api.reference import MAX_REFERENCE, is_reference
from nodes.bank.api.schemas.fields import Reference

AT_THE_API: TypeAdapter[str] = TypeAdapter(Reference)

FINE = (
    "",
    "LN-2026-0042",
    "a",
    "沪贷〔2026〕第42号",
    "（2026）浦东/0042",
    "张三商行",
    "Müller_1",
    "ＬＮ－００４２",
    "贷" * MAX_REFERENCE,
)
HARMFUL = (
    "a\n", "a\rb", "a\tb", "a\0", "a\x7f", "a\x85", "a\u2028b",  # breaks a line
    "=1+1", "+1", "-1", "@x", "＝1", "＋1", "－1", "＠x",
    "a,b", "a;b", 'a"b', "a'b", "a b", "<b>", "a\u3000b",  # parts a cell, or ends a text
    "a\u202eb", "a\u2066b", "a\u200fb", "a\u200bb", "a\ufeffb", "a\u3164b", "e\u0301", "\ufe0f",  # deceives
    "a\ud800", ".a", "贷" * (MAX_REFERENCE + 1),
)  # fmt: skip


def at_the_api(text: str) -> bool:
    """Whether a single question may carry a reference."""
    try:
        return bool(AT_THE_API.validate_python(text) == text)
    except ValidationError:
        return False


@pytest.mark.parametrize("text", FINE)
def test_what_a_bank_writes_is_a_reference_alone_and_in_a_file(text: str) -> None:
    assert (is_reference(text), at_the_api(text)) == (True, True)


@pytest.mark.parametrize("text", HARMFUL, ids=ascii)
def test_what_could_harm_a_file_or_a_reader_is_none(text: str) -> None:
    assert (is_reference(text), at_the_api(text)) == (False, False)


def test_no_character_of_a_reference_is_a_control_a_format_a_space_a_mark_or_written_from_right_to_left() -> None:
    pattern = AT_THE_API.json_schema()["pattern"]
    for number in range(0x110000):
        text = f"a{chr(number)}"
        if re.fullmatch(pattern, text):
            assert unicodedata.category(chr(number))[0] in "LNP"
            assert unicodedata.bidirectional(chr(number)) in ("L", "EN", "ON", "ES", "CS")
            assert chr(number).isprintable()
