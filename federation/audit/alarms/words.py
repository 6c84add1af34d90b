"""What an alarm says, in English and in Chinese: one saying and its values, which each language words for itself."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from federation.audit.alarms.windows import DAY_MS, HOUR_MS


class Saying(StrEnum):
    """The sayings: what a threshold is, or what was seen."""

    COUNT = "count"
    SHARE = "share"
    SHARE_SEEN = "share_seen"
    PACE = "pace"
    DECIDE = "decide"
    UNDECIDED = "undecided"
    DECIDED = "decided"
    NONE_MAY_FAIL = "none_may_fail"
    DISCREPANCY = "discrepancy"


class Unit(StrEnum):
    """What is counted."""

    ENTERPRISES = "enterprises"
    OFF_HOURS = "off_hours"
    DENIED_BY_CODE = "denied_by_code"
    BY_CONSENT = "by_consent"
    BY_TAG = "by_tag"
    CROWDED = "crowded"
    DENIED = "denied"
    LATE = "late"
    UNANSWERED = "unanswered"
    UNACKNOWLEDGED = "unacknowledged"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A saying with its values. `detail` is a code, or seconds, that belongs to the unit or to the discrepancy.

    Units: `window_ms` milliseconds, `share` of 1; `number` what is counted, or days; `of` the whole, or seconds.
    """

    saying: Saying
    unit: Unit | None = None
    number: int = 0
    of: int = 0
    share: float = 0.0
    window_ms: int = 0
    detail: str = ""
    text: str = ""


