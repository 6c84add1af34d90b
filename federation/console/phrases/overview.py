"""The first page of an auditor."""

from __future__ import annotations

from typing import Final

OVERVIEW: Final = {
    "overview.title": ("Overview", "概览"),
    "overview.verifies": ("The log verifies", "日志验证通过"),
    "overview.broken": ("The log does not verify", "日志验证失败"),
    "overview.at_leaf": ("Entry {leaf}: {code}", "第 {leaf} 条：{code}"),
    "overview.examining": ("The log is being examined", "正在检查日志"),
    "overview.not_yet": (
        "Every entry is read and every hash and signature recomputed. The page follows.",
        "正在读取每一条记录，并重新计算所有哈希与签名。页面会自动更新。",
    ),
    "overview.failed": ("The examination could not be finished: {code}", "检查未能完成：{code}"),
    "overview.examined": (
        "{size} entries examined {when}, in {took}",
        "已检查 {size} 条记录，{when}，用时 {took}",
    ),
    "overview.since": ("{n} newer ones are not examined yet.", "另有 {n} 条较新的记录尚未检查。"),
    "overview.again": ("Examine now", "立即检查"),
    "overview.entries": ("Entries", "记录"),
    "overview.entries_note": ("in the log, each provable", "日志中的条目，均可证明"),
    "overview.witnessed": ("Witnessed", "已见证"),
    "overview.witnessed_note": ("{n} rest on the log's own signature so far", "另有 {n} 条暂仅有日志自身签名"),
    "overview.queries": ("Queries, 30 days", "近 30 天查询"),
    "overview.queries_note": ("single questions and batches", "单笔与批量"),
    "overview.alarms": ("Alarms", "告警"),
    "overview.alarms_note": ("thresholds that were reached", "达到阈值的情形"),
    "overview.unmatched": ("Not reconciled", "对账不符"),
    "overview.unmatched_note": (
        "of {n} queries, held against {parties} records",
        "共 {n} 个查询，对照 {parties} 方记录",
    ),
    "overview.chart": ("Queries by day", "每日查询"),
    "overview.chart_none": ("No query in the last 30 days.", "近 30 天没有查询。"),
    "overview.chart_says": (
        "{n} queries in 30 days; the most on {day}: {most}.",
        "30 天内 {n} 个查询；最多为 {day}：{most} 个。",
    ),
    "overview.newest_alarms": ("Newest alarms", "最新告警"),
    "overview.no_alarm": ("No threshold was reached.", "没有达到任何阈值。"),
    "overview.root": ("Root", "树根"),
}
