"""`features.yaml`: an owner's own features as SQL views over its own tables, each with what it is and on what grounds.

The views run in the owner's database, or over the Parquet files beside the file; they need not match anybody else's
schema. The last one, `features`, gives one row per enterprise.
"""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import yaml
from msgspec import Meta

from nodes.features.catalogue import Refresh, Theme, Unit, Use
from protocols.errors import ConfigurationError
from protocols.scorecard.messages import MOST_SPECIAL

FEATURES_FILE: Final = "features.yaml"
FEATURES_VIEW: Final = "features"
BAD_FEATURES: Final = "BAD_FEATURES"
Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
Text = Annotated[str, Meta(min_length=1, max_length=4096)]


class OwnedFeature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One feature: a column of the view `features`, and what an auditor asks about it.

    Units: `grade` is a security level from 1 to 5; `sign` is the risk as the value rises, +1, -1 or 0 (no direction).
    `special` lists numbers that are codes, not amounts: they stand outside the order.
    """

    name: Name
    definition: Text
    unit: Unit
    grade: Annotated[int, Meta(ge=1, le=5)]
    refresh: Refresh
    owner: Text
    legal_basis: Text
    purposes: Annotated[tuple[Use, ...], Meta(min_length=1)]
    sign: Literal[-1, 0, 1]
    theme: Theme | None = None
    definition_zh: str = ""
    special: Annotated[tuple[float, ...], Meta(max_length=MOST_SPECIAL)] = ()

    @property
    def is_categorical(self) -> bool:
        """Whether the column holds categories, not numbers."""
        return self.unit is Unit.GRADE


class View(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One SELECT under a name, which later views may use. `:as_of` in it is the as-of date."""

    name: Name
    sql: Text


class FeaturesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `features.yaml` says.

    `source` is the URL of a database (`postgresql+psycopg://…`, `mysql+pymysql://…`) without its password, which stands
    alone in `password_file`; by default the Parquet files beside this file are the tables. `newest` is a SELECT of the
    date of the newest record.
    """

    id: Name
    views: Annotated[tuple[View, ...], Meta(min_length=1)]
    features: Annotated[tuple[OwnedFeature, ...], Meta(min_length=1)]
    source: str = ""
    password_file: str = ""
    as_of: datetime.date | None = None
    newest: str = ""

    def statement(self) -> str:
        """Return one statement: all views under their names, and the rows of the last."""
        views = ",\n".join(f"{view.name} AS (\n{view.sql.strip().rstrip(';')}\n)" for view in self.views)
        return f"WITH {views}\nSELECT * FROM {FEATURES_VIEW}"


def read_features_file(path: Path) -> FeaturesFile:
    """Return what a `features.yaml` says. Raises: ConfigurationError, code BAD_FEATURES, saying what is wrong in it."""
    try:
        file = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), FeaturesFile)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read", code=BAD_FEATURES) from error
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}", code=BAD_FEATURES) from error
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError) as error:  # PyYAML lets these out, of dates too
        raise ConfigurationError(f"{path}: not YAML in UTF-8", code=BAD_FEATURES) from error
    _check(path, file)
    return file


def _check(path: Path, file: FeaturesFile) -> None:
    for kind, names in (
        ("view", [view.name for view in file.views]),
        ("feature", [file.id, *(feature.name for feature in file.features)]),
    ):
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f"{path}: the {kind} {name!r} occurs twice", code=BAD_FEATURES)
    for feature in file.features:
        codes = feature.special
        if len(set(codes)) < len(codes) or not all(map(math.isfinite, codes)) or (codes and feature.is_categorical):
            text = f"{path}: the feature {feature.name!r}: special lists different numbers, of a feature in numbers"
            raise ConfigurationError(text, code=BAD_FEATURES)
    if file.views[-1].name != FEATURES_VIEW:
        raise ConfigurationError(f"{path}: the last view is named {FEATURES_VIEW!r}", code=BAD_FEATURES)
    if file.source and not file.source.startswith(("postgresql+psycopg://", "mysql+pymysql://")):
        raise ConfigurationError(
            f"{path}: source: neither postgresql+psycopg:// nor mysql+pymysql://", code=BAD_FEATURES
        )
