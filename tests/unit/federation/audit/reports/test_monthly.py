"""A month's report counts that month alone, says why, and shows foreign names as texts."""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from questions import DAY_MS, LATER, NOON_MS, query
from stories import logged, model_hash

from federation.audit.alarms import Alarm, AlarmRules, watch
from federation.audit.alarms.facts import facts
from federation.audit.alarms.rules import Bulk
from federation.audit.reports.coverage import Coverage, NodeCoverage
from federation.audit.reports.month import (
    WHOLE_QUERY,
    Activity,
    BankVolume,
    DayVolume,
    DenialCount,
    Latency,
    ModelUse,
    MonthlyReport,
    WitnessState,
    activity,
    read_month,
)
from federation.report.month import render_month
from federation.report.month_pdf import render_month_pdf
from federation.report.month_words import _WORDS, Language, MonthWords
from paper.canvas import Canvas
from protocols.errors import ConfigurationError
from protocols.transparency import Leaf

MARCH = read_month("2026-03")
EVIL = "</style><script>alert(1)</script>"


def month_of(queries: list[list[Leaf]]) -> Activity:
    with facts(logged([one for whole in queries for one in whole])) as work:
        return activity(work, MARCH)


def test_a_month_is_bounded_to_the_millisecond() -> None:
    assert (MARCH.since_ms, MARCH.until_ms - MARCH.since_ms) == (1_772_323_200_000, 31 * DAY_MS)
    times = [MARCH.since_ms - 1, MARCH.since_ms, MARCH.until_ms - 1, MARCH.until_ms]
    found = month_of([query(n, at) for n, at in enumerate(times)])
    assert found.days == (DayVolume("bank", 1, 1, 1), DayVolume("bank", 31, 1, 1))


@pytest.mark.parametrize("text", ["2026", "2026-13", "9999-12", "march", "2026-03-01", ""])
def test_what_is_no_month_is_bad_input(text: str) -> None:
    with pytest.raises(ConfigurationError):
        read_month(text)


def test_volumes_denials_and_models_by_bank() -> None:
    found = month_of(
        [
            query(1, denying={"tax": "QUOTA"}),
            query(2, enterprises=50, denied=7, acknowledged=False),
            query(3, bank="other", denying={"tax": "QUOTA", "social": "PURPOSE_DENIED"}),
        ]
    )
    assert found.banks == (BankVolume("bank", 2, 1, 51, 8, 1), BankVolume("other", 1, 0, 1, 1, 1))
    assert found.denials == (DenialCount("QUOTA", "tax", 2), DenialCount("PURPOSE_DENIED", "social", 1))
    assert found.models == (ModelUse(model_hash("bank"), "bank", 2, 51), ModelUse(model_hash("other"), "other", 1, 1))


def test_percentiles_are_by_nearest_rank_and_of_single_questions() -> None:
    singles = [query(n, takes=n) for n in range(1, 101)]
    found = month_of([*singles, query(999, enterprises=5, takes=10**7)])
    expected = [Latency(party, 100, 50, 90, 99, 100) for party in (WHOLE_QUERY, "social", "tax")]
    assert list(found.latencies) == expected
    assert month_of([query(1, takes=5)]).latencies[0] == Latency(WHOLE_QUERY, 1, 5, 5, 5, 5)


def nine() -> list[list[Leaf]]:
    """Nine questions of five banks, one of them denied."""
    return [query(n, NOON_MS + n, bank=f"bank-{n % 5}", denying={"tax": "QUOTA"} if n == 3 else None) for n in range(9)]


def report_of(found: Activity, alarms: tuple[Alarm, ...] = ()) -> MonthlyReport:
    return MonthlyReport(
        month=MARCH,
        origin="coordinator.test/log",
        generated="2026-04-01T08:00Z",
        leaves=10,
        root="ab" * 32,
        checkpoints=2,
        cosignatures=6,
        witnessed_size=10,
        quorum=2,
        days=found.days,
        banks=found.banks,
        denials=found.denials,
        latencies=found.latencies,
        models=found.models,
        coverage=found.coverage,
        witnesses=(WitnessState("tax", "2026-03-31T23:00:00Z"), WitnessState("social", "")),
        alarms=alarms,
    )


def written(found: Activity, alarms: tuple[Alarm, ...] = ()) -> str:
    return render_month(report_of(found, alarms))


def test_the_page_shows_what_was_counted_and_loads_nothing() -> None:
    queries = nine()
    rules = AlarmRules(bulk=Bulk(per_hour=2))
    with facts(logged([one for whole in queries for one in whole])) as work:
        found, alarms = activity(work, MARCH), watch(work, rules, LATER)
    page = written(found, tuple(alarms))
    for text in ("2026-03", "QUOTA", "bank-4", "others", "2 enterprises in 1 h", model_hash("bank-1"), "day 1: 9"):
        assert text in page
    assert page.count('class="flag">bulk queries<') == 4
    assert not re.findall(r"(?:src|href)=[\"'](?!#)|url\(|<script|<link|@import", page)


