"""`domains.json`: which party holds which columns, and which banks there are. It names columns, and holds no data."""

from __future__ import annotations

import codecs
import datetime
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import msgspec

from nodes.sources.declarations import Key, read_directions, read_special
from protocols.credit.binning import Direction
from protocols.errors import ConfigurationError

BANK_DOMAIN: Final = "bank"
SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")
MAX_NAME: Final = 256
_A_SLIP: Final = 0.7
_DOMAIN_NAME: Final = re.compile(r"\w[\w.-]{0,31}")


class _Description(msgspec.Struct, frozen=True):
    """All that `domains.json` says here. What else stands in it is for its readers: a source, columns nobody holds."""

    id: str
    label: str
    domains: dict[str, list[str]]
    banks: list[str] = []
    monotone: dict[str, str] = {}
    special: dict[str, list[float]] = {}
    regions: dict[str, list[str]] = {}
    as_of: datetime.date | None = None


@dataclass(frozen=True, slots=True)
class DatasetDescription:
    """A directory of node files. Shapes: `domains` maps each domain to its feature columns; the bank's may be empty.

    `banks` names the label files, `node_<bank>`; a bank that `domains` does not list has the columns of "bank".
    `directions` and `special` map (domain, column) to how the bad rate must run, and to the values that are codes.
    `regions` names the nodes of each domain that several share by region, of whom each holds other enterprises.
    `as_of` is the day as of which its table files speak; None for the day on which each was written.
    """

    directory: Path
    id_column: str
    label_column: str
    domains: dict[str, tuple[str, ...]]
    banks: tuple[str, ...] = (BANK_DOMAIN,)
    directions: Mapping[Key, Direction] = field(default_factory=dict)
    special: Mapping[Key, tuple[float, ...]] = field(default_factory=dict)
    regions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    as_of: datetime.date | None = None

    @property
    def nodes(self) -> dict[str, str]:
        """Return the domain of each data node; a node that has its domain to itself goes by the domain's name."""
        return {node: domain for domain in self.node_domains for node in self.regions.get(domain, (domain,))}

    def node_columns(self, node: str) -> tuple[str, ...]:
        """Return the feature columns of one data node."""
        return self.domains[self.nodes[node]]

    @property
    def node_domains(self) -> tuple[str, ...]:
        """Return the domains of data nodes, by name."""
        return tuple(sorted(domain for domain in self.domains if domain not in (BANK_DOMAIN, *self.banks)))

    def special_of(self, domain: str) -> dict[str, tuple[float, ...]]:
        """Return the values that are codes, by column of a domain."""
        return {column: values for (known, column), values in self.special.items() if known == domain}

    def bank_columns(self, bank: str) -> tuple[str, ...]:
        """Return the feature columns of one bank."""
        return self.domains.get(bank, self.domains.get(BANK_DOMAIN, ()))

    def source(self, domain: str) -> Path:
        """Return the file, or folder of raw records, that holds a domain. Raises: ConfigurationError."""
        stem = self.directory / f"node_{domain}"
        found = [path for path in (stem, *(Path(f"{stem}{suffix}") for suffix in SUFFIXES)) if path.exists()]
        if not found:
            names = ", ".join(f"node_{domain}{suffix}" for suffix in SUFFIXES)
            raise ConfigurationError(
                f"{self.directory}: no file for domain {domain} (looked for {names})", code="MISSING_FILE"
            )
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise ConfigurationError(f"{self.directory}: domain {domain} has several sources: {names}")
        return found[0]


