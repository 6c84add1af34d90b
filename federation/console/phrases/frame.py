"""What stands around every page: names, navigation, units, errors."""

from __future__ import annotations

from typing import Final

FRAME: Final = {
    "brand": ("Credit Federation", "信用联邦"),
    "console": ("Audit console", "审计控制台"),
    "skip": ("Skip to content", "跳到正文"),
    "other_language": ("中文", "English"),
    "log_out": ("Log out", "退出"),
    "role.auditor": ("auditor", "审计员"),
    "role.operator": ("operator", "运维员"),
    "utc": ("All times are UTC, by the coordinator's clock.", "所有时间均为 UTC，以协调方时钟为准。"),
    "foot": (
        "The log holds no score, no feature and no enterprise's code: enterprises appear as keyed tags.",
        "日志中没有评分、特征和企业代码：企业只以带密钥的标签出现。",
    ),
    "looks.logged": (
        "What you look at is itself recorded in the log, under your name.",
        "您查看的内容会以您的名义记入日志。",
    ),
    "looks.local": (
        "This log cannot be written: what you look at is recorded beside the console, not in the log.",
        "此日志不可写：您的查看记录保存在控制台旁，而不在日志中。",
    ),
    "unit.ms": ("{n} ms", "{n} 毫秒"),
    "unit.seconds": ("{n} s", "{n} 秒"),
    "unit.minutes": ("{n} min", "{n} 分钟"),
    "unit.hours": ("{n} h", "{n} 小时"),
    "unit.days": ("{n} days", "{n} 天"),
    "term": ("{code}: {meaning}", "{code}（{meaning}）"),
    "none": ("none", "无"),
    "unknown": ("not known", "未知"),
    "more": ("more", "更多"),
    "nav": ("Pages", "页面"),
    "nav.overview": ("Overview", "概览"),
    "nav.timeline": ("Timeline", "时间线"),
    "nav.alarms": ("Alarms", "告警"),
    "nav.witnesses": ("Witnesses", "见证"),
    "nav.reports": ("Reports", "月报"),
    "nav.objections": ("Objections", "异议"),
    "nav.health": ("Health", "运行状况"),
    "error.title": ("This did not work", "操作未成功"),
    "error.404": ("There is no such page.", "没有该页面。"),
    "error.403": ("Your role does not include this page.", "您的角色无权查看此页面。"),
    "error.403_hint": (
        "Operators see health and witnesses; auditors also see entries.",
        "运维员可查看运行状况与见证；审计员还可查看记录。",
    ),
    "error.csrf": (
        "This form is too old. Go back, load the page anew, and try again.",
        "表单已失效，请返回并刷新页面后重试。",
    ),
    "error.422": ("The address holds something that cannot be understood.", "地址中有无法识别的内容。"),
    "error.503": ("The log cannot be read now: {code}", "暂时无法读取日志：{code}"),
    "error.look": (
        "Your look could not be recorded, so nothing is shown: {code}",
        "无法记录您的查看行为，因此不予显示：{code}",
    ),
    "error.500": ("The console failed; its own log says more.", "控制台出错，详情见其自身日志。"),
    "error.home": ("To the start", "返回首页"),
}
