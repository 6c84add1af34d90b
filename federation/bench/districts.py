"""Files of a made-up cohort in which the tax domain is split over district offices: as a province has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

FEATURES: Final[Mapping[str, int]] = {
    "bank": 2,
    "tax": 4,
    "social": 3,
    "housing_fund": 2,
    "electricity": 3,
    "customs": 2,
}
"""Features by domain: the bank's own, and those of five domains."""

DOMAINS: Final = tuple(domain for domain in FEATURES if domain != "bank")
ABSENT: Final = 0.1


def offices(nodes: int) -> dict[str, tuple[str, ...]]:
    """Return the offices of each domain for so many data nodes, the tax domain having all that are left over.

    Four nodes are four domains, each whole; more are five, the first of which is split. Raises: ValueError under four.
    """
    if nodes < len(DOMAINS) - 1:
        raise ValueError(f"{nodes} data nodes are fewer than {len(DOMAINS) - 1}")
    domains = DOMAINS[: min(nodes, len(DOMAINS))]
    districts = nodes - len(domains) + 1
    names = tuple(f"tax_{number:02}" for number in range(1, districts + 1)) if districts > 1 else ("tax",)
    return {domain: names if domain == "tax" else (domain,) for domain in domains}


def write_districts(folder: Path, rows: int, nodes: int, seed: int = 20261122, banks: int = 1) -> None:
    """Write `domains.json` and one file for each office; each office has its own share of the enterprises.

    Several banks, bank_1 and so on, have a share of the enterprises each.
    """
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    risk = generator.normal(size=rows)
    ids = [f"E{row:07}" for row in range(rows)]
    split = offices(nodes)
    lenders = ["bank"] if banks == 1 else [f"bank_{number}" for number in range(1, banks + 1)]
    described = {}
    for domain, count in FEATURES.items():
        if domain != "bank" and domain not in split:
            continue
        names = [f"{domain}_{number}" for number in range(count)]
        described[domain] = names
        values = risk[:, None] * generator.uniform(0.2, 0.8, count) + generator.normal(size=(rows, count))
        if domain == "bank":
            bad = (risk + generator.normal(size=rows) > 1.2).astype(int)
            lines = [f"{ids[row]},{bad[row]},{_cells(values[row])}" for row in range(rows)]
            for number, name in enumerate(lenders):
                _write(folder / f"node_{name}.csv", ["id", "defaulted", *names], lines[number::banks])
            continue
        known = np.flatnonzero(generator.random(rows) >= ABSENT)
        whose = generator.integers(0, len(split[domain]), rows)
        for number, office in enumerate(split[domain]):
            lines = [f"{ids[row]},{_cells(values[row])}" for row in known if whose[row] == number]
            _write(folder / f"node_{office}.csv", ["id", *names], lines)
    regions = {domain: names for domain, names in split.items() if len(names) > 1}
    several = {"banks": lenders} if banks > 1 else {}
    text = json.dumps({"id": "id", "label": "defaulted", "domains": described, "regions": regions} | several)
    (folder / "domains.json").write_text(text, encoding="utf-8")


def _cells(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return ",".join(f"{value:.6f}" for value in values)


def _write(path: Path, header: list[str], lines: list[str]) -> None:
    path.write_text("\n".join([",".join(header), *lines]) + "\n", encoding="utf-8")