def read_description(directory: Path) -> DatasetDescription:
    """Read and check `domains.json`. Raises: ConfigurationError naming the file and what is wrong in it."""
    path = directory / "domains.json"
    try:
        text = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        _check_keys(path, msgspec.json.decode(text, type=dict[str, msgspec.Raw]))
        raw = msgspec.json.decode(text, type=_Description)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read", code="MISSING_FILE") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    domains, banks = {d: tuple(c) for d, c in raw.domains.items()}, tuple(raw.banks) or (BANK_DOMAIN,)
    directions = read_directions(path, raw.monotone, domains)
    special = read_special(path, raw.special, domains)
    regions = {domain: tuple(nodes) for domain, nodes in raw.regions.items()}
    description = DatasetDescription(
        directory, raw.id, raw.label, domains, banks, directions, special, regions, raw.as_of
    )
    _check(path, description)
    return description


def _check_keys(path: Path, keys: Iterable[str]) -> None:
    """Return if no key is a slip in the spelling of one that says something here; any other is for readers alone.

    Raises: ConfigurationError, code UNKNOWN_KEY, with the key that was probably meant.
    """
    known = _Description.__struct_fields__
    for key in keys:
        meant = get_close_matches(key.lower(), known, n=1, cutoff=_A_SLIP)
        if meant and key not in known:
            raise ConfigurationError(f"{path}: unknown key {key!r}; did you mean {meant[0]!r}?", code="UNKNOWN_KEY")


def _check(path: Path, description: DatasetDescription) -> None:
    if description.id_column == description.label_column:
        raise ConfigurationError(f"{path}: column {description.id_column!r} is both the id and the label")
    for bank in description.banks:
        if not _DOMAIN_NAME.fullmatch(bank) or description.banks.count(bank) > 1:
            raise ConfigurationError(f"{path}: {bank!r} cannot name a bank, or does so twice", code="UNKNOWN_DOMAIN")
    for domain, columns in description.domains.items():
        if not _DOMAIN_NAME.fullmatch(domain):
            raise ConfigurationError(f"{path}: {domain!r} cannot name a domain", code="UNKNOWN_DOMAIN")
        for column in columns:
            if not 0 < len(column) <= MAX_NAME:
                raise ConfigurationError(f"{path}: domain {domain} lists a column name of {len(column)} characters")
            if column in (description.id_column, description.label_column):
                raise ConfigurationError(f"{path}: domain {domain} lists {column!r}, the id or label, as a feature")
            if columns.count(column) > 1:
                raise ConfigurationError(f"{path}: domain {domain} lists column {column!r} twice")
        if not columns and domain not in (BANK_DOMAIN, *description.banks):
            raise ConfigurationError(f"{path}: domain {domain} has no columns", code="EMPTY_NODE")
    _check_regions(path, description)
    if not description.node_domains:
        raise ConfigurationError(f"{path}: no domain but the bank's", code="EMPTY_NODE")
    _check_files(description)


def _check_regions(path: Path, description: DatasetDescription) -> None:
    """Return if each split domain is one of data nodes, and names two nodes or more, of which none goes twice."""
    names = [node for nodes in description.regions.values() for node in nodes]
    for domain, nodes in description.regions.items():
        if domain not in description.node_domains or len(nodes) < 2:
            raise ConfigurationError(
                f"{path}: regions of {domain!r}: not a data node's domain, or fewer than two nodes",
                code="UNKNOWN_DOMAIN",
            )
    for node in names:
        taken = node in (*description.domains, *description.banks, BANK_DOMAIN) or names.count(node) > 1
        if taken or not _DOMAIN_NAME.fullmatch(node):
            raise ConfigurationError(f"{path}: {node!r} cannot name a node, or does so twice", code="UNKNOWN_DOMAIN")


def _check_files(description: DatasetDescription) -> None:
    """Return if every node file belongs to a known domain. Raises: ConfigurationError, code UNKNOWN_DOMAIN."""
    known = {*description.nodes, *description.banks, BANK_DOMAIN}
    for file in sorted(description.directory.glob("node_*")):
        name = file.name.removeprefix("node_")
        if not any(name == domain or name.startswith(f"{domain}.") for domain in known):
            raise ConfigurationError(
                f"{file}: its domain is unknown to domains.json (known: {', '.join(description.domains)})",
                code="UNKNOWN_DOMAIN",
            )