def test_a_month_without_a_query_says_so() -> None:
    page = written(month_of([]))
    for text in ("No query in this month.", "no bank asked", "Nothing was denied.", "No single question was answered."):
        assert text in page


def test_a_name_cannot_break_out_of_the_page() -> None:
    hostile = Activity(
        (DayVolume(EVIL, 1, 1, 1),),
        (BankVolume(EVIL, 1, 0, 1, 0, 1),),
        (DenialCount(EVIL, EVIL, 1),),
        (Latency(EVIL, 1, 1, 1, 1, 1),),
        (ModelUse(EVIL, EVIL, 1, 1),),
        Coverage((NodeCoverage(EVIL, 1, 1, 0, 0, 1, 1),), 1, 1, 0, 0),
    )
    page = written(hostile)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_every_alarm_is_counted_though_the_page_lists_the_first() -> None:
    one = Alarm(
        rule="r", party="p", threshold="t", seen="s", first_leaf=None, last_leaf=None, first_time=None, last_time=None
    )
    page = written(month_of([]), (one,) * 201)
    assert page.count("not in the log") == 200
    assert "201 alarms in this month" in page


def test_coverage_counts_who_answered_who_denied_and_who_was_silent() -> None:
    asked, denial, *_ = query(6, denying={"social": "CONSENT_REVOKED"})
    refused = [asked, msgspec.structs.replace(denial, actor="coordinator")]
    silent = query(5, silent=("social",))
    batch = query(3, enterprises=50, denied=7)
    found = month_of([query(1), query(2, denying={"tax": "QUOTA"}), batch, silent, refused])
    assert found.coverage == Coverage(
        nodes=(
            NodeCoverage("social", 4, 3, 0, 1, 53, 45),
            NodeCoverage("tax", 4, 3, 1, 0, 53, 45),
        ),
        questions=5,
        whole=2,
        stopped=1,
        unnamed=0,
    )
    assert [node.share for node in found.coverage.nodes] == [45 / 53, 45 / 53]


def test_a_node_that_never_answered_is_not_named_but_its_questions_are_counted() -> None:
    found = month_of([query(1, silent=("social",))]).coverage
    assert [node.node for node in found.nodes] == ["tax"]
    assert (found.unnamed, found.whole, found.stopped) == (1, 0, 0)


@pytest.mark.parametrize("language", list(Language))
def test_the_pdf_says_what_the_page_says(language: Language, tmp_path: Path) -> None:
    queries = [
        query(n, NOON_MS + n, bank=f"bank-{n % 5}", denying={"tax": "QUOTA"} if n == 3 else None) for n in range(9)
    ]
    with facts(logged([one for whole in queries for one in whole])) as work:
        found, alarms = activity(work, MARCH), watch(work, AlarmRules(bulk=Bulk(per_hour=2)), LATER)
    report = report_of(found, tuple(alarms))
    data = render_month_pdf(report, language)
    assert data == render_month_pdf(report, language)
    text = read_pdf(data, tmp_path)
    words = MonthWords(language)
    seen = {Language.ENGLISH: "2 enterprises in 1 h", Language.CHINESE: "1 小时内 2 家次企业"}[language]
    for expected in (words.month("2026-03"), "QUOTA", "bank-4", "88.9 %", seen, "ab" * 32, words("others")):
        assert expected.replace(" ", "") in text
    for heading in ("volumes", "coverage", "denials", "latency", "models", "alarms", "witnesses", "coverage_cannot"):
        assert words(heading).replace(" ", "") in text


def test_an_empty_month_and_a_crowded_one_are_documents_too(tmp_path: Path) -> None:
    empty = read_pdf(render_month_pdf(report_of(month_of([])), Language.ENGLISH), tmp_path)
    assert "Noqueryinthismonth." in empty
    assert "Noquestionreachedanode." in empty
    one = Alarm(
        rule="r", party="p" * 90, threshold="t", seen="s", first_leaf=1, last_leaf=2, first_time=None, last_time=None
    )
    crowded = report_of(month_of([query(n, bank=f"bank-{n}") for n in range(60)]), (one,) * 99)
    text = read_pdf(render_month_pdf(crowded, Language.CHINESE), tmp_path)
    assert "共99条，列出40条" in text
    assert text.count("p" * 20) >= 40
    assert all(f"bank-{n}" in text for n in range(60))


def test_every_word_of_the_pdf_is_in_its_fonts() -> None:
    canvas = Canvas("t", "a", "zh-CN", datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    for key, texts in _WORDS.items():
        for text in texts:
            assert canvas.known(text) == text, key


def read_pdf(data: bytes, folder: Path) -> str:
    """The text of a PDF without its spaces."""
    tool = shutil.which("pdftotext")
    if tool is None:
        pytest.skip("there is no pdftotext on this machine")
    (folder / "report.pdf").write_bytes(data)
    done = subprocess.run(
        [tool, "-layout", str(folder / "report.pdf"), "-"], capture_output=True, check=True, timeout=120
    )
    return re.sub(r"\s", "", done.stdout.decode())
