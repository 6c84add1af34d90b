"""A made-up but plausible run, and variations of it, for the report's tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from federation.report import (
    BANK_ALONE,
    FEDERATION,
    POOLED,
    POOLED_BOOSTING,
    Assessment,
    Bin,
    Comparison,
    Feature,
    PartyRole,
    PartyView,
    RunReport,
    Validation,
)
from federation.report.curves import default_probability
from protocols.credit.metrics import validate
from protocols.credit.scale import SCORE_FACTOR, SCORE_OFFSET

OFFERED = {
    "bank": [
        ("max_dpd_24m", "近24个月最长逾期天数", 0.31, "payment_discipline"),
        ("utilisation", "授信使用率", 0.12, "debt_burden"),
        ("net_inflow_3m_mean", "近3个月月均净流入", 0.09, "debt_burden"),
        ("relationship_months", "合作月数", 0.004, "relationship"),
    ],
    "tax": [
        ("vat_sales_yoy", "增值税销售额同比增长率", 0.22, "growth"),
        ("late_filing_count", "逾期申报次数", 0.19, "tax_compliance"),
        ("tax_arrears_amount", "欠税金额", 0.16, "tax_compliance"),
        ("vat_sales_cv", "增值税销售额变异系数", 0.11, "operations"),
        ("tax_credit_grade", "纳税信用等级", 0.27, "tax_compliance"),
        ("top5_buyer_share", "前五大客户销售占比", 0.011, "operations"),
    ],
    "social": [
        ("contribution_arrears_months", "社保欠缴月数", 0.24, "payment_discipline"),
        ("headcount_change_12m", "近12个月参保人数变动率", 0.14, "employment"),
        ("turnover_12m", "近12个月人员流动率", 0.06, "employment"),
        ("insured_months", "累计参保月数", 0.001, "employment"),
    ],
    "housing_fund": [
        ("missed_months", "公积金漏缴月数", 0.13, "payment_discipline"),
        ("late_days_mean", "平均逾期缴存天数", 0.05, "payment_discipline"),
    ],
    "electricity": [
        ("kwh_yoy", "用电量同比", 0.17, "growth"),
        ("late_payment_count", "电费逾期次数", 0.20, "payment_discipline"),
        ("shutdown_days", "停产天数", 0.08, "operations"),
        ("kwh_cv", "用电量变异系数", 0.015, "operations"),
    ],
}


def scored(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw scores, and outcomes that default as the scores say."""
    rng = np.random.default_rng(seed)
    scores = SCORE_OFFSET + SCORE_FACTOR * rng.normal(3.25, 1.15, rows)
    return scores, (rng.random(rows) < default_probability(scores)).astype(np.int64)


def bins(iv: float, seed: int) -> tuple[Bin, ...]:
    """Draw a few steps that fall in risk, and a missing one."""
    rng = np.random.default_rng(seed)
    number = int(rng.integers(3, 8))
    woe = np.sort(rng.normal(0, 1.1 * np.sqrt(iv), number))
    shares = rng.dirichlet(np.full(number + 1, 6.0))
    woe = np.append(woe, rng.normal(-0.2, 0.2))
    labels = [*(f"step {i + 1}" for i in range(number)), "missing"]
    points = np.rint((woe - woe.min()) * 320).astype(int)
    return tuple(
        Bin(name, float(share), float(0.042 * np.exp(-w)), float(w), int(p))
        for name, share, w, p in zip(labels, shares, woe, points, strict=True)
    )


def features() -> tuple[Feature, ...]:
    """Every offered feature; those with little information are dropped."""
    result = []
    for domain, offered in OFFERED.items():
        for name, title, iv, theme in offered:
            selected = iv >= 0.02
            reason = "" if selected else f"information value {iv:.3f} below the floor"
            result.append(Feature(domain, name, title, iv, selected, reason, theme, bins(iv, len(result))))
    return tuple(result)


def many_features(number: int) -> tuple[Feature, ...]:
    """Many selected features with long names over three domains."""
    return tuple(
        Feature(
            ("tax", "social", "electricity")[i % 3],
            f"a_rather_long_feature_name_of_the_office_number_{i:03d}_over_the_last_twelve_months",
            "一个非常非常长的中文特征名称用于测试排版是否会溢出",
            0.3 / (i + 1),
            True,
            "",
            "operations",
            bins(0.1, i),
        )
        for i in range(number)
    )


