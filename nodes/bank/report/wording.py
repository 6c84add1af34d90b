"""What a credit report says in words, in English and in Chinese; a language is one `Words`, with nothing left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocols.assessment import refusals


class Language(StrEnum):
    """The languages of a report."""

    CHINESE = "zh"
    ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Words:
    """Every text of a report in one language; tables of words by code have no entry for a code they do not know."""

    tag: str
    title: str
    subtitle: str
    number: str
    bank: str
    uscc: str
    enterprise: str
    assessed: str
    valid_until: str
    score: str
    grade: str
    pd: str
    odds: str
    odds_high: str
    scale_note: str
    no_score: str
    no_score_note: str
    reason: str
    weighs: str
    weighs_note: str
    no_themes: str
    severities: tuple[str, str, str, str]
    themes: dict[str, tuple[str, str]]
    coverage: str
    coverage_note: str
    domains: dict[str, str]
    states: dict[str, str]
    grades_heading: str
    default_note: str
    grade_words: dict[str, str]
    record: str
    model: str
    families: dict[str, str]
    trained: str
    data_as_of: str
    not_stated: str
    quality: str
    nodes: str
    request: str
    receipt: str
    leaf: str
    no_receipt: str
    advisory_heading: str
    advisory: str
    privacy_heading: str
    privacy: str
    objections_heading: str
    objections: str
    pending_heading: str
    pending: str
    contact: str
    page: str
    refusal: Callable[[str], str]


ENGLISH: Final = Words(
    tag="en",
    title="Enterprise credit assessment",
    subtitle="Joint assessment from several offices' records, none of which left its owner",
    number="Report no.",
    bank="Requested by",
    uscc="Unified social credit code",
    enterprise="Enterprise",
    assessed="Assessed on",
    valid_until="Valid until",
    score="Credit score",
    grade="Grade",
    pd="Probability of default, 12 months",
    odds="about {count} in {out_of} enterprises like this one default",
    odds_high="more than one in two enterprises like this one default",
    scale_note="600 points are odds of 20 to 1; 40 more double them.",
    no_score="No score",
    no_score_note="The enterprise was not scored. A refusal says nothing about its creditworthiness.",
    reason="Reason",
    weighs="What weighs on the score",
    weighs_note="Points lost against the best possible on each theme, in four bands.",
    no_themes="The model reports no themes.",
    severities=("none lost", "few lost", "many lost", "most lost"),
    themes={
        "tax_compliance": ("Tax compliance", "Filing on time, arrears, the tax office's rating"),
        "business_scale": ("Business scale", "Size of the business: sales, staff, electricity used"),
        "growth": ("Growth", "Sales, consumption and inflows, rising or falling"),
        "employment": ("Employment", "Insured staff, their number, and turnover"),
        "payment_discipline": ("Payment discipline", "Bills and contributions paid late or missed"),
        "operations": ("Operations", "Idle months, shutdowns, dependence on few buyers"),
        "debt_burden": ("Debt burden", "How much of its credit the enterprise has drawn"),
        "relationship": ("Banking relationship", "How long and how well the bank knows it"),
    },
    coverage="Data coverage",
    coverage_note="An office without a record scores as missing; no enterprise is left out for it.",
    domains={
        "tax": "Tax",
        "social": "Social insurance",
        "housing_fund": "Housing fund",
        "electricity": "Electricity",
        "water": "Water",
        "gas": "Gas",
        "customs": "Customs",
        "judicial": "Courts",
    },
    states={"ok": "records found", "absent": "no record", "refused": "refused", "stale": "records out of date"},
    grades_heading="Grades and their probabilities of default",
    default_note="Default: more than 90 days past due within twelve months of draw-down.",
    grade_words={
        "AAA": "minimal risk",
        "AA": "very low risk",
        "A": "low risk",
        "BBB": "moderate risk",
        "BB": "medium risk",
        "B": "elevated risk",
        "CCC": "high risk",
        "CC": "very high risk",
        "C": "extreme risk",
        "D": "in default",
    },
    record="Basis and record",
    model="Model",
    families={"scorecard": "Credit scorecard", "boosting": "Boosted trees"},
    trained="Trained on",
    data_as_of="Training data as of",
    not_stated="not stated",
    quality="Ranking power (test AUC)",
    nodes="Data nodes in the model",
    request="Request",
    receipt="Log receipt",
    leaf="leaf {leaf} of the audit log",
    no_receipt="none",
    advisory_heading="Advisory only",
    advisory="Computed automatically by a joint model: no commitment to lend, and no public rating. "
    "A person decides on the loan.",
    privacy_heading="What was shared",
    privacy="No office handed over a record. The bank received one total over all offices, never an office's own part.",
    objections_heading="Objections and review",
    objections="An enterprise that disagrees with this result may ask the bank named above to have a person review it, "
    "and any office to check the records it holds.",
    pending_heading="An objection is pending",
    pending="The enterprise has objected to records behind this result, or to their use. Nobody has decided yet; weigh "
    "the result accordingly, and ask again once it is decided.",
    contact="Contact:",
    page="Page {page} of {pages}",
    refusal=refusals.english,
)

CHINESE: Final = Words(
    tag="zh-CN",
    title="企业信用评估报告",
    subtitle="多家数据单位联合评估，原始记录均未离开其所有者",
    number="报告编号",
    bank="申请机构",
    uscc="统一社会信用代码",
    enterprise="企业标识",
    assessed="评估日期",
    valid_until="有效期至",
    score="信用分",
    grade="信用等级",
    pd="违约概率（12个月）",
    odds="同类企业中，约每 {out_of} 家有 {count} 家违约",
    odds_high="同类企业中，半数以上违约",
    scale_note="600分对应好坏比20:1，每增加40分好坏比翻一倍；分数越高风险越低。",
    no_score="未产生评分",
    no_score_note="本次未对该企业评分。被拒绝查询不代表企业信用不良。",
    reason="原因",
    weighs="影响评分的主要方面",
    weighs_note="按各方面相对最佳情形的失分分为四档，失分越多影响越大。",
    no_themes="该模型不提供分项原因。",
    severities=("未失分", "失分较少", "失分较多", "失分严重"),
    themes={
        "tax_compliance": ("纳税遵从", "按期申报、欠税情况及纳税信用等级"),
        "business_scale": ("经营规模", "销售收入、用工与用电规模"),
        "growth": ("成长性", "销售、用电与资金流入的增减趋势"),
        "employment": ("用工稳定", "参保人数及其变化、人员流动"),
        "payment_discipline": ("缴付纪律", "各类费用与缴存的逾期、漏缴情况"),
        "operations": ("经营运行", "停产停报情况、对少数客户的依赖程度"),
        "debt_burden": ("债务负担", "授信使用程度"),
        "relationship": ("银行往来", "与银行往来的年限与情况"),
    },
    coverage="数据覆盖",
    coverage_note="数据单位没有该企业记录的，按“缺失”计分，不因此排除企业。",
    domains={
        "tax": "税务",
        "social": "社会保险",
        "housing_fund": "住房公积金",
        "electricity": "电力",
        "water": "供水",
        "gas": "燃气",
        "customs": "海关",
        "judicial": "司法",
    },
    states={"ok": "已覆盖", "absent": "无记录", "refused": "拒绝查询", "stale": "数据过期"},
    grades_heading="信用等级与违约概率对照",
    default_note="违约：放款后十二个月内逾期超过90天。",
    grade_words={
        "AAA": "风险极低",
        "AA": "风险很低",
        "A": "风险低",
        "BBB": "风险较低",
        "BB": "风险中等",
        "B": "风险较高",
        "CCC": "风险高",
        "CC": "风险很高",
        "C": "风险极高",
        "D": "已违约",
    },
    record="评估依据与存证",
    model="模型",
    families={"scorecard": "信用评分卡", "boosting": "提升树模型"},
    trained="训练日期",
    data_as_of="训练数据截至",
    not_stated="未注明",
    quality="排序能力（测试集AUC）",
    nodes="参与模型的数据单位",
    request="请求编号",
    receipt="存证回执",
    leaf="审计日志第 {leaf} 号叶",
    no_receipt="无",
    advisory_heading="仅供参考",
    advisory="本结果由联合模型自动计算，仅供参考，不构成授信承诺，亦非公开评级；是否贷款由人工决定。",
    privacy_heading="数据共享情况",
    privacy="各数据单位均未交出任何记录。银行只得到各单位加总后的一个总分，得不到任何一家单位的分项。",
    objections_heading="异议与复核",
    objections="企业对本结果有异议的，可向上述银行申请人工复核，也可请数据单位核对其所持记录。",
    pending_heading="异议处理中",
    pending="企业已对本结果所依据的记录或其使用提出异议，目前尚未作出处理决定。请审慎使用本结果，并在处理完成后重新查询。",
    contact="联系方式：",
    page="第 {page} 页，共 {pages} 页",
    refusal=refusals.chinese,
)

WORDS: Final = {Language.ENGLISH: ENGLISH, Language.CHINESE: CHINESE}
