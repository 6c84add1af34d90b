"""`credfed train`: a model from files that stay with their parties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from federation.cli.cards import write_card
from federation.cli.consortium import compare_consortium, consortium_results
from federation.cli.events import Started, event_log
from federation.cli.output import console, errors, print_json, quiet_libraries, reported_errors
from federation.cli.progress import round_progress
from federation.cli.results import BankResult, Comparison, PrivacyResult, Results, build_results, compare
from federation.cli.train_deployed import train_deployed
from federation.cli.workspace import whole_folder
from federation.local import BANK, LocalFederation, Training, create_federation, party_of, split_rows, train_consortium
from federation.local.layout import read_federation
from federation.outlook import Outlook, stages_of
from federation.rounds import RoundEvent
from nodes.bank.model_file import BOOSTING, SCORECARD
from nodes.bank.training import Split
from nodes.features import load_catalogue
from nodes.policy import PrivacyRules, TrainingRules, usual_policy
from nodes.sources import DatasetDescription, read_description
from protocols.boosting.model import GROUP, BoostingPlan
from protocols.boosting.splits import Shrinkage
from protocols.credit.binning import DEFAULT_RULES, BinningRules, Direction
from protocols.credit.logistic import Signs
from protocols.errors import ConfigurationError
from protocols.paillier.cores import Cores, available_cores
from protocols.privacy import NANO
from protocols.scorecard.model import TrainingPlan

FAMILIES = (SCORECARD, BOOSTING)


class Monotone(StrEnum):
    """Which way default rates may run along ordered features."""

    DECLARED = "declared"
    AUTO = "auto"
    NONE = "none"


KEY_BITS = typer.Option("--key-bits", help="Length of every Paillier key: 2048 or more.", min=2048, max=8192)
CORES = typer.Option("--cores", help="Cores to compute on; all of this machine's by default.", min=1)
SEED = typer.Option("--seed", help="Seed of the train/test split.", min=0, max=2**32 - 1)


def train(
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with domains.json and one node_<domain> file a party.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the federation, its model and results.json.")
    ] = None,
    federation: Annotated[
        Path | None, typer.Option("--federation", help="In place of both: a federation that `credfed up` has started.")
    ] = None,
    model: Annotated[str, typer.Option("--model", help="Model family: scorecard or boosting.")] = "scorecard",
    test_size: Annotated[float, typer.Option("--test-size", help="Share of rows that only test the model.")] = 0.3,
    seed: Annotated[int, SEED] = 0,
    key_bits: Annotated[int, KEY_BITS] = 2048,
    refinements: Annotated[
        int,
        typer.Option(
            "--refinements", help="Newton refinements; each opens one total per enterprise to the bank.", min=0, max=2
        ),
    ] = 1,
    min_bin: Annotated[
        int, typer.Option("--min-bin", help="k: the fewest enterprises that any released sum covers.", min=2)
    ] = 50,
    trees: Annotated[int, typer.Option("--trees", help="Boosting: trees a party grows at most.", min=1)] = 192,
    depth: Annotated[int, typer.Option("--depth", help="Boosting: levels of splits in a tree.", min=1, max=6)] = 3,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", help="Boosting: share of its step that one tree takes.", min=0.01, max=1)
    ] = 0.07,
    monotone: Annotated[
        Monotone,
        typer.Option(
            "--monotone",
            help="How default rates run along a feature: as the catalogue and domains.json declare and else one way, "
            "always the better one way, or freely.",
        ),
    ] = Monotone.DECLARED,
    signs: Annotated[
        Signs,
        typer.Option("--signs", help="Scorecard: whether coefficients may be negative; constraining costs some AUC."),
    ] = Signs.FREE,
    rho: Annotated[
        float,
        typer.Option(
            "--rho",
            help="Scorecard: differential privacy (zCDP) that each node spends on noise in this run; 0: exact sums.",
            min=0,
            max=1000,
        ),
    ] = 0,
    row_totals: Annotated[
        int,
        typer.Option("--row-totals", help="Boosting: turns; each opens one total per enterprise.", min=1, max=16),
    ] = 3,
    cores: Annotated[int | None, CORES] = None,
    do_compare: Annotated[
        bool, typer.Option("--compare", help="Also train on POOLED PLAINTEXT as an oracle. For demonstration only.")
    ] = False,
    events: Annotated[
        Path | None, typer.Option("--events", help="Write what happens to this file, one JSON object a line.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json instead of tables.")] = False,
) -> None:
    """Train a credit scorecard, or boosted trees, on encrypted aggregates of every party's own file.

    DATA holds domains.json ({"id": …, "label": …, "domains": {domain: columns}}) and, for each party,
    node_<domain>.csv, .csv.gz or .parquet; the label only in node_bank. A domain may be split by region: "regions":
    {"tax": ["tax_north", "tax_south"]}, with one file a region. With "banks": ["bank_a", "bank_b"] each bank
    has a label file of its own, node_bank_a and so on, and they train one scorecard together, each with its own key.
    Each party reads its own file alone; what passes between them are Flower messages with ciphertexts under keys of
    2048 bits or more.

    Writes to OUT: results.json, the bank's model and its card, every party's keys and ledger, the coordinator's log.
    Exit code 2 for bad input, naming file, column and row; 1 for a run that a party breaks, naming the party and the
    round; OUT then stays as it was. --events follows the run: phase, round, parties, bytes, seconds, seconds left.
    """
    quiet_libraries()
    with reported_errors(as_json):
        if model not in FAMILIES:
            raise ConfigurationError(f"unknown model {model!r}; known: {', '.join(FAMILIES)}", code="UNKNOWN_MODEL")
        if not 0 < test_size < 1:
            raise ConfigurationError(f"--test-size {test_size} is not between 0 and 1", code="BAD_SPLIT")
        if rho and model != SCORECARD:
            raise ConfigurationError("--rho is for --model scorecard: boosting adds no noise", code="NO_NOISE")
        description = _description(data, out, federation)
        plan = (
            TrainingPlan(
                refinements=refinements,
                rules=binning_rules(description, monotone),
                themes=catalogue_themes(),
                rho=round(rho * NANO),
                signs=signs,
            )
            if model == SCORECARD
            else boosting_plan(trees, depth, learning_rate, row_totals, seed, binning_rules(description, monotone))
        )
        if data is None or out is None:
            _train_up(federation or Path(), model, plan, test_size, seed, min_bin, events, as_json)
            return
        dataset = data.resolve().name
        with event_log(events, Started(dataset, model)) as record, whole_folder(out, data) as folder:
            job = Job(description, test_size, seed, key_bits, plan, min_bin, dataset, cores)
            with round_progress(as_json, Outlook(stages_of(plan)), record) as on_round:
                together = len(description.banks) > 1
                results = (
                    job.run_consortium(folder, on_round, do_compare)
                    if together
                    else job.run(folder, on_round, do_compare).results
                )
        if as_json:
            print_json(results)
        else:
            show_results(results, out)


def _description(data: Path | None, out: Path | None, federation: Path | None) -> DatasetDescription:
    """Return what describes the data. Raises: ConfigurationError unless it is said once where those are."""
    if data is not None and out is not None and federation is None:
        return read_description(data)
    if data is None and out is None and federation is not None:
        return read_description(federation / read_federation(federation).data)
    raise ConfigurationError("either --data and --out, or --federation, say what to train on", code="USAGE")


def _train_up(
    federation: Path,
    model: str,
    plan: TrainingPlan | BoostingPlan,
    test_size: float,
    seed: int,
    min_bin: int,
    events: Path | None,
    as_json: bool,
) -> None:
    """Train over the processes of a federation that is up, and show what came of it."""
    with (
        event_log(events, Started(federation.resolve().name, model)) as record,
        round_progress(as_json, Outlook(stages_of(plan)), record) as on_round,
    ):
        results = train_deployed(federation.resolve(), plan, test_size, seed, min_bin, on_round)
    if as_json:
        print_json(results)
    else:
        show_results(results, federation)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished job: its results, the run, the split and the comparison, for reports."""

    results: Results
    training: Training
    split: Split
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class Job:
    """One training job on one folder of node files, on so many cores or on all of this machine's."""

    description: DatasetDescription
    test_size: float
    seed: int
    key_bits: int
    plan: TrainingPlan | BoostingPlan
    minimum_bin: int
    dataset: str
    cores: int | None = None

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
        results = build_results(self.dataset, training, self.key_bits, self.plan, comparison)
        write_card(folder, training.model)
        _write_results(folder, results)
        return Outcome(results, training, split, comparison)

    def run_consortium(self, folder: Path, on_round: Callable[[RoundEvent], None], do_compare: bool) -> Results:
        """Do the same with several banks: one model, at each of them. Raises: ConfigurationError for boosted trees."""
        if not isinstance(self.plan, TrainingPlan):
            raise ConfigurationError("several banks train a scorecard together, no boosted trees", code="UNKNOWN_MODEL")
        if self.plan.rho:
            raise ConfigurationError("--rho is for one bank: a consortium's sums carry no noise", code="NO_NOISE")
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
                federation, training, splits, self.plan, self.minimum_bin, self.dataset, comparison
            )
        for held in training.banks.values():
            write_card(folder, held.model)
        _write_results(folder, results)
        return results

    def _found(self, folder: Path) -> None:
        """Create the federation; every data owner's policy admits every bank."""
        self._check_regions()
        allowed = self._row_totals()
        rho = self.plan.rho / NANO if isinstance(self.plan, TrainingPlan) else 0
        rules = TrainingRules(
            minimum_bin=self.minimum_bin,
            minimum_nodes=min(3, len(self.description.nodes)),
            row_totals=allowed,
            row_totals_per_year=max(allowed, TrainingRules().row_totals_per_year),
            privacy=PrivacyRules(max(1.0, rho), rho) if rho else None,
        )
        policy = usual_policy(tuple(map(party_of, self.description.banks)), training=rules)
        create_federation(folder, self.description, self.key_bits, policy)

    def _check_regions(self) -> None:
        """Refuse what districts do not serve. Raises: ConfigurationError, code DOMAIN_SPLIT."""
        plan = self.plan
        pooled = isinstance(plan, TrainingPlan) and not plan.rho and len(self.description.banks) == 1
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


