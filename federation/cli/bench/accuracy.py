"""`credfed bench accuracy`: what the federation costs in accuracy, over settings that are drawn from seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import typer
from rich.table import Table

from federation.bench.settings import HARDSHIPS
from federation.cli.output import console, errors, print_json, reported_errors
from federation.cli.training.job import boosting_plan
from protocols.paillier.cores import available_cores
from protocols.scorecard.model import TrainingPlan

if TYPE_CHECKING:
    from federation.local.accuracy_bench import AccuracyFigures

MODELS: Final = ("scorecard", "boosting")
GOALS: Final = {"scorecard": 0.0005, "boosting": 0.005}
"""How much less than its oracle's a model's AUC may be."""

ONE_IN_TWENTY: Final = 1.64
"""Standard errors that chance alone exceeds, to one side, once in twenty."""


def accuracy(
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="Folder with domains.json; several may follow. A synthetic economy by default."),
    ] = None,
    model: Annotated[str, typer.Option("--model", help="scorecard or boosting.")] = "boosting",
    hardship: Annotated[
        list[str] | None, typer.Option("--hardship", help="As below; several may follow. All by default.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="How many settings of each kind.", min=1)] = 3,
    first_seed: Annotated[int, typer.Option("--first-seed", help="The first one's seed.", min=0)] = 0,
    trees: Annotated[int, typer.Option("--trees", help="Trees a party, for boosting.", min=4)] = 192,
    cores: Annotated[int, typer.Option("--cores", help="Settings to train on at once.", min=1)] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Compare the federation's models with the same families on pooled rows, on data as it is and made harder.

    Each seed draws a setting of its own: another split, other parties for the columns, other values that are missing.
    Boosting is compared with XGBoost on the same bins and depth, each tree on the features of one party; a scorecard
    with exact logistic regression on the same bins. All rows that do not train test, and ± is the standard error of
    the difference on them (DeLong). Models are those of the pooled twin, which a run equals to the last integer: so no
    key is made, and a setting takes seconds. Signs of the risk that a catalogue declares are left out, as the oracle
    does not know them.

    Hardships: "as it is", the split and model of `train` with the same --seed; "few firms", a fifth of them; "few
    defaults", one in four; "dealt", all columns to three to six parties at random; "dealt, few firms"; "half missing",
    of all values; "half absent", of the firms at each node.

    Example: `bench accuracy --data ../shared/data/default_credit --seeds 5 --hardship dealt`
    """
    with reported_errors(as_json):
        chosen = hardship or [*HARDSHIPS]
        if not set(chosen) <= set(HARDSHIPS):
            raise typer.BadParameter(f"known are {', '.join(HARDSHIPS)}", param_hint="--hardship")
        if model not in MODELS:
            raise typer.BadParameter(f"known are {', '.join(MODELS)}", param_hint="--model")
        plan = TrainingPlan(further=1) if model == "scorecard" else boosting_plan(trees, 3, None, 3, seed=0)
        drawn = range(first_seed, first_seed + seeds)
        from federation.local.accuracy_bench import measure_accuracy  # seconds to load, if it is measured

        with errors.status("training") as status:
            figures = measure_accuracy(
                data or [], chosen, drawn, plan, min(cores, available_cores()), lambda one: status.update(_line(one))
            )
    goal = GOALS[model]
    if as_json:
        below = sum(one.difference < -goal for one in figures)
        print_json({"model": model, "goal": goal, "mean": _mean(figures), "below_goal": below, "settings": figures})
    else:
        _show(figures, model, goal)


def _line(one: AccuracyFigures) -> str:
    return f"{one.dataset}, {one.hardship}, seed {one.seed}: {one.difference:+.4f} ± {one.error:.4f}"


def _mean(figures: list[AccuracyFigures]) -> float:
    return float(np.mean([one.difference for one in figures]))


def _show(figures: list[AccuracyFigures], model: str, goal: float) -> None:
    from federation.local.accuracy_bench import by_setting

    console.print(f"AUC of the federation's {model} less its oracle's, on all rows that did not train\n")
    table = Table("data", "setting", box=None)
    for heading in ("oracle", "mean", "worst", "±", "rows", "defaults"):
        table.add_column(heading, justify="right")
    for alike in by_setting(figures):
        worst = alike[0]
        table.add_row(
            worst.dataset,
            worst.hardship,
            f"{np.mean([one.oracle for one in alike]):.3f}",
            f"{_mean(alike):+.4f}",
            f"{worst.difference:+.4f}",
            f"{worst.error:.4f}",
            f"{worst.rows:,}",
            f"{worst.defaults:,}",
        )
    console.print(table)
    below = [one for one in figures if one.difference < -goal]
    beyond = sum(one.difference + ONE_IN_TWENTY * one.error < -goal for one in below)
    console.print(
        f"\nmean {_mean(figures):+.4f} over {len(figures)} settings; {len(below)} more than {goal} below, {beyond} of "
        "them beyond chance\n±, training rows and their defaults are those of the worst seed"
    )
