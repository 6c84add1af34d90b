"""A credit report as both forms show it: every text chosen, every number written."""

from __future__ import annotations

import datetime
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from nodes.bank.asking.results import AssessmentResult
from nodes.bank.report.facts import CreditReport
from nodes.bank.report.scale import Band, bands, share
from nodes.bank.report.wording import WORDS, Language, Words
from protocols import uscc

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
MARKS: Final = {"ok": "✓", "absent": "–", "refused": "×", "stale": "!"}


@dataclass(frozen=True, slots=True)
class ThemeRow:
    """One reason: its name, what it looks at, and its band from 0 to 3."""

    name: str
    looks_at: str
    severity: int
    words: str


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """One domain, and what its office knows of the enterprise."""

    domain: str
    state: str
    mark: str
    words: str


@dataclass(frozen=True, slots=True)
class Score:
    """The score, as it is written; `place` is its share of the scale."""

    score: str
    grade: str
    grade_words: str
    pd: str
    odds: str
    place: float
    colour: str


@dataclass(frozen=True, slots=True)
class ReportView:
    """One report in one language; `score` is None where there is none, and then `refusal` says why."""

    words: Words
    enterprise: str = field(repr=False)
    enterprise_name: str
    head: tuple[tuple[str, str], ...]
    score: Score | None = field(repr=False)
    refusal: str
    code: str
    bands: tuple[Band, ...]
    themes: tuple[ThemeRow, ...]
    coverage: tuple[CoverageRow, ...]
    record: tuple[tuple[str, str], ...]
    objections: str
    pending: bool


def view(report: CreditReport, language: Language) -> ReportView:
    """Return what the report says, the same for the same report; what is foreign in it is made visible."""
    words, result = WORDS[language], report.result
    return ReportView(
        words=words,
        enterprise=visible(result.enterprise),
        enterprise_name=words.uscc if uscc.is_valid(result.enterprise) else words.enterprise,
        head=_head(report, words),
        score=_score(result, words),
        refusal=words.refusal(result.code),
        code=visible(result.code),
        bands=bands(result.grade),
        themes=tuple(
            ThemeRow(*words.themes.get(t.theme, (_spaced(t.theme), "")), t.severity, words.severities[t.severity])
            for t in result.themes
        ),
        coverage=tuple(
            CoverageRow(
                words.domains.get(domain, _spaced(domain)), state, MARKS.get(state, "?"), _state(result, domain, words)
            )
            for domain, state in sorted(result.coverage.items())
        ),
        record=_record(report, words),
        objections=visible(report.objections) or words.objections,
        pending=result.objection_pending,
    )


def _head(report: CreditReport, words: Words) -> tuple[tuple[str, str], ...]:
    assessed = datetime.datetime.fromtimestamp(report.assessed, datetime.UTC).date().isoformat()
    rows = [(words.number, visible(report.number)), (words.bank, visible(report.bank))]
    rows.append((words.assessed, written_date(assessed, words)))
    if report.result.valid_until:
        rows.append((words.valid_until, written_date(report.result.valid_until, words)))
    return tuple(rows)


def _score(result: AssessmentResult, words: Words) -> Score | None:
    if result.pd is None or result.score is None or result.grade is None:
        return None
    colour = next((band.colour for band in bands(result.grade) if band.chosen), "#55626f")
    return Score(
        score=str(result.score),
        grade=result.grade,
        grade_words=words.grade_words[result.grade],
        pd=percent(result.pd),
        odds=odds(result.pd, words),
        place=share(result.score),
        colour=colour,
    )


def _record(report: CreditReport, words: Words) -> tuple[tuple[str, str], ...]:
    model, result = report.model, report.result
    leaf = words.no_receipt if result.receipt is None else words.leaf.format(leaf=f"{result.receipt:,}")
    return (
        (words.model, f"{words.families.get(model.family, visible(model.family))} · {visible(model.hash)}"),
        (words.trained, written_date(model.trained, words)),
        (words.data_as_of, written_date(model.data_as_of, words) if model.data_as_of else words.not_stated),
        (words.quality, words.not_stated if model.auc is None else f"{model.auc:.3f}"),
        (words.nodes, str(model.nodes)),
        (words.request, visible(result.request)),
        (words.receipt, leaf),
    )


def percent(value: float) -> str:
    """Return a probability in percent: two decimals, or "<0.01%"."""
    return "<0.01%" if 0 < value < 0.00005 else f"{100 * value:.2f}%"


def odds(pd: float, words: Words) -> str:
    """Return a probability as a count of enterprises, rounded as people say it."""
    if pd > 0.5:
        return words.odds_high
    if pd >= 0.1:
        return words.odds.format(count=round(pd * 100), out_of="100")
    wanted = 1 / max(pd, 1e-6)
    digits = 10 ** max(0, len(str(round(wanted))) - 2)
    return words.odds.format(count=1, out_of=f"{round(wanted / digits) * digits:,}")


def written_date(iso: str, words: Words) -> str:
    """Return a date as its language writes it; a text that is no date comes back as it is."""
    try:
        day = datetime.date.fromisoformat(iso)
    except ValueError:
        return visible(iso)
    if words.tag == "en":
        return f"{day.day} {day:%B %Y}"
    return f"{day.year}年{day.month}月{day.day}日"


def visible(text: str) -> str:
    """Return `text` with controls, direction marks and unpaired surrogates shown as U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(c) in _INVISIBLE else c for c in text)


def _state(result: AssessmentResult, domain: str, words: Words) -> str:
    """Return what an office knows, with the code of its refusal."""
    state = result.coverage[domain]
    said, code = words.states.get(state, _spaced(state)), result.denied_by.get(domain, "")
    if code:
        return f"{said} {visible(code)}"
    as_of = result.data_as_of.get(domain, "")
    return f"{said} · {written_date(as_of, words)}" if as_of else said


def _spaced(code: str) -> str:
    return visible(code.replace("_", " "))
