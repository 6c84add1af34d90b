"""The credit report as a PDF: whole in itself, on one sheet, every character of it drawn."""

from __future__ import annotations

import dataclasses
import datetime
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from nodes.bank.asking.results import ThemeResult
from nodes.bank.report.files import write_reports
from nodes.bank.report.pdf import render_pdf
from nodes.bank.report.wording import WORDS, Language
from nodes.features.catalogue import Theme
from paper.canvas import Canvas
from paper.subset_fonts import FONTS
from protocols.assessment import refusals
from protocols.credit.scale import Grade
from tests.unit.nodes.bank.report.credit_reports import DENIED, report

CREATED = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def texts(value: object) -> list[str]:
    """Every text in a value, however deep."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in texts(item)]
    if isinstance(value, tuple | list):
        return [text for item in value for text in texts(item)]
    return []


def text_of(pdf: bytes, tmp_path: Path) -> str:
    (tmp_path / "report.pdf").write_bytes(pdf)
    run = subprocess.run(["pdftotext", "-layout", str(tmp_path / "report.pdf"), "-"], capture_output=True, check=True)
    return run.stdout.decode()


@pytest.mark.parametrize("language", Language)
def test_a_report_is_one_sheet_with_both_fonts_in_it(language: Language) -> None:
    pdf = render_pdf(report(), language)
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 1
    assert pdf.count(b"/FontFile3") == 2
    assert not re.search(rb"/(JavaScript|JS|URI|Launch|EmbeddedFile)\b", pdf.split(b"stream")[0])


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs pdftotext")
@pytest.mark.parametrize("language", Language)
def test_a_pending_objection_stands_before_the_score_and_only_when_there_is_one(
    language: Language, tmp_path: Path
) -> None:
    words, marked = WORDS[language], text_of(render_pdf(report(objection_pending=True), language), tmp_path)
    assert words.pending_heading in marked
    assert marked.index(words.pending_heading) < marked.index(words.pd)
    assert words.pending_heading not in text_of(render_pdf(report(), language), tmp_path)


@pytest.mark.parametrize("language", Language)
def test_the_fonts_hold_every_character_that_a_report_can_say(language: Language) -> None:
    words = WORDS[language]
    said = texts([getattr(words, field.name) for field in dataclasses.fields(words)])
    said += [words.refusal(code) for code in refusals._TEXTS]
    for weight in ("regular", "bold"):
        known = TTFont(FONTS / f"credfed-sans-sc-{weight}.otf").getBestCmap()
        assert {character for text in said for character in text if ord(character) not in known} == set()


@pytest.mark.parametrize("language", Language)
def test_no_theme_grade_or_refusal_is_without_words(language: Language) -> None:
    words = WORDS[language]
    assert set(words.themes) == {theme.value for theme in Theme}
    assert set(words.grade_words) == {grade.value for grade in Grade}
    assert all(words.refusal(code) for code in refusals._TEXTS)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs pdftotext")
def test_a_reader_finds_the_same_words_in_the_pdf(tmp_path: Path) -> None:
    found = text_of(render_pdf(report(), Language.CHINESE), tmp_path)
    said = [
        "企业信用评估报告",
        "91350100M000100Y43",
        "648",
        "2.13%",
        "失分严重",
        "数据过期",
        "仅供参考",
        "5b" * 32,
        "第 106 号叶",
    ]
    assert [text for text in said if text not in found] == []
    denied = text_of(render_pdf(report(DENIED), Language.ENGLISH), tmp_path)
    assert "No score" in denied
    assert "CONSENT_EXPIRED" in denied


def words_of(pdf: bytes, tmp_path: Path) -> list[tuple[float, float, float, float, str]]:
    """The words of a report, and where each stands: left, top, right, bottom."""
    (tmp_path / "report.pdf").write_bytes(pdf)
    run = subprocess.run(["pdftotext", "-bbox", str(tmp_path / "report.pdf"), "-"], capture_output=True, check=True)
    found = re.findall(r'xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)</word>', run.stdout.decode())
    return [(float(left), float(top), float(right), float(bottom), word) for left, top, right, bottom, word in found]


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs pdftotext")
@pytest.mark.parametrize("language", Language)
def test_no_word_is_printed_over_another(language: Language, tmp_path: Path) -> None:
    as_of = dict.fromkeys(("tax", "social", "electricity", "a_domain_with_a_name_as_long_as_it_"), "2026-11-22")
    shown = report(coverage=dict.fromkeys(as_of, "ok"), data_as_of=as_of)
    words = words_of(render_pdf(shown, language), tmp_path)
    assert len(words) > 50
    over = [
        (one[4], other[4])
        for number, one in enumerate(words)
        for other in words[:number]
        if min(one[2], other[2]) - max(one[0], other[0]) > 1
        and min(one[3], other[3]) - max(one[1], other[1]) > 4
        and max(one[3] - one[1], other[3] - other[1]) < 20  # the score's own line is far higher than its digits
    ]
    assert over == []


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs pdftotext")
def test_many_themes_and_offices_go_on_over_several_sheets(tmp_path: Path) -> None:
    themes = tuple(ThemeResult(f"theme_{number}", number % 4) for number in range(40))
    coverage = {f"office {number}": "ok" for number in range(90)}
    pdf = render_pdf(report(themes=themes, coverage=coverage), Language.ENGLISH)
    found = text_of(pdf, tmp_path)
    assert found.count("\f") >= 3
    assert all(f"theme {number}" in found for number in range(40))
    assert all(f"office {number}" in found for number in range(90))
    assert all(f"Page {page + 1} of {found.count(chr(12))}" in found for page in range(found.count("\f")))


def test_a_character_without_a_glyph_is_marked_and_a_long_word_is_cut() -> None:
    canvas = Canvas("title", "author", "en", CREATED)
    assert canvas.known("税\U0001f600") == "税〓"
    pieces = canvas.lines("5b" * 100, 9, 40)
    assert "".join(pieces) == "5b" * 100
    assert all(canvas.measure(piece, 9) <= 40 for piece in pieces)


def test_no_chinese_line_begins_with_a_full_stop() -> None:
    canvas = Canvas("title", "author", "zh-CN", CREATED)
    for room in range(20, 60):
        lines = canvas.lines(WORDS[Language.CHINESE].advisory, 9, room)
        assert "".join(lines) == WORDS[Language.CHINESE].advisory
        assert all(line[0] not in "，。；：" for line in lines)


def test_the_same_report_gives_the_same_bytes() -> None:
    assert render_pdf(report(), Language.CHINESE) == render_pdf(report(), Language.CHINESE)


def test_reports_are_files_for_their_owner_alone(tmp_path: Path) -> None:
    written = write_reports(tmp_path / "out", report(), [Language.CHINESE])
    assert [path.name for path in written] == ["91350100M000100Y43-zh.html", "91350100M000100Y43-zh.pdf"]
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
    (strange,) = {p.stem for p in write_reports(tmp_path / "out", report(enterprise="../x"), [Language.ENGLISH])}
    assert strange == "CR-20261122-9f2c41d0-en"
