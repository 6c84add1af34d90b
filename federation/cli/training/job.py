"""One training job on one folder of node files: the federation made for it, the run, what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from federation.cli.output import errors
from federation.cli.training.baselines import Comparison, compare
from federation.cli.training.cards import write_card
from federation.cli.training.consortium import compare_consortium, consortium_results
from federation.cli.training.results import Results, build_results, write_results
from federation.local.consortium import train_consortium
from federation.local.federation import LocalFederation, Training
from federation.local.founding import create_federation, keep_bank_apis
from federation.local.layout import name_of, party_of
from federation.traffic import RoundEvent
from nodes.bank.training.split import Split, split_rows
from nodes.features import load_catalogue
from nodes.policy import PrivacyRules, TrainingRules, usual_policy
from nodes.sources import DatasetDescription
from nodes.sources.strays import stray_texts
from protocols.boosting.model import GROUP, SHARE, BoostingPlan
from protocols.boosting.splits import Shrinkage
from protocols.credit.binning import DEFAULT_RULES, BinningRules, Direction
from protocols.credit.logistic import Signs
from protocols.errors import ConfigurationError
from protocols.paillier.cores import Cores, available_cores
from protocols.privacy import NANO
from protocols.scorecard.model import TrainingPlan

USUAL_TREES: Final = 192
"""Trees a party grows at most, by default: what the default learning rate is made for."""

MOST_BOLD: Final = 0.3
"""The highest learning rate that few trees lead to."""

NOISY_TREES: Final = 40
"""Most trees a party grows where sums carry noise: each step more makes the noise of all wider."""

NOISY_SHARE: Final = 0.5
"""Share of its features that a tree is open to where sums carry noise: each feature more makes it wider, too."""


class Monotone(StrEnum):
    """Which way default rates may run along ordered features."""

    DECLARED = "declared"
    AUTO = "auto"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished job: its results, the run, the split and the comparison, for reports."""

    results: Results
    training: Training
    split: Split
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class Job:
    """One training job on one folder of node files, on so many cores or on all of this machine's.

    `earlier` is where a federation may lie that the new one follows: the banks' APIs go on from it, and what was
    reported to them goes before the labels of the files.
    """

    description: DatasetDescription
    test_size: float
    seed: int
    key_bits: int
    plan: TrainingPlan | BoostingPlan
    minimum_bin: int
    dataset: str
    cores: int | None = None
    earlier: Path | None = None

    def run(self, folder: Path, on_round: Callable[[RoundEvent], None], do_compare: bool) -> Outcome:
        """Create the federation in `folder`, train, and write `results.json` there."""
        self._found(folder)
        with Cores(self.cores or available_cores()), LocalFederation(folder, on_round=on_round) as federation:
            split = split_rows(federation.outcomes, self.test_size, self.seed)
            training = federation.train(split, self.plan, self.minimum_bin, self.dataset)
            comparison = None
            if do_compare:
                warn_of_pooling()
                comparison = compare(federation, training, split, self.minimum_bin, self.seed, self.plan)
            strays = stray_columns(federation)
        results = build_results(self.dataset, training, self.key_bits, self.plan, comparison)
        results = msgspec.structs.replace(results, warnings=(*results.warnings, *strays))
        write_card(folder, training.model)
        write_results(folder, results)
        return Outcome(results, training, split, comparison)

    def run_consortium(self, folder: Path, on_round: Callable[[RoundEvent], None], do_compare: bool) -> Results:
        """Do the same with several banks: one model, at each of them. Raises: ConfigurationError for boosted trees."""
        if not isinstance(self.plan, TrainingPlan):
            raise ConfigurationError("several banks train a scorecard together, no boosted trees", code="UNKNOWN_MODEL")
        if self.plan.signs is not Signs.FREE:
            raise ConfigurationError("--signs is for one bank: a consortium's are free", code="FREE_SIGNS")
        self._found(folder)
        with Cores(self.cores or available_cores()), LocalFederation(folder, on_round=on_round) as federation:
            outcomes = federation.bank_outcomes
            splits = {bank: split_rows(known, self.test_size, self.seed) for bank, known in outcomes.items()}
            training = train_consortium(federation, splits, self.plan, self.minimum_bin, self.dataset)
            comparison = None
            if do_compare:
                warn_of_pooling()
                comparison = compare_consortium(federation, training, splits, self.minimum_bin, self.seed)
            results = consortium_results(
                federation, training, splits, self.plan, self.minimum_bin, self.dataset, comparison, federation
            )
            warnings = (*results.warnings, *stray_columns(federation))
            results = msgspec.structs.replace(results, warnings=warnings)
        for held in training.banks.values():
            write_card(folder, held.model)
        write_results(folder, results)
        return results

    def _found(self, folder: Path) -> None:
        """Create the federation; every data owner's policy admits every bank."""
        self._check_regions()
        allowed = self._row_totals()
        rho = self.plan.rho / NANO
        rules = TrainingRules(
            minimum_bin=self.minimum_bin,
            minimum_nodes=min(3, len(self.description.nodes)),
            row_totals=allowed,
            row_totals_per_year=max(allowed, TrainingRules().row_totals_per_year),
            privacy=PrivacyRules(max(1.0, rho), rho) if rho else None,
        )
        policy = usual_policy(tuple(map(party_of, self.description.banks)), training=rules)
        create_federation(folder, self.description, self.key_bits, policy)
        if self.earlier is not None:
            keep_bank_apis(self.earlier, folder, self.description)

    def _check_regions(self) -> None:
        """Refuse what districts do not serve. Raises: ConfigurationError, codes DOMAIN_SPLIT, NO_NOISE."""
        plan = self.plan
        if self.description.regions and plan.rho:
            raise ConfigurationError(
                "--rho: sums of a domain that is split by region carry no noise, because the noise of all districts "
                "would add up; train without --rho, or let one node hold the domain",
                code="NO_NOISE",
            )
        pooled = isinstance(plan, TrainingPlan) and len(self.description.banks) == 1
        if self.description.regions and not pooled:
            raise ConfigurationError(
                "a domain that is split by region serves a scorecard of one bank on exact sums, nothing else yet",
                code="DOMAIN_SPLIT",
            )

    def _row_totals(self) -> int:
        """Return how many totals per enterprise every node's policy allows, and say so where it is more than usual."""
        usual = TrainingRules().row_totals
        if self.plan.row_totals > usual:
            errors.print(
                f"[bold yellow]--row-totals {self.plan.row_totals} opens as many totals of every enterprise to the "
                f"bank.[/] The usual policy allows {usual}; every data owner of this federation is set to allow it."
            )
        return max(usual, self.plan.row_totals)


