"""The monthly reports."""

from __future__ import annotations

from typing import Final

REPORTS: Final = {
    "reports.title": ("Monthly reports", "审计月报"),
    "reports.lead": (
        "Volumes by bank and day, coverage by node, denials and why, latency, models, alarms, witnesses. "
        "A report names banks and nodes, no enterprise and no score. Getting one is recorded as a look at its month.",
        "各银行每日查询量、各节点覆盖情况、拒绝及原因、时延、模型、告警与见证。"
        "报告仅列明银行与节点，不含企业与评分。下载即记为对该月的一次查看。",
    ),
    "reports.month": ("Month", "月份"),
    "reports.rests": ("Rests on", "依据"),
    "reports.page": ("page", "网页"),
    "reports.files": ("Report", "报告"),
    "reports.made": ("{size} entries, verified {when}", "{size} 条记录，验证于 {when}"),
    "reports.open": ("the month is not over", "本月尚未结束"),
    "reports.not_made": ("not made yet", "尚未生成"),
    "reports.making": ("is being made …", "正在生成……"),
    "reports.failed": ("could not be made: {code}", "未能生成：{code}"),
    "reports.make": ("Make", "生成"),
    "reports.again": ("Make anew", "重新生成"),
    "reports.none": ("The log holds no entry yet, so there is no month to report.", "日志中还没有记录，暂无月报。"),
    "reports.unverified": (
        "Reports rest on a log that verifies, and the newest examination does not say so of this one.",
        "月报以验证通过的日志为依据，而最近一次检查未能确认这一点。",
    ),
}
