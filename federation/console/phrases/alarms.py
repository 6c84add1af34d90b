"""The alarms; what each rule and each alarm says stands in `federation/audit/alarms/words.py`."""

from __future__ import annotations

from typing import Final

ALARMS: Final = {
    "alarms.title": ("Alarms", "告警"),
    "alarms.rule": ("Rule", "规则"),
    "alarms.party": ("Party", "参与方"),
    "alarms.seen": ("Seen", "实际"),
    "alarms.threshold": ("Threshold", "阈值"),
    "alarms.where": ("Entries", "记录"),
    "alarms.outside": ("not in the log", "不在日志中"),
    "alarms.none": ("No alarm.", "没有告警。"),
    "alarms.none_hint": (
        "No threshold was reached in {size} entries, and every query reconciles.",
        "{size} 条记录均未达到阈值，且全部对账相符。",
    ),
    "alarms.first": (
        "The newest {n} of {all}; `credfed audit alarms` lists all.",
        "共 {all} 条，显示最新 {n} 条；`credfed audit alarms` 可列出全部。",
    ),
    "alarms.blind": (
        "One enterprise that several banks ask about cannot always be seen: each bank keys its tags by itself.",
        "多家银行查询同一企业的情形未必可见：各银行使用各自的标签密钥。",
    ),
    "alarms.all_rules": ("all rules", "全部规则"),
}
