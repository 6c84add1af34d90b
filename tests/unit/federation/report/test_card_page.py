"""The model card's page: self-contained, unbreakable by foreign texts, whole for every shape of model."""

from __future__ import annotations

import base64
import hashlib
import re

import msgspec
import pytest
from card_samples import of_trees, sample, validation, with_text
from html_page import HOSTILE, LOADING, Page, check
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.report.card import points_tables, render_card
from federation.report.card_data import CardGroup, ModelCard, gains, verdict
from federation.report.card_text import summary


def replaced(**changes: object) -> ModelCard:
    return msgspec.structs.replace(sample(), **changes)


def test_a_plausible_card_shows_its_figures() -> None:
    card = sample()
    text = check(render_card(card)).text
    found = card.validation
    for shown in (
        f"{found.auc:.3f}",
        f"{found.ks:.3f}",
        f"{found.stability.index:.3f}",
        card.model,
        card.created,
        card.data_as_of,
        card.outcome,
        f"{card.base_score:.1f}",
    ):
        assert shown in text
    for feature in card.features:
        assert feature.name in text
    for words in (*card.intended_use, *card.not_for, *card.limits, *card.not_protected):
        assert words in text
    for node in card.nodes:
        assert node.part in text


def test_every_step_of_a_selected_feature_is_in_the_points_table() -> None:
    card = sample()
    page = check(render_card(card))
    tables = points_tables([feature for feature in card.features if feature.selected])
    rows = [row for members in tables.values() for table in members for row in table.rows]
    assert len(rows) == sum(len(feature.bins) for feature in card.features if feature.selected)
    assert sum(1 for _, attributes in page.elements if attributes.get("class") == "points") == len(rows)
    for members in tables.values():
        ranges = [table.feature.range for table in members]
        assert ranges == sorted(ranges, reverse=True)


def test_the_same_card_gives_the_same_page() -> None:
    assert render_card(sample()) == render_card(sample())


def test_the_policy_in_the_page_allows_its_own_style_sheet_and_nothing_else() -> None:
    html = render_card(sample())
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in html
    assert "script-src" not in html


def test_warnings_come_before_everything_else() -> None:
    html = render_card(replaced(warnings=("first warning", "second warning")))
    assert html.index('role="alert"') < html.index("first warning") < html.index("second warning") < html.index("<h1")
    assert 'role="alert"' not in render_card(sample())


def test_a_feature_named_like_a_script_is_shown_as_text() -> None:
    page = check(render_card(with_text(HOSTILE)))
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text


def test_a_name_cannot_reorder_or_hide_what_stands_beside_it() -> None:
    html = render_card(with_text("safe\u202eelbisivni\u200b\x00\ud800"))
    check(html)
    assert not set(html) & {"\u202e", "\u200b", "\x00", "\ud800"}


@settings(max_examples=20, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=40))
def test_no_text_breaks_the_page(text: str) -> None:
    html = render_card(with_text(text))
    page = Page(html)
    html.encode("utf-8")
    assert not {tag for tag, _ in page.elements} & LOADING


@pytest.mark.parametrize("outcome", [0, 1])
@pytest.mark.parametrize("rows", [1, 3, 400])
def test_one_outcome_alone_is_said_and_not_drawn(rows: int, outcome: int) -> None:
    page = check(render_card(replaced(validation=validation(rows, outcome=outcome))))
    assert "cannot be measured" in page.text
    assert page.text.count("Not determined") >= 2


def test_a_model_of_trees_shows_what_is_there() -> None:
    page = check(render_card(of_trees()))
    assert "The trees" in page.text
    assert "154.2" in page.text
    assert "Boosted trees on" in page.text
    assert "has no coefficients" in page.text
    assert "Coefficient" not in page.text.replace("coefficients", "")
    assert f"{of_trees().validation.auc:.3f}" in page.text
    assert "points" not in page.values("class")


def test_steps_of_a_model_of_trees_are_shown_without_points_that_they_do_not_have() -> None:
    page = check(render_card(replaced(family="boosting", constant=None)))
    assert "no table of points" in page.text
    assert "base points" not in page.text
    assert "Points" in check(render_card(sample())).text.split("Steps of the selected features")[1]
    assert "Points" not in page.text.split("Steps of the selected features")[1]


def test_no_selected_feature() -> None:
    dropped = tuple(msgspec.structs.replace(f, selected=False, reason="no more than chance") for f in sample().features)
    page = check(render_card(replaced(features=dropped)))
    assert "every enterprise scores 212.3" in page.text
    assert page.text.count("no more than chance") == len(dropped)


def test_no_leak_no_domain_and_no_node_is_still_a_page() -> None:
    page = check(render_card(replaced(leaks=(), nodes=(), coverage=(), features=(), dataset="", data_as_of="")))
    assert "None was recorded" in page.text
    assert "not stated" in page.text


@pytest.mark.parametrize(
    ("moved", "expected", "said"),
    [(0.0, "stable", "like the training rows"), (0.5, "watch", "somewhat unlike"), (1.5, "retrain", "train again")],
)
def test_the_verdict_on_stability_is_said(moved: float, expected: str, said: str) -> None:
    card = replaced(validation=validation(moved=moved))
    assert card.validation.stability.verdict == expected
    assert said in summary(card)
    badges = [value for value in check(render_card(card)).values("class") if value.startswith("badge")]
    assert badges == [f"badge {expected}"]


@pytest.mark.parametrize(
    ("index", "expected"), [(0.0999, "stable"), (0.1, "watch"), (0.25, "watch"), (0.2501, "retrain")]
)
def test_the_bounds_of_the_verdict(index: float, expected: str) -> None:
    assert verdict(index) == expected


@pytest.mark.parametrize(
    ("slope", "said"),
    [(0.44, "too extreme"), (1.0, "as spread as they should be"), (1.6, "too alike"), (None, "cannot")],
)
def test_the_spread_of_the_pds_is_said(slope: float | None, said: str) -> None:
    changed = msgspec.structs.replace(sample().validation, calibration_slope=slope)
    assert said in summary(replaced(validation=changed))


def test_too_few_deciles_for_a_third_are_not_told_as_one() -> None:
    assert "The riskiest 30" in summary(sample())
    one = msgspec.structs.replace(sample().validation, gains=gains([CardGroup.of("1", 60, 12, 0.2)]))
    assert "The riskiest" not in summary(replaced(validation=one))


def test_a_negative_coefficient_is_flagged() -> None:
    features = list(sample().features)
    features[0] = msgspec.structs.replace(features[0], coefficient=-0.314)
    page = check(render_card(replaced(features=tuple(features))))
    assert "−0.314" in page.text
    assert "flag" in page.values("class")


def test_gains_count_up_to_everything() -> None:
    rows = gains([CardGroup.of("1", 50, 10, 0.2), CardGroup.of("2", 0, 0, None), CardGroup.of("3", 150, 10, 0.06)])
    assert [(row.decile, row.share, row.caught, row.lift) for row in rows] == [(1, 0.25, 0.5, 2.0), (2, 1.0, 1.0, 1.0)]
    assert gains([CardGroup.of("1", 5, 0, 0.1)])[0].lift == 0.0


def test_an_empty_group_has_no_rate() -> None:
    assert CardGroup.of("AAA", 0, 0, None).outcome() is None
    full = CardGroup.of("AAA", 200, 4, 0.02).outcome()
    assert full is not None
    assert full.agrees
    assert full.low < full.observed == 0.02 < full.high


def test_the_card_reads_back_from_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(sample()), type=ModelCard) == sample()
