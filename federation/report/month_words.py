"""The words of the month's PDF, in English and Chinese side by side."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Language(StrEnum):
    """The languages of the PDF."""

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
    "p90": ("Whole query, p90", "查询时延 p90"),
    "p90_note": ("REQUEST to RESULT", "REQUEST 至 RESULT"),
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
}


class MonthWords:
    """The words in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._column = list(Language).index(language)

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its values in place. Raises: KeyError for one that is not there."""
        return _WORDS[key][self._column].format(**values)