def catalogue_themes() -> dict[tuple[str, str], str]:
    """Return the theme of each feature that the catalogue knows; others are reported under none."""
    return {(entry.domain, entry.name): entry.theme.value for entry in load_catalogue()}


def binning_rules(description: DatasetDescription, monotone: Monotone = Monotone.DECLARED) -> BinningRules:
    """Return how features are binned: what `domains.json` declares counts more than what the catalogue does."""
    if monotone is not Monotone.DECLARED:
        return replace(DEFAULT_RULES, direction=Direction(monotone.value))
    signs = {1: Direction.INCREASING, -1: Direction.DECREASING, 0: Direction.AUTO}
    catalogue = {(entry.domain, entry.name): signs[entry.sign] for entry in load_catalogue()}
    return replace(DEFAULT_RULES, directions=catalogue | dict(description.directions))


def declared_signs(rules: BinningRules) -> dict[tuple[str, str], int]:
    """Return the sign of the risk as a feature's values rise, of each feature for which one is declared."""
    signs = {Direction.INCREASING: 1, Direction.DECREASING: -1}
    return {key: signs[direction] for key, direction in rules.directions.items() if direction in signs}


def boosting_plan(
    trees: int,
    depth: int,
    learning_rate: float | None,
    row_totals: int,
    seed: int,
    rules: BinningRules = DEFAULT_RULES,
    rho: int = 0,
) -> BoostingPlan:
    """Return the plan of a boosting run; one with noise has one turn, and no more trees than noise leaves room for.

    By default, few trees are as bold as they must be to say what many would: by the root of how many fewer they are.
    Raises: ConfigurationError, code BAD_PLAN, for fewer trees than turns.
    """
    if rho:
        trees, row_totals = min(trees, NOISY_TREES), 1
    if trees < row_totals:
        raise ConfigurationError(f"--trees {trees} is fewer than one in each of {row_totals} turns", code="BAD_PLAN")
    group = min(GROUP, trees // row_totals)
    usual = Shrinkage().learning_rate * max(1.0, USUAL_TREES / trees) ** 0.5
    shrinkage = Shrinkage(learning_rate=learning_rate or min(MOST_BOLD, usual))
    return BoostingPlan(
        trees,
        depth,
        row_totals,
        group,
        share=NOISY_SHARE if rho else SHARE,
        seed=seed,
        shrinkage=shrinkage,
        themes=catalogue_themes(),
        rules=rules,
        signs=declared_signs(rules),
        rho=rho,
    )


def stray_columns(federation: LocalFederation) -> tuple[str, ...]:
    """Return what must be put right in the parties' files for a column to be read as numbers, file by file."""
    tables = {name_of(party): table for party, table in (federation.bank_tables | federation.tables).items()}
    return tuple(
        f"node_{name}: {text}" for name, table in sorted(tables.items()) for text in stray_texts(table.columns)
    )


def warn_of_pooling() -> None:
    """Say, loudly, what a comparison does."""
    errors.print(
        "[bold yellow]--compare pools every party's plaintext rows in this process as an oracle.[/] "
        "It breaks what a federation promises: never use it on data that may not be pooled."
    )
