"""The words of the month's page and PDF, in English and Chinese side by side."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from federation.audit.alarms import Alarm
from federation.audit.alarms.words import RULES, about, chinese
from protocols.assessment import refusals


class Language(StrEnum):
    """The languages of the console and of the reports."""

    ENGLISH = "en"
    CHINESE = "zh"

    @property
    def tag(self) -> str:
        """The language as documents declare it."""
        return "zh-CN" if self is Language.CHINESE else "en"


_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "title": ("Audit report", "审计月报"),
    "subtitle": (
        "What the federation's query log holds of this month, counted after the whole log was verified",
        "在验证全部日志之后，对联邦查询日志本月内容的统计",
    ),
    "log": ("Log", "日志"),
    "generated": ("Generated", "生成时间"),
    "verified": ("The log verified", "日志验证通过"),
    "leaves": ("{leaves} entries, {witnessed} of them witnessed", "{leaves} 条记录，其中 {witnessed} 条已见证"),
    "root": ("Root", "树根"),
    "queries": ("Queries", "查询"),
    "queries_note": ("single and batches", "单笔与批量"),
    "enterprises": ("Enterprises", "企业（次）"),
    "enterprises_note": ("each time asked about", "每次查询计一次"),
    "denied": ("Denied", "拒绝"),
    "denied_note": ("{n} enterprises", "{n} 家次企业"),
    "p90": ("Nine queries in ten", "九成查询用时"),
    "p90_note": ("answered within this time", "不超过此时长"),
    "alarms": ("Alarms", "告警"),
    "alarms_note": ("thresholds reached", "达到限值"),
    "volumes": ("Enterprises asked about, by day", "每日查询企业数"),
    "volumes_none": ("No query in this month.", "本月没有查询。"),
    "volumes_note": (
        "{days} days with queries; the most on day {day}: {most}. Days are UTC.",
        "{days} 天有查询；最多为 {day} 日：{most}。日期为 UTC。",
    ),
    "others": ("others", "其他"),
    "by_bank": ("By bank", "按银行"),
    "bank": ("Bank", "银行"),
    "batches": ("Batches", "批量"),
    "acknowledged": ("Closed", "已确认"),
    "coverage": ("Coverage", "覆盖情况"),
    "coverage_lead": (
        "In {whole} of {reached} questions that reached the nodes, every node answered; {stopped} were ended before.",
        "到达节点的 {reached} 个问题中，{whole} 个得到全部节点答复；另有 {stopped} 个在此前已被终止。",
    ),
    "coverage_unnamed": (
        "{n} went to more nodes than have ever answered with that model: whose silence that is, the log cannot say.",
        "有 {n} 个问题发往的节点多于曾以该模型答复的节点：日志无法说明是谁未答复。",
    ),
    "coverage_cannot": (
        "What the log cannot know: whether an office had a record of the enterprise (absent) or an old one (stale). "
        "That is sealed to the bank inside the answer. Which nodes were asked is known only by their answers with the "
        "same model.",
        "日志无从得知：机构是否有该企业的记录（缺失）或记录是否陈旧，这些封在只有银行能解开的答复中。"
        "被询问的节点只能由其在同一模型下的答复推知。",
    ),
    "node": ("Node", "节点"),
    "asked": ("Asked", "被询问"),
    "released": ("Answered", "答复"),
    "refused": ("Denied", "拒绝"),
    "silent": ("Silent", "未答复"),
    "share": ("Enterprises answered", "企业答复率"),
    "coverage_none": ("No question reached a node.", "没有问题到达节点。"),
    "denials": ("Denials, and why", "拒绝及原因"),
    "denials_none": ("Nothing was denied.", "没有拒绝。"),
    "code": ("Code", "代码"),
    "by": ("By", "拒绝方"),
    "latency": ("Latency of single questions", "单笔查询时延"),
    "latency_none": ("No single question was answered.", "没有得到答复的单笔查询。"),
    "party": ("Party", "参与方"),
    "answers": ("Answers", "答复数"),
    "longest": ("Longest", "最长"),
    "whole": ("whole query", "整个查询"),
    "models": ("Models", "模型"),
    "models_none": ("No model was used.", "没有使用模型。"),
    "model": ("Model", "模型"),
    "not_stated": ("not stated", "未注明"),
    "alarms_none": (
        "No threshold that is set was reached, and every query reconciles.",
        "未达到任何限值，且对账相符。",
    ),
    "alarms_cut": ("{shown} of {all}; `credfed audit alarms` lists all.", "共 {all} 条，列出 {shown} 条。"),
    "rule": ("Rule", "规则"),
    "seen": ("Seen", "实际"),
    "threshold": ("Threshold", "限值"),
    "where": ("Entries", "记录"),
    "outside": ("not in the log", "不在日志中"),
    "witnesses": ("Witnesses", "见证"),
    "witnesses_lead": (
        "{standing} of {all} stand behind the newest witnessed checkpoint; {quorum} are needed. "
        "{checkpoints} checkpoints with {cosignatures} cosignatures were verified.",
        "{all} 个见证方中有 {standing} 个为最新检查点背书，法定数为 {quorum}。"
        "已验证 {checkpoints} 个检查点、{cosignatures} 个联署。",
    ),
    "witness": ("Witness", "见证方"),
    "cosigned": ("Cosigned the newest", "联署最新检查点"),
    "no": ("no", "否"),
    "foot": (
        "Names banks and nodes and counts what they did; no enterprise and no score, since the log holds none.",
        "仅列明银行与节点并统计其行为；日志中没有企业与评分，本报告亦无。",
    ),
    "page": ("page {page} of {pages}", "第 {page} 页，共 {pages} 页"),
    "none": ("none", "无"),
    "colon": (": ", "："),
    "contents": ("Contents", "目录"),
    "one_alarm": ("One alarm in this month", "本月有 1 条告警"),
    "many_alarms": ("{n} alarms in this month", "本月有 {n} 条告警"),
    "alarms_say": ("Each names its rule, its threshold and its entries:", "每条告警均列明规则、限值与所涉记录："),
    "lead_one": ("One bank asked about enterprises {n} times.", "1 家银行共查询企业 {n} 次。"),
    "lead": ("{banks} banks asked about enterprises {n} times.", "{banks} 家银行共查询企业 {n} 次。"),
    "lead_alarms": (
        "Alarms are thresholds that were reached, or queries that do not reconcile.",
        "告警指达到限值的情形，或对账不符的查询。",
    ),
    "volumes_short": ("Volumes", "查询量"),
    "volumes_caption": (
        "Enterprises asked about; those of a batch count each. Days are UTC.",
        "所查询的企业，批量中逐家计数。日期为 UTC。",
    ),
    "volumes_axes": ("day of the month, UTC", "当月日期（UTC）"),
    "volumes_tip": ("day {day}: {n} enterprises", "{day} 日：{n} 家次企业"),
    "volumes_says": (
        "{days} of {all} days with queries; the most on day {day}: {most}.",
        "{all} 天中有 {days} 天有查询；最多为 {day} 日：{most}。",
    ),
    "no_bank": ("no bank asked", "没有银行查询"),
    "denied_batch": (
        "Of a batch, as many enterprises count as denied as one node denied most: at least so many were.",
        "批量中被拒的企业数，以拒绝最多的一个节点为准：实际不少于此数。",
    ),
    "coverage_chart": ("Questions answered", "得到答复的问题"),
    "coverage_caption": (
        "Of the questions with a model with which the node has ever answered.",
        "仅计该节点曾答复过的模型所涉问题。",
    ),
    "by_node": ("By node", "按节点"),
    "by_reason": ("By reason", "按原因"),
    "by_party": ("By party", "按参与方"),
    "denials_caption": (
        "Queries that a party denied; one that several denied counts at each.",
        "被某方拒绝的查询；多方拒绝的，各方均计。",
    ),
    "latency_short": ("Latency", "时延"),
    "p90_chart": ("90th percentile", "第 90 百分位"),
    "latency_caption": (
        "From the REQUEST to each node's answer, by the coordinator's clock. Batches are left out.",
        "自提问至各节点答复，以协调方时钟为准，不含批量。",
    ),
    "percentiles": ("Percentiles", "百分位数"),
    "checkpoints": ("Checkpoints", "检查点"),
    "checkpoints_say": (
        "{n} with {cosignatures} cosignatures verified; an export carries the newest alone",
        "已验证 {n} 个检查点、{cosignatures} 个联署；导出副本仅含最新一个",
    ),
    "quorum": ("Quorum", "法定数"),
    "quorum_say": (
        "{quorum} of {all} witnesses; {standing} stand behind the newest witnessed checkpoint",
        "{all} 个见证方中须有 {quorum} 个；{standing} 个为最新检查点背书",
    ),
    "witnesses_none": ("this log has no witnesses", "此日志没有见证方"),
    "one_file": (
        "This page is one file: it loads nothing, runs no script and sends nothing.",
        "本页为单一文件：不加载任何内容，不运行脚本，也不发送数据。",
    ),
    "ms": ("{n}\u00a0ms", "{n} 毫秒"),
    "s": ("{n}\u00a0s", "{n} 秒"),
    "minutes": ("{n} min {s}\u00a0s", "{n} 分 {s} 秒"),
}


class MonthWords:
    """The words in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._column = list(Language).index(language)

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its values in place. Raises: KeyError for one that is not there."""
        return _WORDS[key][self._column].format(**values)

    def seconds(self, milliseconds: int) -> str:
        """Return a duration."""
        if milliseconds < 1000:
            return self("ms", n=milliseconds)
        if milliseconds < 120_000:
            return self("s", n=f"{milliseconds / 1000:.1f}")
        minutes, rest = divmod(round(milliseconds / 1000), 60)
        return self("minutes", n=minutes, s=rest)

    def month(self, name: str) -> str:
        """Return a month such as 2026-11 by its name."""
        year, _, number = name.partition("-")
        return f"{year} 年 {int(number)} 月" if self._column else name

    def time(self, written: str) -> str:
        """Return a time in ISO 8601 as people write it, in UTC."""
        return f"{written.rstrip('Z').replace('T', ' ')} UTC"

    def denial(self, code: str) -> str:
        """Return what the code of a denial means, "" for one that has no text."""
        return (refusals.english, refusals.chinese)[self._column](code)

    def rule(self, name: str) -> str:
        """Return what a rule is called; one that has no name as it is."""
        return RULES[name][self._column] if name in RULES else name.replace("_", " ")

    def about(self, text: str) -> tuple[str, str]:
        """Return what an alarm is about: the word for it, and the id."""
        return about(text, self._column)

    def said(self, alarm: Alarm, place: int) -> str:
        """Return an alarm's threshold (0), or what was seen (1)."""
        if self._column and alarm.said is not None:
            return chinese(alarm.said[place])
        return (alarm.threshold, alarm.seen)[place]
