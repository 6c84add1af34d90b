"""The timeline and its filters."""

from __future__ import annotations

from typing import Final

TIMELINE: Final = {
    "timeline.title": ("Timeline", "时间线"),
    "timeline.since": ("From", "起"),
    "timeline.until": ("Until", "止"),
    "timeline.kind": ("Kind", "类型"),
    "timeline.bank": ("Bank", "银行"),
    "timeline.actor": ("Who acted", "行为方"),
    "timeline.purpose": ("Purpose", "用途"),
    "timeline.decision": ("Decision", "决定"),
    "timeline.code": ("Reason of a denial", "拒绝原因"),
    "timeline.model": ("Model, beginning of hash", "模型（哈希开头）"),
    "timeline.tag": ("Enterprise tag", "企业标签"),
    "timeline.consent": ("Consent's handle", "授权标识"),
    "timeline.any": ("any", "全部"),
    "timeline.filter": ("Show", "筛选"),
    "timeline.reset": ("Clear", "清除"),
    "timeline.filters": ("Filters", "筛选条件"),
    "timeline.found": ("{n} entries", "{n} 条记录"),
    "timeline.found_many": ("more than {n} entries", "超过 {n} 条记录"),
    "timeline.none": ("No entry matches.", "没有符合条件的记录。"),
    "timeline.none_hint": (
        "Take a filter away, or widen the time.",
        "请减少筛选条件，或放宽时间范围。",
    ),
    "timeline.empty": ("The log holds no entry yet.", "日志中还没有记录。"),
    "timeline.wrong": ("This cannot be understood.", "无法识别此项。"),
    "timeline.newer": ("Newer", "较新"),
    "timeline.older": ("Older", "较早"),
    "timeline.newest": ("Newest", "最新"),
    "timeline.when": ("Time", "时间"),
    "timeline.entry": ("Entry", "序号"),
    "timeline.what": ("What happened", "内容"),
    "timeline.query": ("query", "查询"),
    "timeline.run": ("run", "训练"),
    "timeline.objection": ("objection", "异议"),
}