SAYINGS: Final[Mapping[Saying, tuple[str, str]]] = {
    Saying.COUNT: ("{number} {unit} in {span}", "{span}内 {number} {unit}"),
    Saying.SHARE: ("{share}% of {of} or more {unit} in {span}", "{span}内 {of} 项以上，其中 {share}% {unit}"),
    Saying.SHARE_SEEN: ("{number} of {of} {unit}", "{of} 项中有 {number} 项{unit}"),
    Saying.PACE: ("{number} queries at most {of} s apart", "连续 {number} 次查询，间隔不超过 {of} 秒"),
    Saying.DECIDE: ("decided in {number} d", "{number} 日内决定"),
    Saying.UNDECIDED: ("not decided after {number} d", "{number} 日仍未决定"),
    Saying.DECIDED: ("decided after {number} d", "{number} 日后才决定"),
    Saying.NONE_MAY_FAIL: ("none may fail", "不得有任何不符"),
    Saying.DISCREPANCY: ("{detail}: {text}", "{detail}：{reason}"),
}
UNITS: Final[Mapping[Unit, tuple[str, str]]] = {
    Unit.ENTERPRISES: ("enterprises", "家次企业"),
    Unit.OFF_HOURS: ("enterprises out of hours", "家次企业（非工作时间）"),
    Unit.DENIED_BY_CODE: ("queries denied {detail}", "次查询被拒（{detail}）"),
    Unit.BY_CONSENT: ("queries under one consent", "次查询使用同一授权"),
    Unit.BY_TAG: ("queries about one enterprise", "次查询针对同一企业"),
    Unit.CROWDED: ("enterprises that many banks ask about", "家企业被多家银行查询"),
    Unit.DENIED: ("enterprises denied", "被拒绝"),
    Unit.LATE: ("answers after {detail} s or more", "答复用时达 {detail} 秒"),
    Unit.UNANSWERED: ("queries not answered", "未获答复"),
    Unit.UNACKNOWLEDGED: ("queries not acknowledged", "银行未确认"),
}
RULES: Final[Mapping[str, tuple[str, str]]] = {
    "bulk": ("bulk queries", "批量抓取"),
    "sequential": ("one after the other", "顺序抓取"),
    "off_hours": ("out of hours", "非工作时间"),
    "consent_denials": ("no good consent", "授权无效"),
    "consent_reuse": ("consent shown again and again", "授权重复使用"),
    "requery": ("same enterprise again and again", "重复查询同一企业"),
    "many_banks": ("many banks, one enterprise", "多家银行查询同一企业"),
    "denial_rate": ("many denials", "拒绝率高"),
    "slow_node": ("slow node", "节点缓慢"),
    "silent_node": ("silent node", "节点无应答"),
    "unacknowledged": ("bank does not acknowledge", "银行未确认"),
    "reconciliation": ("does not reconcile", "对账不符"),
    "objection_overdue": ("objection overdue", "异议逾期"),
}
"""What each rule is called, by its name in the settings."""
ABOUT: Final[Mapping[str, tuple[str, str]]] = {
    "consent": ("consent", "授权"),
    "enterprise": ("enterprise", "企业标签"),
    "objection": ("objection", "异议"),
    "query": ("query", "查询"),
    "run": ("run", "训练"),
    "a node of model": ("a node of model", "某节点，模型"),
}
"""What an alarm may be about, before its id."""
REASONS: Final[Mapping[str, str]] = {
    "REQUEST_MISSING": "日志中缺少 REQUEST",
    "REQUEST_REPEATED": "REQUEST 多于一条",
    "ANSWER_REPEATED": "有节点答复了不止一次",
    "ANSWER_UNASKED": "答复的节点多于被询问的节点",
    "RELEASE_MISSING": "并非所有节点都已放行，且无人拒绝",
    "RESULT_MISSING": "所有节点均已放行，却没有 RESULT",
    "RESULT_REPEATED": "RESULT 多于一条",
    "RESULT_UNEXPECTED": "不应有 RESULT 却有",
    "ACK_MISSING": "银行没有确认（缺少 ACK）",
    "ACK_REPEATED": "ACK 多于一条",
    "CONSENT_REPEATED": "同一授权有不止一条授权记录",
    "CONSENT_MISSING": "答复所依据的授权此前没有授权记录",
    "POLICY_MISSING": "所依据的策略此前没有策略记录",
    "POLICY_DIFFERS": "日志所记策略与该方记录中消息所载策略不同",
    "EVIDENCE_DIFFERS": "日志与该方自有记录是不同的消息",
    "NOT_LOGGED": "该方有记录，日志中没有",
    "NOT_ON_RECORD": "日志中有，该方没有相应记录",
}
"""Why something does not reconcile, in Chinese, by its code or by the code's end; English has a text with numbers."""
_SPANS: Final = (("{n} h", "{n} 小时"), ("{n} d", "{n} 日"))


def english(said: Said) -> str:
    """Return a saying in English."""
    return _worded(said, 0)


def chinese(said: Said) -> str:
    """Return a saying in Chinese."""
    return _worded(said, 1)


def reason(code: str) -> str:
    """Return in Chinese why something does not reconcile, "" for a code that is not known."""
    return REASONS.get(code) or next((text for end, text in REASONS.items() if code.endswith(f"_{end}")), "")


def about(text: str, column: int) -> tuple[str, str]:
    """Return what an alarm is about: the word for it, in English (0) or Chinese (1), and the id."""
    for begin, words in ABOUT.items():
        if text.startswith(f"{begin} "):
            return words[column], text[len(begin) + 1 :]
    return "", text


def _worded(said: Said, column: int) -> str:
    hours, days = _SPANS[0][column], _SPANS[1][column]
    whole_days = said.window_ms % DAY_MS == 0
    span = days.format(n=said.window_ms // DAY_MS) if whole_days else hours.format(n=said.window_ms // HOUR_MS)
    unit = "" if said.unit is None else UNITS[said.unit][column].format(detail=said.detail)
    return SAYINGS[said.saying][column].format(
        number=said.number,
        of=said.of,
        share=f"{100 * said.share:g}",
        span=span,
        unit=unit,
        detail=said.detail,
        text=said.text,
        reason=reason(said.detail),
    )
