"""`credfed train`: a model from files that stay with their parties."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from federation.cli.endings import interruptions_told
from federation.cli.events import Started, event_log
from federation.cli.output import print_json, quiet_libraries, reported_errors
from federation.cli.progress import round_progress
from federation.cli.training.deployed import is_banks_own, train_deployed, train_enrolled
from federation.cli.training.job import USUAL_TREES, Job, Monotone, binning_rules, boosting_plan, catalogue_themes
from federation.cli.training.placing import require_family, require_place
from federation.cli.training.shown import show_results
from federation.cli.workspace import whole_folder
from federation.local.layout import read_federation
from federation.outlook import Outlook, stages_of
from federation.process.settings import read_settings
from nodes.bank.model.file import SCORECARD
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.sources import DatasetDescription, read_description
from protocols.boosting.model import BoostingPlan
from protocols.credit.logistic import Signs
from protocols.errors import ConfigurationError
from protocols.privacy import NANO
from protocols.scorecard.model import TrainingPlan

KEY_BITS = typer.Option("--key-bits", help="Length of every Paillier key: 2048 or more.", min=2048, max=8192)
CORES = typer.Option("--cores", help="Cores to compute on; all of this machine's by default.", min=1)
SEED = typer.Option("--seed", help="Seed of the train/test split.", min=0, max=2**32 - 1)


def train(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with domains.json and one node_<domain> file a party.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the federation, its model and results.json.")
    ] = None,
    federation: Annotated[
        Path | None,
        typer.Option(
            "--federation",
            help="In place of both: a federation that `credfed up` has started, or a bank's own directory, enrolled.",
        ),
    ] = None,
    consent: Annotated[
        str | None,
        typer.Option("--consent", help="From a bank's own directory: the consent for its cohort, or a file with it."),
    ] = None,
    model: Annotated[str, typer.Option("--model", help="Model family: scorecard or boosting.")] = "scorecard",
    test_size: Annotated[float, typer.Option("--test-size", help="Share of rows that only test the model.")] = 0.3,
    seed: Annotated[int, SEED] = 0,
    key_bits: Annotated[int, KEY_BITS] = 2048,
    refinements: Annotated[
        int | None,
        typer.Option(
            "--refinements",
            help="Scorecard: Newton refinements; each opens one total per enterprise to the bank. By default one, and "
            "a second where the first has moved the scores far.",
            min=0,
            max=2,
        ),
    ] = None,
    min_bin: Annotated[
        int, typer.Option("--min-bin", help="k: the fewest enterprises that any released sum covers.", min=2)
    ] = 50,
    trees: Annotated[int, typer.Option("--trees", help="Boosting: trees a party grows at most.", min=1)] = USUAL_TREES,
    depth: Annotated[int, typer.Option("--depth", help="Boosting: levels of splits in a tree.", min=1, max=6)] = 3,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            help="Boosting: share of its step that one tree takes; .07 by default, more of fewer than 192 trees.",
            min=0.01,
            max=1,
        ),
    ] = None,
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
            help="Differential privacy (zCDP) that each node spends on noise in this run; 0: exact sums. Boosting then "
            "takes one turn, of 40 trees a party at most.",
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

    Outcomes that were reported to the bank's REST API go before the labels of its file: of an earlier federation at
    OUT, which the new one replaces, the banks' APIs are kept; with --federation, they are those of its bank.

    Writes to OUT: results.json, the bank's model and its card, every party's keys and ledger, the coordinator's log.
    Exit code 2 for bad input, naming file, column and row; 1 for a run that a party breaks, naming the party and the
    round; OUT then stays as it was. --events follows the run: phase, round, parties, bytes, seconds, seconds left.
    """
    quiet_libraries()
    with reported_errors(as_json), interruptions_told():
        require_family(context, model)
        if not 0 < test_size < 1:
            raise ConfigurationError(f"--test-size {test_size} is not between 0 and 1", code="BAD_SPLIT")
        if not (math.isfinite(rho) and math.isfinite(learning_rate or 0)):
            raise ConfigurationError("--rho and --learning-rate are numbers", code="USAGE")
        description = _description(data, out, federation)
        require_place(context, founds=data is not None, enrolled=federation is not None and is_banks_own(federation))
        rules, spent = binning_rules(description, monotone), round(rho * NANO)
        plan = (
            TrainingPlan(
                refinements=1 if refinements is None else refinements,
                further=int(refinements is None and not rho and len(description.banks) == 1),
                rules=rules,
                themes=catalogue_themes(),
                rho=spent,
                signs=signs,
            )
            if model == SCORECARD
            else boosting_plan(trees, depth, learning_rate, row_totals, seed, rules, spent)
        )
        if data is None or out is None:
            _train_up(federation or Path(), model, plan, (test_size, seed, min_bin), consent, events, as_json)
            return
        dataset = data.resolve().name
        with event_log(events, Started(dataset, model)) as record, whole_folder(out, data) as folder:
            job = Job(description, test_size, seed, key_bits, plan, min_bin, dataset, cores, out)
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
        if is_banks_own(federation):
            return read_description(federation / read_settings(federation / BANK_FILE, BankSettings).data)
        return read_description(federation / read_federation(federation).data)
    raise ConfigurationError("either --data and --out, or --federation, say what to train on", code="USAGE")


def _train_up(
    federation: Path,
    model: str,
    plan: TrainingPlan | BoostingPlan,
    terms: tuple[float, int, int],
    consent: str | None,
    events: Path | None,
    as_json: bool,
) -> None:
    """Train over the processes of a federation, and show what came of it; `terms` are test size, seed and k."""
    home = federation.resolve()
    with (
        event_log(events, Started(federation.resolve().name, model)) as record,
        round_progress(as_json, Outlook(stages_of(plan)), record) as on_round,
    ):
        if is_banks_own(home):
            results = train_enrolled(home, plan, *terms, consent, on_round)
        else:
            results = train_deployed(home, plan, *terms, on_round)
    if as_json:
        print_json(results)
    else:
        show_results(results, federation, own=is_banks_own(home))
