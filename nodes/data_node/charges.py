"""What a run, and each of its releases, takes from the yearly budgets that an owner's policy sets."""

from __future__ import annotations

import msgspec

from nodes.budgets import Budget, Charge
from nodes.data_node.site import NodeSite
from nodes.policy import Request, TrainingRules, decide
from protocols.boosting.messages import BoostingSpec
from protocols.boosting.noise import TreeNoise
from protocols.consent import Purpose
from protocols.privacy import NANO
from protocols.scorecard.messages import LeakClass, RunSpec
from protocols.scorecard.noise import RunNoise


def run_charges(rules: TrainingRules, spec: RunSpec) -> tuple[Charge, ...]:
    """Return what the whole run may take: its year must have room for all of it, or it is not admitted."""
    return _charges(rules, spec.row_totals, spec.rho)


def release_charges(rules: TrainingRules, spec: RunSpec, step: str, leak: LeakClass) -> tuple[Charge, ...]:
    """Return what the release of one step takes: a total of each enterprise, or the share of ρ that its noise bought.

    Raises: ValueError for a step that has no share.
    """
    noise = TreeNoise.of(spec) if isinstance(spec, BoostingSpec) else RunNoise.of(spec)
    return _charges(rules, int(leak is LeakClass.ROW_TOTALS), noise.share(step))


def _charges(rules: TrainingRules, row_totals: int, rho: int) -> tuple[Charge, ...]:
    totals = Charge(Budget.ROW_TOTALS, row_totals, rules.row_totals_per_year)
    return (totals,) if rules.privacy is None else (totals, Charge(Budget.PRIVACY, rho, rules.privacy.per_year()))


class YearAccount(msgspec.Struct, frozen=True):
    """What a bank has spent at one data node in a calendar year, and may spend.

    Units: totals per enterprise; ρ of zero-concentrated differential privacy, `rho_per_year` null without a budget.
    """

    row_totals_spent: int
    row_totals_per_year: int
    rho_spent: float = 0.0
    rho_per_year: float | None = None


def year_account(site: NodeSite, bank: str) -> YearAccount:
    """Return a bank's account at a node, in the year that the node's clock shows."""
    spent = site.ledger.spending.spent(bank, site.clock())
    rule = decide(site.policy, Request(bank, Purpose.TRAINING)).rule
    rules = TrainingRules(row_totals_per_year=0) if rule is None else rule.training
    per_year = rules.privacy.rho_per_year if rules.privacy else None
    return YearAccount(spent[Budget.ROW_TOTALS], rules.row_totals_per_year, spent[Budget.PRIVACY] / NANO, per_year)
