"""What the page says in words: its opening sentence, reasons, refusals, leak classes."""

from __future__ import annotations

import math
from typing import Final

from federation.report.data import BANK_ALONE, FEDERATION, POOLED, RunReport
from federation.report.notation import decimal, signed
from protocols.assessment import refusals
from protocols.channel.identity import PartyRole

_LEAKS: Final = {
    "none": "nothing beyond that a message was sent",
    "aggregate": "sums over many enterprises, never over one",
    "row_totals": "one whole number for each consenting enterprise, summed over all nodes, as in an assessment",
    "row_partition": "which enterprises fall on which side of a node's split",
    "embedding": "numbers that a node's own network made of an enterprise's records",
}

_WEIGHTS: Final = ("no concern", "minor concern", "moderate concern", "major concern")


def words(code: str) -> str:
    """Return a code such as `payment_discipline` as words."""
    return code.replace("_", " ")


def weight(band: int) -> str:
    """Return a theme's band, 0 to 3, in words."""
    return _WEIGHTS[min(max(band, 0), len(_WEIGHTS) - 1)]


def pips(band: int) -> str:
    """Return a theme's band as three dots."""
    filled = min(max(band, 0), 3)
    return "●" * filled + "○" * (3 - filled)


def denial(code: str) -> str:
    """Return what a refusal's code means; nothing for a code that has no text."""
    return refusals.english(code)


def leak(name: str) -> str:
    """Return what one release of a leak class reveals."""
    return _LEAKS.get(name, "a class this page has no text for; see the run's manifest")


def summary(report: RunReport) -> str:
    """Return the opening sentences: how well the federation ranks, against the bank alone and against pooled data."""
    auc = {model.name: model.auc for model in report.comparisons if model.auc is not None}
    ours, alone, pooled = auc.get(FEDERATION, report.validation.auc), auc.get(BANK_ALONE), auc.get(POOLED)
    offices = sum(party.role not in (PartyRole.BANK, PartyRole.COORDINATOR) for party in report.parties)
    if not math.isfinite(ours):
        return "The test rows do not hold both outcomes, so how well this model ranks risk cannot be measured."
    held = "1 data node" if offices == 1 else f"{offices} data nodes"
    text = f"With {held}, none of which handed over a record, the model ranks risk with an AUC of {decimal(ours)}."
    if alone is not None and math.isfinite(alone):
        text += f" The bank alone reaches {decimal(alone)}: a difference of {signed(ours - alone)}."
    if pooled is not None and math.isfinite(pooled):
        text += f" The same model on all data in one place would reach {decimal(pooled)}."
    return text
