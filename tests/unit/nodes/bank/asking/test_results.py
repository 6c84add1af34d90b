"""What a bank reads: a score from an opened sum, or the reason why there is none."""

from __future__ import annotations

import math

import pytest

from nodes.bank.asking.results import describe_answer, describe_denial, describe_failure
from protocols.assessment.layout import Coverage, Opened
from protocols.assessment.manifest import Manifest, PartEntry, Theme
from protocols.channel.identity import PartyId
from protocols.credit.logistic import Calibration
from protocols.scorecard.themes import BAND_POINTS

NODES = ("electricity", "social", "tax")
MANIFEST = Manifest(
    bytes(32),
    "bank",
    "assessment",
    tuple(PartEntry(name, f"{name} office", "0" * 64, bytes(32)) for name in NODES),
    20,
    10_000,
    (Theme("sales", 2, BAND_POINTS), Theme("staff", 2, BAND_POINTS)),
    0,
)
REQUEST = "71" * 16
CALIBRATION = Calibration(-3.0, 1.0 / 577.08)
NOW = 1_790_000_000


def test_a_sum_becomes_pd_score_grade_and_themes() -> None:
    opened = Opened(3000, (1, 6), (Coverage.OK, Coverage.ABSENT, Coverage.STALE))
    result = describe_answer(REQUEST, opened, "e", MANIFEST, CALIBRATION, 462, 7, NOW)
    log_odds = -3.0 + 3462 / 577.08
    assert result.status == "ok"
    assert result.pd == pytest.approx(1 / (1 + math.exp(log_odds)))
    assert result.score == round(427.12 + 57.708 * log_odds)
    assert result.grade == "BB"
    assert result.coverage == {"electricity office": "ok", "social office": "absent", "tax office": "stale"}
    assert [(theme.theme, theme.severity) for theme in result.themes] == [("staff", 3), ("sales", 0)]
    assert (result.as_of, result.valid_until) == ("2026-09-21", "2026-10-21")
    assert (result.receipt, result.request) == (7, REQUEST)


def test_an_enterprise_that_no_node_knows_gets_no_score() -> None:
    opened = Opened(3000, (0, 0), (Coverage.ABSENT, Coverage.ABSENT, Coverage.STALE))
    result = describe_answer(REQUEST, opened, "e", MANIFEST, CALIBRATION, 0, 7, NOW)
    assert (result.status, result.code) == ("failed", "INSUFFICIENT_COVERAGE")
    assert (result.pd, result.score, result.grade, result.themes) == (None, None, None, ())


@pytest.mark.parametrize("coverage", [Coverage.OK, Coverage.ABSENT])
def test_a_pending_objection_marks_the_result_with_or_without_a_score(coverage: Coverage) -> None:
    for objected in (True, False):
        opened = Opened(3000, (0, 0), (coverage,) * 3, objected)
        assert describe_answer(REQUEST, opened, "e", MANIFEST, CALIBRATION, 0, 7, NOW).objection_pending is objected


@pytest.mark.parametrize("total", [0, 10_000])
@pytest.mark.parametrize("slope", [10.0, -10.0, 0.0])
def test_extreme_totals_still_have_a_finite_score(total: int, slope: float) -> None:
    opened = Opened(total, (0, 0), (Coverage.OK,) * 3)
    result = describe_answer(REQUEST, opened, "e", MANIFEST, Calibration(0.0, slope), 0, 7, NOW)
    assert result.pd is not None
    assert 0 <= result.pd <= 1
    assert isinstance(result.score, int)


def test_denials_are_told_by_domain() -> None:
    denials = {PartyId("tax"): "CONSENT_MISSING", PartyId("social"): "CONSENT_EXPIRED"}
    result = describe_denial(REQUEST, "e", MANIFEST, denials)
    assert (result.status, result.code) == ("denied", "CONSENT_EXPIRED")
    assert result.denied_by == {"tax office": "CONSENT_MISSING", "social office": "CONSENT_EXPIRED"}
    assert result.coverage["tax office"] == result.coverage["social office"] == "refused"
    assert result.score is None


def test_an_answer_that_did_not_verify_is_a_failure_with_its_code() -> None:
    result = describe_failure(REQUEST, "e", MANIFEST, "RESULT_OUT_OF_RANGE")
    assert (result.status, result.code, result.denied_by) == ("failed", "RESULT_OUT_OF_RANGE", {})
    assert (result.request, result.score, result.model) == (REQUEST, None, MANIFEST.model_hash().hex())


def test_each_domain_says_as_of_which_day_its_records_speak_and_of_districts_the_earliest() -> None:
    opened = Opened(500, (1,) * len(MANIFEST.themes), (Coverage.OK,) * len(MANIFEST.domains))
    parties = [PartyId(entry.party) for entry in MANIFEST.nodes]
    dates = {party: f"2026-10-{30 - place:02}" for place, party in enumerate(parties)}
    said = describe_answer(REQUEST, opened, "e", MANIFEST, CALIBRATION, 0, 7, NOW, dates).data_as_of
    by_domain = {
        domain: min(dates[PartyId(entry.party)] for entry in MANIFEST.nodes if entry.domain == domain)
        for domain in MANIFEST.domains
    }
    assert said == by_domain
    silent = describe_answer(REQUEST, opened, "e", MANIFEST, CALIBRATION, 0, 7, NOW, dates | {parties[0]: ""})
    assert MANIFEST.nodes[0].domain not in silent.data_as_of
