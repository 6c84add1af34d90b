"""One query or run across all parties."""

from __future__ import annotations

from typing import Final

STORY: Final = {
    "story.query": ("Query", "查询"),
    "story.run": ("Training run", "训练"),
    "story.objection": ("Objection", "异议"),
    "story.bank": ("Bank", "银行"),
    "story.purpose": ("Purpose", "用途"),
    "story.model": ("Model", "模型"),
    "story.about": ("About", "对象"),
    "story.one": ("one enterprise", "一家企业"),
    "story.many": ("{n} enterprises", "{n} 家企业"),
    "story.outcome": ("Outcome", "结果"),
    "story.open": ("not closed", "未结束"),
    "story.took": ("Took", "用时"),
    "story.lanes": ("Across the parties", "各方经过"),
    "story.lanes_says": ("{parties} parties, {entries} entries, {took}.", "{parties} 方，{entries} 条记录，{took}。"),
    "story.steps": ("Step by step", "逐步经过"),
    "story.after": ("After", "用时"),
    "story.fits": ("Reconciliation", "对账"),
    "story.log_fits": (
        "The log's own story is whole: one REQUEST, an answer of every node, a RESULT unless somebody denied, one ACK.",
        "日志自身完整：一条提问，每个节点各有答复，无人拒绝则有一条结果，一条确认。",
    ),
    "story.log_faults": ("The log's own story is not whole:", "日志自身不完整："),
    "story.maybe_open": ("It may still be under way.", "查询可能尚未结束。"),
    "story.parties_fit": (
        "The records of {parties} have exactly what the log says of them, by the hash of each signed message.",
        "{parties} 的自有记录与日志完全一致（按签名消息的哈希）。",
    ),
    "story.parties_faults": ("Held against the parties' own records:", "对照各方自有记录："),
    "story.parties_unknown": (
        "Not yet held against the parties' own records: the examination has not come this far, or found none at hand.",
        "尚未对照各方自有记录：检查尚未进行到此处，或没有可用的记录。",
    ),
    "story.cut": ("Only the first {n} entries are shown.", "仅显示前 {n} 条记录。"),
}
