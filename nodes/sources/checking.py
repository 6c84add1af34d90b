"""A dry run of a source: how much of it is there, right, once and fresh, before any bank asks."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from nodes.features import FeatureDefinition, load_catalogue
from nodes.features.catalogue import Unit
from nodes.features.owned import FEATURES_FILE, FeaturesFile, OwnedFeature
from nodes.sources.dataset import DatasetDescription
from nodes.sources.records import Column, Records
from nodes.sources.strays import stray_texts
from nodes.sources.tables import is_identifier, read_raw, uses_usccs
from nodes.sources.views import read_views
from protocols import uscc

Definition = OwnedFeature | FeatureDefinition
NON_NEGATIVE: Final = frozenset({Unit.KWH, Unit.SHARE, Unit.COUNT, Unit.DAYS, Unit.MONTHS, Unit.PEOPLE})
WHOLE: Final = frozenset({Unit.COUNT, Unit.PEOPLE})


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """One feature over all rows. Units: shares from 0 to 1; `distinct` counts values."""

    name: str
    unit: str
    coverage: float
    valid: float
    distinct: int


@dataclass(frozen=True, slots=True)
class SourceReport:
    """A whole source. Units: shares from 0 to 1; `match_rate` is None without a list to match.

    `findings` are what an owner must put right before a bank may rely on it.
    """

    source: str
    rows: int
    enterprises: int
    valid_ids: float
    repeated_ids: int
    newest: datetime.date | None
    age_days: int | None
    match_rate: float | None
    features: tuple[FeatureReport, ...]
    findings: tuple[str, ...]


def check_source(
    description: DatasetDescription, domain: str, wanted: Collection[str], today: datetime.date
) -> SourceReport:
    """Return what a data node's source holds now; `wanted` are enterprises that banks will ask about.

    Raises: ConfigurationError if it cannot be read at all, or lacks a column.
    """
    path = description.source(domain)
    defined: Mapping[str, Definition]
    limit: int | None
    if (path / FEATURES_FILE).exists():
        file, records = read_views(path)
        defined, limit = {feature.name: feature for feature in file.features}, _limit(file)
    else:
        records = read_raw(description, domain)
        defined, limit = {feature.name: feature for feature in load_catalogue() if feature.domain == domain}, None
    names = description.domains[domain]
    features = tuple(_feature(name, records.columns[name], defined.get(name)) for name in names)
    return _report(path, records, features, wanted, limit, today)


def _report(
    path: Path,
    records: Records,
    features: tuple[FeatureReport, ...],
    wanted: Collection[str],
    limit: int | None,
    today: datetime.date,
) -> SourceReport:
    present = [identifier for identifier in records.ids if identifier is not None and is_identifier(identifier)]
    known = set(present)
    right = sum(map(uscc.is_valid, present)) if uses_usccs(present) else len(present)
    rows, repeated = len(records.ids), len(present) - len(known)
    age = None if records.newest is None else (today - records.newest).days
    findings = [f"{repeated} rows repeat an id"] if repeated else []
    findings += [f"{rows - right} ids are missing or wrong"] if right < rows else []
    findings += (
        [f"the newest record is {age} days old, more than {limit}"]
        if age is not None and limit is not None and age > limit
        else []
    )
    findings += [f"{entry.name} has no value at all" for entry in features if entry.coverage == 0]
    findings += [
        f"{entry.name} has values that its unit ({entry.unit}) cannot have" for entry in features if entry.valid < 1
    ]
    findings += stray_texts({entry.name: records.columns[entry.name] for entry in features if entry.unit != Unit.GRADE})
    findings += [f"{entry.name} has one value alone" for entry in features if entry.distinct == 1]
    return SourceReport(
        source=str(path),
        rows=rows,
        enterprises=len(known),
        valid_ids=_share(right, rows),
        repeated_ids=repeated,
        newest=records.newest,
        age_days=age,
        match_rate=_share(len(known & set(wanted)), len(set(wanted))) if wanted else None,
        features=features,
        findings=tuple(findings),
    )


def _feature(name: str, column: Column, definition: Definition | None) -> FeatureReport:
    unit = None if definition is None else definition.unit
    if column.dtype == object:
        values = [value for value in column.tolist() if value is not None]
        wrong = len(values) if unit is not None and unit is not Unit.GRADE else 0
        distinct = len(set(values))
        present = len(values)
    else:
        numbers = np.asarray(column, dtype=np.float64)
        numbers = numbers[~np.isnan(numbers)]
        codes = definition.special if isinstance(definition, OwnedFeature) else ()
        amounts = numbers[~np.isin(numbers, codes)]
        wrong, distinct, present = int(_wrong(amounts, unit).sum()), len(np.unique(numbers)), len(numbers)
    return FeatureReport(
        name=name,
        unit="" if unit is None else unit.value,
        coverage=_share(present, len(column)),
        valid=_share(present - wrong, present) if present else 1.0,
        distinct=distinct,
    )


def _wrong(
    numbers: np.ndarray[tuple[int], np.dtype[np.float64]], unit: Unit | None
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which numbers a unit cannot have: negative counts, shares above one, halves of a person."""
    wrong = ~np.isfinite(numbers)
    if unit in NON_NEGATIVE:
        wrong |= numbers < 0
    if unit is Unit.SHARE:
        wrong |= numbers > 1
    if unit in WHOLE:
        wrong |= numbers != np.floor(numbers)
    if unit is Unit.GRADE:
        wrong |= True
    return wrong


def _limit(file: FeaturesFile) -> int:
    """Return how old the newest record may be: as the feature says that is brought up to date most often."""
    return min(feature.refresh.days for feature in file.features)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
