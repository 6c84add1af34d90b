"""What a run, and each of its releases, takes from the yearly budgets that an owner's policy sets."""

from __future__ import annotations

import msgspec

from nodes.budgets import Budget, Charge
from nodes.data_node.site import NodeSite
from nodes.policy import Request, TrainingRules, decide
from protocols.consent import Purpose
from protocols.scorecard.messages import LeakClass, RunSpec


def run_charges(rules: TrainingRules, spec: RunSpec) -> tuple[Charge, ...]:
    """Return what the whole run may take: its year must have room for all of it, or it is not admitted."""
    return (Charge(Budget.ROW_TOTALS, spec.row_totals, rules.row_totals_per_year),)


def release_charges(rules: TrainingRules, leak: LeakClass) -> tuple[Charge, ...]:
    """Return what one release takes."""
    totals = int(leak is LeakClass.ROW_TOTALS)
    return (Charge(Budget.ROW_TOTALS, totals, rules.row_totals_per_year),)


class YearAccount(msgspec.Struct, frozen=True):
    """What a bank has spent at one data node in a calendar year, and may spend. Units: totals per enterprise."""

    row_totals_spent: int
    row_totals_per_year: int


def year_account(site: NodeSite, bank: str) -> YearAccount:
    """Return a bank's account at a node, in the year that the node's clock shows."""
    spent = site.ledger.spending.spent(bank, site.clock())
    rule = decide(site.policy, Request(bank, Purpose.TRAINING)).rule
    return YearAccount(spent[Budget.ROW_TOTALS], 0 if rule is None else rule.training.row_totals_per_year)