def parties() -> tuple[PartyView, ...]:
    """Four offices, a bank and the coordinator."""
    office_sees = (
        "which consenting enterprises the bank trains on",
        "outcomes as ciphertexts under the bank's key",
        "the WOE table of its own features",
    )
    office_never = ("outcomes", "anything of another node", "the total score")
    holds = {
        "tax_office": "VAT declarations, payments, credit grade of 3 812 enterprises",
        "social_insurance": "monthly contributions of 3 190 enterprises",
        "housing_fund": "monthly deposits of 1 811 enterprises",
        "electricity": "bills and meter readings of 2 803 enterprises",
    }
    offices = tuple(
        PartyView(name, PartyRole.DATA_NODE, text, office_sees, office_never, 14, 2_301_442, 1_210_311)
        for name, text in holds.items()
    )
    bank = PartyView(
        "bank",
        PartyRole.BANK,
        "outcomes and accounts of 4 000 enterprises; the private key",
        (
            "bad counts per bin, masked and summed",
            "weights of its model",
            "one integer total per consenting enterprise",
        ),
        ("a node's part of a score", "a feature value", "where a feature's bins are cut"),
        41,
        5_402_118,
        8_230_555,
    )
    coordinator = PartyView(
        "coordinator",
        PartyRole.COORDINATOR,
        "the registry and the audit log; no key and no enterprise data",
        ("who asked what of whom, when and how large", "ciphertexts and sealed envelopes"),
        ("an enterprise code", "a feature, an outcome", "a score or a part of one"),
        97,
        14_022_310,
        14_410_002,
    )
    return (*offices, bank, coordinator)


def assessments() -> tuple[Assessment, ...]:
    """Three answers from good to poor, and one refusal."""
    domains = ("tax", "social", "housing_fund", "electricity")
    covered = tuple((domain, "ok") for domain in domains)
    partly = (("tax", "ok"), ("social", "ok"), ("housing_fund", "absent"), ("electricity", "ok"))
    receipt = "leaf 31 · 5f1c0a9be2f3d4471a0c9e8d7b6a5f4e3d2c1b0a9f8e7d6c5b4a39281706f5e4"
    calm = (("payment_discipline", 0), ("operations", 1))
    strained = (("payment_discipline", 3), ("growth", 2), ("operations", 1))
    return (
        Assessment("9199…013K", "ok", "", 0.0061, 721.0, "AA", calm, covered, receipt),
        Assessment("9199…77XA", "ok", "", 0.0421, 607.4, "BB", (("growth", 2), *calm), partly, receipt),
        Assessment("9199…B980", "ok", "", 0.1702, 518.5, "CCC", strained, covered, receipt),
        Assessment("9199…43Y2", "denied", "CONSENT_MISSING", None, None, None, (), (), receipt),
    )


def sample(rows: int = 1200, seed: int = 0) -> RunReport:
    """Return the plausible run."""
    scores, bad = scored(rows, seed)
    validation = validate((scores - SCORE_OFFSET) / SCORE_FACTOR, bad)
    phases = (
        ("keys and proofs", 4.2),
        ("cohort", 0.31),
        ("encrypted histograms", 21.4),
        ("gram matrix", 33.7),
        ("refinement", 6.1),
        ("back-test", 2.2),
    )
    return RunReport(
        title="Default risk of small enterprises",
        dataset="synthetic economy, 4 000 enterprises, seed 0",
        generated="2026-03-02",
        model_hash="b1946ac92492d2347c6235b4d2611184a3f1c0a9be2f3d4471a0c9e8d7b6a5f4",
        key_bits=2048,
        rows_train=2800,
        rows_test=rows,
        default_rate=0.047,
        validation=validation,
        comparisons=(
            Comparison(BANK_ALONE, 0.651, 0.232),
            Comparison(FEDERATION, validation.auc, validation.ks),
            Comparison(POOLED, validation.auc + 0.0004, validation.ks + 0.002),
            Comparison(POOLED_BOOSTING, validation.auc + 0.006, None),
        ),
        features=features(),
        parties=parties(),
        assessments=assessments(),
        phases=phases,
        leaks=(("aggregate", 41), ("row_totals", 2)),
        log_size=57,
        log_root="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        warnings=(
            "--compare pooled all parties' files on this machine as an oracle. Never do this with real records.",
        ),
        test_scores=scores,
        test_bad=bad,
    )


def undetermined(rows: int, outcome: int) -> RunReport:
    """Return a run whose test rows all ended alike: no measure exists."""
    nan = float("nan")
    return replace(
        sample(),
        validation=Validation(nan, nan, nan, nan, nan, nan),
        comparisons=(Comparison(FEDERATION, nan, None), Comparison(BANK_ALONE, None, None)),
        rows_test=rows,
        test_scores=scored(rows)[0],
        test_bad=np.full(rows, outcome, dtype=np.int64),
    )
