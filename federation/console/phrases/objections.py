"""The enterprises' objections."""

from __future__ import annotations

from typing import Final

OBJECTIONS: Final = {
    "objections.title": ("Objections", "异议"),
    "objections.lead": (
        "An enterprise that objects to its records is answered by each office concerned within 20 days. "
        "Until then, every result about it is marked.",
        "企业对其记录提出异议后，各相关机构须在 20 日内作出决定；在此之前，关于该企业的结果均带有标记。",
    ),
    "objections.all": ("all", "全部"),
    "objections.state": ("State", "状态"),
    "objections.node": ("Decided by", "处理方"),
    "objections.ground": ("Ground", "事由"),
    "objections.filed": ("Filed", "提出"),
    "objections.decided": ("decided", "决定于"),
    "objections.clock": ("20 days", "20 日时限"),
    "objections.about": ("About", "所涉"),
    "objections.again": ("Asked again", "重新评估"),
    "objections.no_entry": ("no one query", "不针对某次查询"),
    "objections.days_left": ("{n} days left", "剩余 {n} 日"),
    "objections.days_over": ("{n} days over", "逾期 {n} 日"),
    "objections.in_time": ("in time", "按时"),
    "objections.late": ("late", "逾期作出"),
    "objections.first": ("The first {n} of {all}.", "共 {all} 条，显示前 {n} 条。"),
    "objections.none": ("No objection.", "没有异议。"),
    "objections.none_hint": (
        "Enterprises file them with their consent key; each becomes an entry of the log.",
        "企业以其授权密钥提出异议，每项异议都会记入日志。",
    ),
    "objection.pending": ("to be decided", "待决定"),
    "objection.overdue": ("overdue", "逾期未决"),
    "objection.corrected": ("corrected", "已更正"),
    "objection.upheld": ("upheld", "成立"),
    "objection.rejected": ("rejected", "驳回"),
    "objection.inadmissible": ("inadmissible", "不予受理"),
    "ground.RECORD_WRONG": ("record is wrong", "记录有误"),
    "ground.RECORD_OUTDATED": ("record is out of date", "记录过时"),
    "ground.RECORD_NOT_MINE": ("record is not the enterprise's", "非本企业记录"),
    "ground.EVENT_REPAIRED": ("event was repaired", "失信已修复"),
    "ground.QUERY_NOT_AUTHORISED": ("query was not authorised", "查询未经授权"),
    "ground.RESULT_DISPUTED": ("result is disputed", "对结果有异议"),
    "reason.RECORD_CORRECTED": ("record corrected", "记录已更正"),
    "reason.EVENT_REPAIRED": ("event repaired", "失信已修复"),
    "reason.RECORD_CONFIRMED": ("record confirmed", "记录属实"),
    "reason.NO_SUCH_RECORD": ("no such record", "无此记录"),
    "reason.NOT_OUR_RECORD": ("not this office's record", "非本机构记录"),
    "reason.CONSENT_ON_RECORD": ("consent is on record", "存有授权"),
    "reason.NO_CONSENT_ON_RECORD": ("no consent on record", "未存有授权"),
    "reason.REFERRED_TO_AUDITOR": ("referred to the auditor", "移交审计"),
    "reason.NOT_SUBSTANTIATED": ("not substantiated", "未能证实"),
}
