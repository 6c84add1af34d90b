"""What a bank's own systems get for one assessment: the result, or why there is none."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Literal

import msgspec

from protocols.assessment.layout import Coverage, Opened
from protocols.assessment.manifest import Manifest
from protocols.channel.identity import PartyId
from protocols.credit.logistic import Calibration
from protocols.credit.scale import grade, probability_of_default, score

VALID_DAYS = 30
ADVISORY = "advisory only: a person decides on the loan"


class ThemeResult(msgspec.Struct, frozen=True):
    """One reason: the mean band of points lost on it over its nodes, from 0 (none) to 3 (many)."""

    theme: str
    severity: int


class AssessmentResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one assessment. Units: `pd` a probability; `score` points, higher is safer; times ISO 8601 UTC.

    `objection_pending` says that the enterprise objects to records that this rests on, or to how they were used, and
    that it is not decided yet; not which office's.
    Reveals: to the bank, the score of an enterprise that consented; never a feature or a node's own part of it.
    """

    request: str
    enterprise: str
    status: Literal["ok", "denied", "failed"]
    code: str = ""
    denied_by: dict[str, str] = {}
    pd: float | None = None
    score: int | None = None
    grade: str | None = None
    themes: tuple[ThemeResult, ...] = ()
    coverage: dict[str, str] = {}
    model: str = ""
    as_of: str = ""
    data_as_of: dict[str, str] = {}
    valid_until: str = ""
    receipt: int | None = None
    objection_pending: bool = False
    advice: str = ADVISORY


def describe_answer(
    request: str,
    opened: Opened,
    enterprise: str,
    manifest: Manifest,
    calibration: Calibration,
    own_points: int,
    receipt: int,
    now: int,
    as_of: Mapping[PartyId, str] | None = None,
) -> AssessmentResult:
    """Return the result that an opened sum, and the bank's own points, amount to; no score if no node knows it.

    `as_of` is as of when each node's records speak; of a domain's districts the earliest date counts.
    """
    dates = _dates(manifest, as_of or {})
    coverage = {domain: s.name.lower() for domain, s in zip(manifest.domains, opened.coverage, strict=True)}
    if Coverage.OK not in opened.coverage:
        return AssessmentResult(
            request=request,
            enterprise=enterprise,
            status="failed",
            code="INSUFFICIENT_COVERAGE",
            coverage=coverage,
            model=manifest.model_hash().hex(),
            receipt=receipt,
            data_as_of=dates,
            objection_pending=opened.objected,
        )
    log_odds = calibration.intercept + calibration.slope * (opened.total + own_points)
    pd = probability_of_default(log_odds)
    today = datetime.datetime.fromtimestamp(now, datetime.UTC)
    themes = (
        ThemeResult(theme.code, round(bands / theme.nodes))
        for theme, bands in zip(manifest.themes, opened.themes, strict=True)
    )
    return AssessmentResult(
        request=request,
        enterprise=enterprise,
        status="ok",
        pd=pd,
        score=round(score(log_odds)),
        grade=grade(pd).value,
        themes=tuple(sorted(themes, key=lambda theme: -theme.severity)),
        coverage=coverage,
        model=manifest.model_hash().hex(),
        as_of=today.date().isoformat(),
        valid_until=(today + datetime.timedelta(days=VALID_DAYS)).date().isoformat(),
        receipt=receipt,
        data_as_of=dates,
        objection_pending=opened.objected,
    )


def _dates(manifest: Manifest, as_of: Mapping[PartyId, str]) -> dict[str, str]:
    said: dict[str, list[str]] = {}
    for entry in manifest.nodes:
        said.setdefault(entry.domain, []).append(as_of.get(PartyId(entry.party), ""))
    return {domain: min(dates) for domain, dates in said.items() if all(dates)}


def describe_denial(
    request: str, enterprise: str, manifest: Manifest, denials: Mapping[PartyId, str]
) -> AssessmentResult:
    """Return that nodes, or the coordinator, have denied the answer, each with its code."""
    domains = {entry.party: entry.domain for entry in manifest.nodes}
    denied = {domains.get(party, party): code for party, code in denials.items()}
    return AssessmentResult(
        request=request,
        enterprise=enterprise,
        status="denied",
        code=min(denied.values()),
        denied_by=denied,
        coverage={domains[party]: "refused" for party in denials if party in domains},
        model=manifest.model_hash().hex(),
    )


def describe_failure(request: str, enterprise: str, manifest: Manifest, code: str) -> AssessmentResult:
    """Return why there is no answer: one that did not verify, or nodes that did not answer (NODE_MISSING)."""
    model = manifest.model_hash().hex()
    return AssessmentResult(request=request, enterprise=enterprise, status="failed", code=code, model=model)
