"""The feature catalogue: what each column means, who owns it, and what it may be used for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Final

import yaml

LABEL: Final = "default_12m"
"""The bank's label column: more than 90 days past due within twelve months of draw-down."""


class Theme(StrEnum):
    """The reasons an assessment may give."""

    TAX_COMPLIANCE = "tax_compliance"
    BUSINESS_SCALE = "business_scale"
    GROWTH = "growth"
    EMPLOYMENT = "employment"
    PAYMENT_DISCIPLINE = "payment_discipline"
    OPERATIONS = "operations"
    DEBT_BURDEN = "debt_burden"
    RELATIONSHIP = "relationship"


class Unit(StrEnum):
    """What a feature is counted in; `grade` marks a categorical one."""

    YUAN = "yuan"
    KWH = "kwh"
    SHARE = "share"
    RATIO = "ratio"
    COUNT = "count"
    DAYS = "days"
    MONTHS = "months"
    PEOPLE = "people"
    GRADE = "grade"


class Refresh(StrEnum):
    """How often the owner's records of a feature are brought up to date."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"

    @property
    def days(self) -> int:
        """Return after how many days records are older than they should be."""
        return {"daily": 2, "weekly": 10, "monthly": 45, "quarterly": 120, "yearly": 400}[self.value]


class Use(StrEnum):
    """What a feature may be used for."""

    TRAINING = "training"
    ASSESSMENT = "assessment"
    MONITORING = "monitoring"


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """One feature as its owner defines it.

    Units: `grade` is a security level from 1 to 5; `sign` is the risk as the value rises, +1, -1 or 0 (no direction).
    """

    name: str
    domain: str
    name_zh: str
    definition: str
    definition_zh: str
    unit: Unit
    grade: int
    refresh: Refresh
    owner: str
    legal_basis: str
    theme: Theme
    sign: int
    purposes: tuple[Use, ...]

    @property
    def is_categorical(self) -> bool:
        """Whether the column holds categories, not numbers."""
        return self.unit is Unit.GRADE


@cache
def load_catalogue() -> tuple[FeatureDefinition, ...]:
    """Read the catalogue this package ships, in the order in which domains list their features.

    Raises: ValueError if an entry lacks a key, has one too many, repeats a name or holds a value out of range.
    """
    text = resources.files("nodes.features").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    return parse_catalogue(text)


def parse_catalogue(text: str) -> tuple[FeatureDefinition, ...]:
    """Parse a catalogue in YAML. Raises: ValueError, as `load_catalogue` does."""
    entries = yaml.safe_load(text)
    if not isinstance(entries, list):
        raise ValueError("a catalogue is a list of features")
    features = tuple(_parse_entry(position, entry) for position, entry in enumerate(entries, start=1))
    if len({feature.name for feature in features}) != len(features):
        raise ValueError("a catalogue names each feature once")
    return features


def _parse_entry(position: int, entry: object) -> FeatureDefinition:
    expected = {field.name for field in fields(FeatureDefinition)}
    if not isinstance(entry, dict) or set(entry) != expected:
        raise ValueError(f"catalogue entry {position} must have exactly the keys {', '.join(sorted(expected))}")
    texts = [entry[key] for key in ("name", "domain", "name_zh", "definition", "definition_zh", "owner", "legal_basis")]
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"catalogue entry {position} has an empty text")
    if entry["grade"] not in range(1, 6) or entry["sign"] not in (-1, 0, 1) or not entry["purposes"]:
        raise ValueError(f"catalogue entry {position} needs a grade of 1 to 5, a sign of -1 to 1 and a purpose")
    return FeatureDefinition(
        name=entry["name"],
        domain=entry["domain"],
        name_zh=entry["name_zh"],
        definition=entry["definition"],
        definition_zh=entry["definition_zh"],
        unit=Unit(entry["unit"]),
        grade=entry["grade"],
        refresh=Refresh(entry["refresh"]),
        owner=entry["owner"],
        legal_basis=entry["legal_basis"],
        theme=Theme(entry["theme"]),
        sign=entry["sign"],
        purposes=tuple(Use(use) for use in entry["purposes"]),
    )
