"""The credit report as a page: whole in itself, and true to its result in both languages."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from importlib import resources

import pytest

from nodes.bank.asking.results import ADVISORY, ThemeResult
from nodes.bank.report.page import render_page
from nodes.bank.report.scale import COLOURS
from nodes.bank.report.view import view
from nodes.bank.report.wording import WORDS, Language
from tests.unit.nodes.bank.report.credit_reports import DENIED, report

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Elements(HTMLParser):
    """The elements of a page, in order, and whether each that opens also closes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("language", Language)
def test_a_report_says_all_that_an_assessment_must_say(language: Language) -> None:
    page = html.unescape(render_page(report(), language))
    said = ["91350100M000100Y43", "648", "BBB", "2.13%", "5b" * 32, "106", "9f2c41d07be34a5c8de1f0a2b3c4d5e6", "0.824"]
    said += {
        Language.CHINESE: ["仅供参考", "2026年12月22日", "缴付纪律", "失分严重", "住房公积金", "无记录", "异议与复核"],
        Language.ENGLISH: [
            "Advisory only",
            "22 December 2026",
            "Payment discipline",
            "most lost",
            "no record",
            "Objections",
        ],
    }[language]
    assert [text for text in said if text not in page] == []


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("result", [None, DENIED])
def test_a_page_is_whole_in_itself(language: Language, result: object) -> None:
    page = render_page(report() if result is None else report(DENIED), language)
    elements = Elements(page)
    assert elements.open == []
    assert not elements.names & {"script", "link", "img", "iframe", "object", "form"}
    assert not elements.attributes & {"src", "href", "style", "onload", "onclick"}
    assert not re.search(r"url\(|@import|https?:", page)
    assert "default-src 'none'" in html.unescape(page)


def test_a_denied_assessment_is_shown_as_no_score_with_the_reason_in_words() -> None:
    page = render_page(report(DENIED), Language.CHINESE)
    assert "未产生评分" in page
    assert "企业的授权目前不在有效期内" in page
    assert "违约概率（12个月）" not in page


def test_what_comes_from_others_cannot_break_out_of_the_page() -> None:
    hostile = "<script>alert(1)</script>\u202e\x07"
    made = report(
        enterprise=hostile,
        coverage={hostile: hostile},
        themes=(ThemeResult(hostile, 3),),
        model=hostile,
        bank=hostile,
        objections=hostile,
    )
    page = render_page(made, Language.ENGLISH)
    assert "script" not in Elements(page).names
    assert page.count("&lt;script&gt;") >= 5
    assert "\u202e" not in page
    assert "\x07" not in page


@pytest.mark.parametrize("language", Language)
def test_a_pending_objection_stands_before_the_score_and_only_when_there_is_one(language: Language) -> None:
    words, marked = WORDS[language], render_page(report(objection_pending=True), language)
    assert words.pending in marked
    assert marked.index(words.pending_heading) < marked.index("648")
    assert words.pending_heading not in render_page(report(), language)


def test_the_banks_own_notice_takes_the_place_of_the_usual_one() -> None:
    assert "Room 3, second floor" in render_page(report(objections="Room 3, second floor"), Language.ENGLISH)


def test_the_same_report_gives_the_same_page() -> None:
    assert render_page(report(), Language.CHINESE) == render_page(report(), Language.CHINESE)


@pytest.mark.parametrize(
    ("pd", "said"),
    [
        (0.0004, "about 1 in 2,500 "),
        (0.0213, "about 1 in 47 "),
        (0.23, "about 23 in 100 "),
        (0.61, "more than one in two"),
        (1e-9, "about 1 in 1,000,000 "),
    ],
)
def test_a_probability_is_said_as_people_count(pd: float, said: str) -> None:
    shown = view(report(pd=pd), Language.ENGLISH)
    assert shown.score is not None
    assert shown.score.odds.startswith(said)


def test_a_score_beyond_the_scale_stands_at_its_end() -> None:
    ends = [view(report(score=score), Language.ENGLISH).score for score in (-50, 2000)]
    assert [end.place for end in ends if end is not None] == [0.0, 1.0]


def test_the_grades_have_the_colours_of_the_run_report() -> None:
    style = resources.files("federation.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    assert re.findall(r"--g\d: (#[0-9a-f]{6})", style)[: len(COLOURS)] == list(COLOURS)


def test_every_result_is_advisory() -> None:
    assert report().result.advice == ADVISORY
