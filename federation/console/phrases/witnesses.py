"""Witnesses and checkpoints."""

from __future__ import annotations

from typing import Final

WITNESSES: Final = {
    "witnesses.title": ("Witnesses and checkpoints", "见证与检查点"),
    "witnesses.lead": (
        "A checkpoint counts with {quorum} of {all} witnesses. Each cosigns only what extends all that it has seen.",
        "检查点须有 {all} 个见证方中的 {quorum} 个联署方为有效；见证方只联署与其所见一致的扩展。",
    ),
    "witnesses.none": ("This log has no witnesses.", "此日志没有见证方。"),
    "witnesses.witness": ("Witness", "见证方"),
    "witnesses.key": ("Key", "密钥"),
    "witnesses.newest": ("Newest checkpoint", "最新检查点"),
    "witnesses.when": ("Cosigned", "联署时间"),
    "witnesses.behind": ("Behind", "落后"),
    "witnesses.never": ("not among those shown", "不在所示之列"),
    "witnesses.checkpoints": ("Checkpoints", "检查点"),
    "witnesses.no_checkpoint": ("No checkpoint was given out yet.", "尚未发出检查点。"),
    "witnesses.size": ("Entries", "记录数"),
    "witnesses.root": ("Root", "树根"),
    "witnesses.cosigned": ("Cosigned by", "联署方"),
    "witnesses.extends": ("Extends the one below", "扩展下一检查点"),
    "witnesses.no_proof": ("no proof in this copy", "此副本无证明"),
    "witnesses.oldest": ("the oldest shown", "所示最早"),
    "witnesses.quorum": ("quorum", "达到法定数"),
    "witnesses.no_quorum": ("{n} of {quorum} needed", "{n}/{quorum}，未达法定数"),
    "witnesses.remembered": ("This browser's own memory", "此浏览器的记忆"),
    "witnesses.remember_first": (
        "This browser sees the log for the first time and keeps its newest checkpoint: {size} entries.",
        "此浏览器首次见到该日志，已记住最新检查点：{size} 条记录。",
    ),
    "witnesses.remember_same": (
        "This browser kept this very checkpoint of {size} entries before.",
        "此浏览器先前记住的正是这一检查点：{size} 条记录。",
    ),
    "witnesses.remember_ok": (
        "The log of {new} entries extends the one of {old} that this browser kept: checked here.",
        "含 {new} 条记录的日志是此浏览器所记 {old} 条日志的扩展：已在本浏览器验证。",
    ),
    "witnesses.remember_bad": (
        "The log does NOT extend the one of {old} entries that this browser kept. "
        "Keep this machine as it is, and compare with the witnesses.",
        "该日志不是此浏览器所记 {old} 条日志的扩展。请保持本机现状，并与见证方核对。",
    ),
    "witnesses.remember_unknown": (
        "This copy of the log cannot show that it extends the one of {old} entries that this browser kept.",
        "此日志副本无法证明其为此浏览器所记 {old} 条日志的扩展。",
    ),
    "witnesses.older": ("Older", "较早"),
}