def _write_results(folder: Path, results: Results) -> None:
    (folder / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")


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
    trees: int, depth: int, learning_rate: float, row_totals: int, seed: int, rules: BinningRules = DEFAULT_RULES
) -> BoostingPlan:
    """Return the plan of a boosting run. Raises: ConfigurationError, code BAD_PLAN, for fewer trees than turns."""
    if trees < row_totals:
        raise ConfigurationError(f"--trees {trees} is fewer than one in each of {row_totals} turns", code="BAD_PLAN")
    group = min(GROUP, trees // row_totals)
    shrinkage = Shrinkage(learning_rate=learning_rate)
    return BoostingPlan(
        trees,
        depth,
        row_totals,
        group,
        seed=seed,
        shrinkage=shrinkage,
        themes=catalogue_themes(),
        rules=rules,
        signs=declared_signs(rules),
    )


def warn_of_pooling() -> None:
    """Say, loudly, what a comparison does."""
    errors.print(
        "[bold yellow]--compare pools every party's plaintext rows in this process as an oracle.[/] "
        "It breaks what a federation promises: never use it on data that may not be pooled."
    )


def show_results(results: Results, out: Path) -> None:
    """Print what a person wants to know of a run."""
    table = Table(title=f"{results.dataset}: {results.rows_train:,} training rows, {results.rows_test:,} test rows")
    for heading in ("on the test rows", "AUC", "KS"):
        table.add_column(heading, justify="left" if heading == "on the test rows" else "right")
    for name, auc, ks in comparison_rows(results):
        table.add_row(name, *(f"{v:.4f}" if v is not None else "–" for v in (auc, ks)))
    console.print(table)
    selected = sum(feature.selected for feature in results.features)
    leaks = ", ".join(f"{count} × {leak}" for leak, count in results.leaks.items())
    console.print(
        f"{selected} of {len(results.features)} features selected · {results.rounds} rounds · "
        f"{sum(results.bytes_sent.values()) / 1e6:,.1f} MB sent · {sum(results.seconds.values()):,.1f} s"
    )
    console.print(f"revealed to the bank: {leaks}")
    if results.privacy is not None:
        console.print(describe_privacy(results.privacy))
    for warning in results.warnings:
        errors.print(f"[yellow]warning[/] {warning}")
    bank = party_of(next(iter(results.banks))) if results.banks else BANK
    console.print(f"written to {out}: results.json, {bank}/model.json, {bank}/model_card.html, coordinator/log.sqlite")


def describe_privacy(privacy: PrivacyResult) -> str:
    """Return what the noise promises, in one line."""
    return (
        f"noise on every sum: rho {privacy.rho:g} a node, that is epsilon {privacy.epsilon:.2f} at delta "
        f"{privacy.delta:g}; totals of enterprises are exact (docs/privacy.md)"
    )


def comparison_rows(results: Results) -> list[tuple[str, float | None, float | None]]:
    """Return name, AUC and KS of each model that was measured."""
    if results.banks is not None:
        return _consortium_rows(results, results.banks)
    rows = [
        ("bank alone", results.auc_bank_only, results.ks_bank_only),
        ("federation", results.auc, results.ks),
        ("all data pooled, same model", results.auc_centralised, results.ks_centralised),
        ("all data pooled, boosting by domain", results.auc_additive, results.ks_additive),
        ("all data pooled, gradient boosting", results.auc_gradient_boosting, results.ks_gradient_boosting),
    ]
    if results.auc_additive is None:
        del rows[3]
    if results.auc_without_noise is not None:
        rows.insert(3, ("all data pooled, same model without noise", results.auc_without_noise, None))
    return rows if results.auc_centralised is not None else rows[:2]


def _consortium_rows(results: Results, banks: dict[str, BankResult]) -> list[tuple[str, float | None, float | None]]:
    """Return what each bank has alone and with the others, on its own test rows, and what all have on all of theirs."""
    rows: list[tuple[str, float | None, float | None]] = []
    for bank, found in banks.items():
        rows.append((f"{bank} alone", found.auc_alone, None))
        if found.auc_separate is not None:
            rows.append((f"{bank}, all nodes, its own rows", found.auc_separate, None))
        rows.append((f"{bank} in the consortium", found.auc, None))
    rows.append(("consortium, all banks' test rows", results.auc, results.ks))
    if results.auc_centralised is not None:
        rows.append(("all data pooled, same model", results.auc_centralised, results.ks_centralised))
        rows.append(("all data pooled, gradient boosting", results.auc_gradient_boosting, results.ks_gradient_boosting))
    return rows
