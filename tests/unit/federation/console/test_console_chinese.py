"""Nothing is left in English for whoever reads Chinese: every code, kind, rule, unit and reason has a Chinese text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from importlib import resources

import msgspec
import pytest
from console_door import Door
from fastapi.testclient import TestClient

from federation.audit import errors
from federation.audit.alarms import AlarmRules
from federation.audit.alarms.rules import ConsentDenials
from federation.audit.alarms.words import ABOUT, RULES, SAYINGS, UNITS, Said, Saying, Unit, chinese, english, reason
from federation.audit.reading.objections import ObjectionState
from federation.audit.reconciliation.reconcile import QUERY_KINDS
from federation.console.phrases import PHRASES
from federation.console.sentences import CHINESE
from federation.console.wording import Language, Words
from federation.report.month_words import _WORDS
from protocols.assessment import refusals
from protocols.assessment.messages import Outcome
from protocols.channel.identity import PartyRole
from protocols.consent import Purpose
from protocols.enterprise.objections import Ground, Reason, Verdict
from protocols.scorecard.messages import LeakClass
from protocols.transparency.leaves import ATTRIBUTES, LeafKind

HAN = re.compile(r"[\u4e00-\u9fff]")
WORDS = Words(Language.CHINESE)


def names(group: str) -> set[str]:
    return {key.partition(".")[2] for key in PHRASES if key.startswith(f"{group}.")}


def has_chinese(group: str, codes: Iterable[str]) -> None:
    for code in codes:
        assert HAN.search(PHRASES[f"{group}.{code}"][1]), f"{group}.{code}"


def test_every_kind_field_decision_purpose_role_and_leak_class_has_a_chinese_name() -> None:
    has_chinese("kind", LeafKind)
    assert set(CHINESE) == set(LeafKind)
    has_chinese("field", ATTRIBUTES)
    assert names("field") == set(ATTRIBUTES)
    has_chinese("decision", [outcome.value.upper() for outcome in Outcome])
    has_chinese("decision", Verdict)
    has_chinese("purpose", Purpose)
    has_chinese("role", PartyRole)
    has_chinese("leak", LeakClass)
    has_chinese("objection", ObjectionState)
    has_chinese("ground", Ground)
    has_chinese("reason", Reason)


def test_every_rule_and_every_saying_of_an_alarm_is_worded_in_chinese() -> None:
    assert set(RULES) == {field.name for field in msgspec.structs.fields(AlarmRules)}
    assert (set(SAYINGS), set(UNITS)) == (set(Saying), set(Unit))
    for texts in (*RULES.values(), *SAYINGS.values(), *UNITS.values(), *ABOUT.values()):
        assert HAN.search(texts[1]) or "{reason}" in texts[1], texts
        assert HAN.search(texts[0]) is None, texts
    for saying in Saying:
        for unit in Unit:
            said = Said(saying=saying, unit=unit, number=3, of=9, share=0.5, window_ms=86_400_000, detail="ACK_MISSING")
            assert not re.search(r"[a-z]{2,}", chinese(said)), chinese(said)
            assert HAN.search(english(said)) is None


def test_every_code_of_reconciliation_of_a_broken_log_and_of_a_denial_has_a_reason_in_chinese() -> None:
    rules = (file for file in resources.files("federation.audit.reconciliation").iterdir() if file.name.endswith(".py"))
    source = "".join(file.read_text("utf-8") for file in rules)
    codes = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', source)) - {"TRAIN_STEP"}
    codes |= {f"{kind}_{end}" for kind in QUERY_KINDS for end in ("NOT_LOGGED", "NOT_ON_RECORD")}
    assert len(codes) > 18
    for code in codes:
        assert HAN.search(reason(code)), code
    failures = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, str)}
    has_chinese("failure", failures - {errors.LOCKED, errors.NOT_WRITABLE, errors.EXPORT_NOT_MADE})
    watched = AlarmRules().consent_denials or ConsentDenials()
    for code in {*watched.per_day, *refusals._TEXTS}:
        assert HAN.search(refusals.chinese(code)), code


def test_every_text_has_chinese_characters_beside_its_english() -> None:
    for key, (_, text) in PHRASES.items():
        assert HAN.search(text) or key in ("other_language", "term") or not re.search("[a-z]{3}", text), key
    for key, (text, translated) in _WORDS.items():
        assert HAN.search(translated) or text == translated or key == "colon", key


PAGES = (
    "/overview", "/timeline", "/timeline?kind=DENY", "/timeline?tag=xyz", "/entries/0", "/entries/40", "/entries/445",
    "/alarms", "/objections", "/reports", "/witnesses", "/health", "/nothing", "/login", "/setup",
)  # fmt: skip
FOREIGN = {
    *("bank", "tax", "social", "electricity", "housing", "fund", "coordinator", "test", "log", "witness", "english"),
    *("enterprise", "lin", "wei", "credfed", "audit", "alarms", "open", "auditor", "key", "utc", "pdf", "sealed"),
    *(
        "consent",
        "data",
        "service",
        "console",
        "timeline",
        "entry",
        "manifest",
        "site",
        "dir",
        "as",
        "ed25519",
        "sha",
        "x25519",
    ),
}
"""Names of parties, of the log and of files, and commands: the same in every language."""


def english_words(page: str) -> set[str]:
    """The words in small letters that a page shows."""
    body = re.sub(r"(?s)<(script|style|datalist|pre)\b.*?</\1>|<(head)\b.*?</head>", " ", page)
    text = html.unescape(re.sub(r"<[^>]*>", " ", body))
    text = re.sub(r"\b[0-9a-f]{6,}\b…?", " ", text)
    return {word.lower() for word in re.findall(r"(?<![A-Za-z_])[a-z][a-z]{2,}", text)} - FOREIGN


@pytest.mark.parametrize("page", PAGES)
def test_a_page_in_chinese_shows_no_english_word(auditor: TestClient, page: str) -> None:
    text = auditor.get(page, headers={"accept-language": "zh-CN"}).text
    assert english_words(text) == set()


def test_a_month_in_chinese_shows_no_english_word(door: Door) -> None:
    door.console.examiner.examine()
    door.console.reports.make("2026-05")
    text = door.enter().get("/reports/2026-05-zh.html").text
    assert english_words(text) - {"mar"} == set()


def test_durations_and_codes_are_worded() -> None:
    assert [WORDS.duration(ms) for ms in (7, 1500, 200_000)] == ["7 毫秒", "1.50 秒", "3 分钟"]
    assert WORDS.value("code", "CONSENT_EXPIRED").startswith("CONSENT_EXPIRED（")
    assert WORDS.value("bank", "bank_a") == "bank_a"
