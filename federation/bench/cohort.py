"""Files of a made-up cohort for timing a training: 23 numeric features over a bank and its nodes, one latent risk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

SHARED: Mapping[str, int] = {"bank": 5, "tax": 6, "social": 6, "utility": 6}
"""Features by domain: 23 over four parties."""

WIDE: Mapping[str, int] = {"bank": 0, "tax": 23, "social": 1}
"""All 23 features at one node; the other is there since a lone node's totals would be hidden by nothing."""

TEST_SHARE = 0.1


def write_cohort(folder: Path, training_rows: int, domains: Mapping[str, int], seed: int = 20240601) -> int:
    """Write `domains.json` and one file a party, and return how many rows: those to train on and a tenth for testing.

    Every feature is the risk and noise, without ties: 32 fine bins each, filled evenly.
    """
    folder.mkdir(parents=True)
    rows = training_rows + int(TEST_SHARE * training_rows)
    generator = np.random.default_rng(seed)
    risk = generator.normal(size=rows)
    bad = (risk + generator.normal(size=rows) > 1.2).astype(int)
    columns: dict[str, list[str]] = {}
    for domain, count in domains.items():
        names = [f"{domain}_{number}" for number in range(count)]
        strengths = generator.uniform(0.1, 0.8, count)
        values = risk[:, None] * strengths + generator.normal(size=(rows, count))
        header = ["id", *names] if domain != "bank" else ["id", "defaulted", *names]
        label = [] if domain != "bank" else [bad]
        lines = [",".join(header)]
        for row in range(rows):
            cells = [f"E{row:07}", *(str(column[row]) for column in label), *(f"{value:.6f}" for value in values[row])]
            lines.append(",".join(cells))
        (folder / f"node_{domain}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        columns[domain] = names
    description = {"id": "id", "label": "defaulted", "domains": columns}
    (folder / "domains.json").write_text(json.dumps(description), encoding="utf-8")
    return rows
