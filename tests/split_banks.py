"""Splits a data set of one bank into one of several, by customers: each gets a label file, all nodes keep theirs."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path


def split_bank(data: Path, shares: Mapping[str, float], shared: int = 0) -> None:
    """Replace `node_bank.csv` by one file a bank, rows dealt out in turn; the first `shared` rows go to every bank.

    `shares` maps bank names to their shares of the rows; `domains.json` then names them under "banks".
    """
    path = data / "node_bank.csv"
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    total, dealt = sum(shares.values()), dict.fromkeys(shares, 0.0)
    held: dict[str, list[list[str]]] = {bank: list(rows[:shared]) for bank in shares}
    for row in rows[shared:]:
        for bank, share in shares.items():
            dealt[bank] += share / total
        poorest = max(dealt, key=lambda bank: dealt[bank])
        dealt[poorest] -= 1.0
        held[poorest].append(row)
    for bank, kept in held.items():
        with (data / f"node_{bank}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *kept])
    path.unlink()
    description = json.loads((data / "domains.json").read_text(encoding="utf-8"))
    text = json.dumps(description | {"banks": list(shares)}, ensure_ascii=False)
    (data / "domains.json").write_text(text, encoding="utf-8")
