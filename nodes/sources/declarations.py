"""What `domains.json` may declare of single features: how risk runs along them, and which values are codes.

    "monotone": {"arrears_days": "increasing", "tax.sales": "decreasing"},
    "special": {"utilisation": [-999, -998]}

A name alone stands for that column in every domain that has it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from protocols.credit.binning import Direction
from protocols.errors import ConfigurationError

MOST_SPECIAL = 16
Key = tuple[str, str]
V = TypeVar("V")


def read_directions(
    path: Path, declared: Mapping[str, str], domains: Mapping[str, tuple[str, ...]]
) -> dict[Key, Direction]:
    """Return by (domain, feature) how the bad rate must run. Raises: ConfigurationError, code BAD_DECLARATION."""
    known = ", ".join(direction.value for direction in Direction)
    for name, value in declared.items():
        if value not in set(Direction):
            raise ConfigurationError(f"{path}: monotone: {name!r} is none of {known}", code="BAD_DECLARATION")
    return {key: Direction(value) for key, value in _resolve(path, "monotone", declared, domains).items()}


def read_special(
    path: Path, declared: Mapping[str, list[float]], domains: Mapping[str, tuple[str, ...]]
) -> dict[Key, tuple[float, ...]]:
    """Return by (domain, feature) the values that are codes, in order. Raises: ConfigurationError."""
    for name, values in declared.items():
        if not 0 < len(set(values)) == len(values) <= MOST_SPECIAL or not all(map(math.isfinite, values)):
            raise ConfigurationError(
                f"{path}: special: {name!r} needs 1 to {MOST_SPECIAL} different numbers", code="BAD_DECLARATION"
            )
    return {key: tuple(sorted(v)) for key, v in _resolve(path, "special", declared, domains).items()}


def _resolve(
    path: Path, section: str, declared: Mapping[str, V], domains: Mapping[str, tuple[str, ...]]
) -> dict[Key, V]:
    """Return what is declared by (domain, feature); what names its domain counts more than what does not."""
    found: dict[Key, V] = {}
    for name, value in declared.items():
        keys = [(domain, name) for domain, columns in domains.items() if name in columns]
        if not keys and not any(f"{domain}.{c}" == name for domain, columns in domains.items() for c in columns):
            raise ConfigurationError(f"{path}: {section}: no domain has a column {name!r}", code="BAD_DECLARATION")
        found |= dict.fromkeys(keys, value)
    for domain, columns in domains.items():
        found |= {(domain, c): declared[f"{domain}.{c}"] for c in columns if f"{domain}.{c}" in declared}
    return found
