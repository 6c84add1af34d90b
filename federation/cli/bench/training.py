"""`credfed bench training`: what training costs here, by the real parties over a local federation."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from federation.cli.output import console, errors, print_json, quiet_libraries, reported_errors
from federation.local.layout import BANK
from federation.local.training_bench import JOBS, TrainingFigures, TrainingReport, measure_training


def training(
    rows: Annotated[list[int] | None, typer.Option("--rows", help="Rows to train on; several may follow.")] = None,
    more_rows: Annotated[list[int] | None, typer.Argument(metavar="[ROWS]...", show_default=False)] = None,
    key_bits: Annotated[int, typer.Option("--key-bits", help="Length of every key.", min=1024)] = 2048,
    jobs: Annotated[
        list[str] | None, typer.Option("--job", help="scorecard, tree or boosting; all by default.")
    ] = None,
    cores: Annotated[int, typer.Option("--cores", help="Cores to compute on.", min=1)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Time a scorecard, one tree and a boosting run on a made-up cohort of 23 features.

    The real parties train over a local federation: three data nodes, a bank, the coordinator, their ledgers and log.
    CPU seconds are of all of them together, from the labels to the signed model; keys are made beforehand. The tree has
    32 bins, depth 3 and all 23 features at one node; its run pays for labels, features and totals, too. Boosting grows
    up to 40 trees a party. Naive phe is measured on a sample in the same run and scaled by its number of operations.
    Growth is what a row costs, over what one costs on the fewest rows: 1 is linear.

    For 10,000, 30,000 and 100,000 rows (the default) this takes half an hour on one core; figures come one by one.

    Examples: `bench training --rows 10000 30000` · `bench training 10000 --job scorecard --json`
    """
    quiet_libraries()
    with reported_errors(as_json):
        chosen = [job for job in JOBS if job in (jobs or JOBS)]
        if len(chosen) != len(set(jobs or JOBS)):
            raise typer.BadParameter(f"known are {', '.join(JOBS)}", param_hint="--job")
        sizes = [*(rows or []), *(more_rows or [])] or [10_000, 30_000, 100_000]
        with errors.status("starting") as status:
            report = measure_training(sorted(sizes), key_bits, chosen, cores, status.update, _tell)
    if as_json:
        print_json(report)
    else:
        _show(report)


def _tell(one: TrainingFigures) -> None:
    errors.print(
        f"{one.job} on {one.rows:,} rows: {one.cpu_seconds:,.1f} CPU s, {one.growth:.2f} × linear, "
        f"{one.ratio_phe:,.0f} × phe"
    )


def _show(report: TrainingReport) -> None:
    title = f"Training with {report.key_bits}-bit keys on {report.cores} cores · 1 mm = {report.mm_us:.2f} µs"
    table = Table("job", title=title, title_justify="left")
    for heading in (
        "rows",
        "CPU s",
        "ms a row",
        "growth",
        "of it trees",
        "clock s",
        "phe, CPU s",
        "× phe",
        "rounds",
        "bank, MB",
        "node, MB",
        "memory, MB",
    ):
        table.add_column(heading, justify="right")
    for one in report.trainings:
        name = f"{one.trees} trees" if one.job == "boosting" else one.job
        sent = {party: size / 1e6 for party, size in one.bytes_sent.items()}
        bank = sent.pop(BANK)
        growing = f"{one.cpu_by_phase['trees']:,.1f}" if one.trees else "–"
        table.add_row(
            *(
                name,
                f"{one.rows:,}",
                f"{one.cpu_seconds:,.1f}",
                f"{1e3 * one.cpu_seconds / one.rows:.2f}",
                f"{one.growth:.2f}",
                growing,
                f"{one.seconds:,.1f}",
            ),
            *(
                f"{one.naive_cpu_seconds:,.0f}",
                f"{one.ratio_phe:,.0f}",
                str(one.rounds),
                f"{bank:,.1f}",
                f"{max(sent.values()):,.1f}",
                f"{one.peak_memory / 1e6:,.0f}",
            ),
        )
    console.print(table)
    console.print(
        "CPU seconds and memory are of all parties together. Naive phe is measured on a sample and scaled by its "
        "operations. Growth is what a row costs, over what one costs on the fewest rows. MB are what the bank sent, "
        "and the node that sent most."
    )
