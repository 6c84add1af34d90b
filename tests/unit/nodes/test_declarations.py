"""What `domains.json` declares of a feature reaches that feature, and a slip in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.cli.training.job import Monotone, binning_rules
from nodes.sources import read_description
from protocols.credit.binning import Direction
from protocols.errors import ConfigurationError

DOMAINS = (
    '"id": "id", "label": "bad", "domains": {"tax": ["sales", "age"], "social": ["age", "staff"], "bank": ["age"]}'
)


def written(folder: Path, more: str) -> Path:
    (folder / "domains.json").write_text(f"{{{DOMAINS}, {more}}}", encoding="utf-8")
    return folder


def test_a_name_alone_stands_for_every_domain_and_a_full_one_counts_more(tmp_path: Path) -> None:
    description = read_description(
        written(tmp_path, '"monotone": {"age": "increasing", "tax.age": "none", "staff": "decreasing"}')
    )
    assert description.directions == {
        ("tax", "age"): Direction.NONE,
        ("social", "age"): Direction.INCREASING,
        ("bank", "age"): Direction.INCREASING,
        ("social", "staff"): Direction.DECREASING,
    }


def test_domains_json_counts_more_than_the_catalogue_and_a_choice_more_than_both(tmp_path: Path) -> None:
    folder = written(tmp_path, '"monotone": {"sales": "decreasing"}')
    rules = binning_rules(read_description(folder))
    assert rules.directions["tax", "sales"] is Direction.DECREASING
    assert rules.directions["tax", "vat_sales_12m"] is Direction.DECREASING
    assert rules.direction is Direction.AUTO
    free = binning_rules(read_description(folder), Monotone.NONE)
    assert (free.direction, dict(free.directions)) == (Direction.NONE, {})


@pytest.mark.parametrize(
    "more",
    [
        '"monotone": {"sales": "up"}',
        '"monotone": {"turnover": "increasing"}',
        '"monotone": {"social.sales": "increasing"}',
        '"special": {"sales": []}',
        '"special": {"sales": [-1, -1]}',
        '"special": {"turnover": [-1]}',
        '"special": {"sales": ["x"]}',
    ],
)
def test_a_slip_is_refused_and_the_file_named(tmp_path: Path, more: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read_description(written(tmp_path, more))
    assert "domains.json" in str(refusal.value)
