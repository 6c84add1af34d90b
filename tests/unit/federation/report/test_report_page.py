"""The page: self-contained, unbreakable by foreign texts, whole for every shape of run."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest
from html_page import HOSTILE, LOADING, Page, check
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import assessments, features, many_features, parties, sample, scored, undetermined

from federation.report import BANK_ALONE, FEDERATION, Comparison, Feature, PartyRole, PartyView, RunReport, render
from federation.report.notation import NOT_AVAILABLE, width
from federation.report.wording import denial, leak
from protocols.scorecard.messages import LeakClass


def with_text(text: str) -> RunReport:
    """Return a run in which every text that comes from elsewhere is `text`."""
    base = sample(60)
    return replace(
        base,
        title=text,
        dataset=text,
        generated=text,
        model_hash=text,
        comparisons=(Comparison(text, 0.7, 0.3), *base.comparisons),
        features=(
            *(replace(f, domain=text, name=text, title=text, theme=text) for f in features()[:2]),
            Feature(text, text, text, 0.6, False, text, text, ()),
            replace(features()[4], bins=tuple(replace(b, label=text) for b in features()[4].bins)),
        ),
        parties=tuple(replace(p, party=text, holds=text, sees=(text,), never_sees=(text,)) for p in parties()),
        assessments=tuple(
            replace(
                a, enterprise=text, code=text, grade=text, themes=((text, 2),), coverage=((text, text),), receipt=text
            )
            for a in assessments()
        ),
        phases=((text, 1.0),),
        leaks=((text, 1),),
        log_root=text,
        warnings=(text,),
    )


def test_a_plausible_run_shows_its_figures() -> None:
    report = sample()
    page = check(render(report))
    text = page.text
    assert f"{report.validation.auc:.3f}" in text
    assert f"{report.validation.ks:.3f}" in text
    assert report.model_hash in text
    assert report.log_root in text
    for feature in report.features:
        assert feature.name in text
    for answer in report.assessments:
        assert answer.enterprise in text
    assert "CONSENT_MISSING" in text
    assert "Advisory only" in text


def test_the_same_run_gives_the_same_page() -> None:
    assert render(sample()) == render(sample())


def test_warnings_come_before_everything_else() -> None:
    html = render(replace(sample(), warnings=("first warning", "second warning")))
    assert html.index('role="alert"') < html.index("first warning") < html.index("second warning") < html.index("<h1")
    assert 'role="alert"' not in render(replace(sample(), warnings=()))


def test_a_comparison_that_pooled_the_data_says_so() -> None:
    assert "is an oracle" in check(render(sample())).text
    alone = tuple(model for model in sample().comparisons if model.name in (BANK_ALONE, FEDERATION))
    assert "is an oracle" not in check(render(replace(sample(), comparisons=alone))).text


@pytest.mark.parametrize(
    "limit",
    ["A node can lie within its range", "all data nodes but one exposes that one", "Aggregates are still information"],
)
def test_what_is_not_protected_is_said(limit: str) -> None:
    assert limit in check(render(sample())).text


def test_the_policy_in_the_page_allows_its_own_style_sheet_and_nothing_else() -> None:
    html = render(sample())
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert style
    assert policy
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy[1]
    assert "default-src 'none'" in policy[1]
    assert "script-src" not in policy[1]


def test_a_feature_named_like_a_script_is_shown_as_text() -> None:
    page = check(render(with_text(HOSTILE)))
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text


def test_a_name_cannot_reorder_or_hide_what_stands_beside_it() -> None:
    html = render(with_text("safe\u202eelbisivni\u200b\x00\ud800"))
    check(html)
    assert not set(html) & {"\u202e", "\u200b", "\x00", "\ud800"}
    assert "safe\ufffdelbisivni\ufffd\ufffd\ufffd" in html


@settings(max_examples=20, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=40))
def test_no_text_breaks_the_page(text: str) -> None:
    html = render(with_text(text))
    page = Page(html)
    html.encode("utf-8")
    assert not {tag for tag, _ in page.elements} & LOADING


@pytest.mark.parametrize("outcome", [0, 1])
@pytest.mark.parametrize("rows", [1, 3, 400])
def test_one_outcome_alone_is_said_and_not_drawn(rows: int, outcome: int) -> None:
    page = check(render(undetermined(rows, outcome)))
    assert "do not hold both outcomes" in page.text
    assert page.text.count("Not determined") >= 2
    assert NOT_AVAILABLE in page.text


def test_no_test_rows_at_all() -> None:
    page = check(render(undetermined(0, 0)))
    assert [text.strip() for text in page.texts].count("no enterprise") == 9


def test_no_selected_feature() -> None:
    dropped = tuple(replace(f, selected=False, reason="no more than chance") for f in features())
    page = check(render(replace(sample(), features=dropped)))
    assert "No feature was selected" in page.text
    assert page.text.count("no more than chance") == len(dropped)
    assert page.text.count("No feature of this domain is in the model.") == 5


def test_an_empty_run_is_still_a_page() -> None:
    empty = replace(
        sample(5), comparisons=(), features=(), parties=(), assessments=(), phases=(), leaks=(), log_size=0, log_root=""
    )
    text = check(render(empty)).text
    assert "No enterprise was assessed" in text
    assert "No feature was offered" in text
    assert "No other model was computed" in text


def test_sixty_features_with_long_names() -> None:
    page = check(render(replace(sample(), features=many_features(60))))
    for feature in many_features(60):
        assert feature.name in page.text
    assert sum(1 for identity in page.values("id") if re.fullmatch(r"woe-\d+-t", identity)) == 60


def test_a_hundred_data_nodes_are_counted_not_crowded() -> None:
    office = parties()[0]
    crowd = tuple(replace(office, party=f"office_{i}") for i in range(100))
    page = check(render(replace(sample(), parties=(*crowd, *parties()[4:]))))
    assert "93 more" in page.text
    assert "100 data nodes" in page.text


def test_a_federation_without_a_named_coordinator_or_bank_is_drawn() -> None:
    alone = PartyView("tax", PartyRole.DATA_NODE, "records", (), (), 0, 0, 0)
    text = check(render(replace(sample(), parties=(alone,)))).text
    assert "With 1 data node," in text


@pytest.mark.parametrize("rows", [5, 200_000])
def test_the_page_does_not_grow_with_the_rows(rows: int) -> None:
    scores, bad = scored(rows)
    html = render(replace(sample(), test_scores=scores, test_bad=bad))
    check(html)
    assert len(html) < 250_000


def test_an_extreme_score_stays_on_its_scale() -> None:
    for score in (-5_000.0, 12_345.0):
        extreme = replace(assessments()[0], score=score, grade="C")
        page = check(render(replace(sample(), assessments=(extreme,))))
        (marker,) = [e for e in page.elements if e[1].get("class") == "marker-line"]
        assert 0 <= float(marker[1]["x1"] or "nan") <= 480


def test_a_refusal_shows_its_code_and_no_score() -> None:
    page = check(render(replace(sample(), assessments=assessments()[3:])))
    assert denial("CONSENT_MISSING") in page.text
    assert "Advisory only" not in page.text
    assert not [identity for identity in page.values("id") if identity.startswith("scale-")]


def test_a_suspiciously_strong_feature_is_flagged() -> None:
    leaky = (replace(features()[0], iv=0.62), *features()[1:])
    warning = "check for a leak of the outcome: bank.max_dpd_24m"
    assert warning in check(render(replace(sample(), features=leaky))).text
    assert warning not in check(render(sample())).text


def test_every_leak_class_of_the_protocols_is_explained() -> None:
    unknown = leak("no such class")
    assert all(leak(str(name)) != unknown for name in LeakClass)


@pytest.mark.parametrize("code", ["CONSENT_MISSING", "CONSENT_EXPIRED", "CONSENT_SCOPE", "CONSENT_INVALID", "QUOTA"])
def test_every_usual_refusal_is_explained(code: str) -> None:
    assert denial(code)


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    base = sample(10)
    with pytest.raises(ValueError, match="do not match"):
        replace(base, test_bad=np.zeros(9, dtype=np.int64))
    with pytest.raises(ValueError, match="not finite"):
        replace(base, test_scores=np.full(10, np.nan))
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        replace(base, test_bad=np.full(10, 2))


def test_scores_and_outcomes_stay_out_of_repr() -> None:
    assert "test_scores" not in repr(sample(10))
    assert "test_bad" not in repr(sample(10))


def test_names_beside_bars_keep_both_ends_and_fit() -> None:
    page = check(render(replace(sample(), features=many_features(3))))
    short = [text for text in page.texts if text.startswith("a_rather") and "…" in text]
    assert short
    assert all(width(text) <= 28 and text.endswith("months") for text in short)
