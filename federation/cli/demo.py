"""`credfed demo`: the whole story once, on a synthetic economy, in a few minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from federation.audit import LogReport, verify_directory
from federation.cli.bank.assess import show_assessments
from federation.cli.output import console, print_json, quiet_libraries, reported_errors
from federation.cli.parties import party_views
from federation.cli.progress import round_progress
from federation.cli.training.job import Job, Outcome, binning_rules, catalogue_themes
from federation.cli.training.reporting import run_report
from federation.cli.training.results import Results
from federation.cli.training.shown import show_results
from federation.cli.training.train import KEY_BITS, SEED
from federation.cli.workspace import whole_folder
from federation.local.federation import LocalFederation
from federation.report import render
from federation.report.data import PartyView
from nodes.bank.asking.results import AssessmentResult
from nodes.economy import generate, write
from nodes.sources import read_description
from protocols.scorecard.model import TrainingPlan

TEST_SIZE = 0.3
MINIMUM_BIN = 50


def demo(
    enterprises: Annotated[
        int, typer.Option("--enterprises", help="Labelled enterprises in the economy.", min=100, max=200_000)
    ] = 4000,
    seed: Annotated[int, SEED] = 0,
    key_bits: Annotated[int, KEY_BITS] = 2048,
    out: Annotated[Path, typer.Option("--out", help="Folder for everything the demonstration makes.")] = Path(
        "credfed-demo"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the story.")] = False,
) -> None:
    """Make a synthetic economy, train a federation on it, assess four enterprises, and verify the log.

    Five offices get raw monthly records of the same made-up enterprises, each in a folder of its own. They train a
    scorecard together without a record leaving any of them; the bank then asks about four enterprises, one of which has
    not consented. OUT holds the data, every party's folder, results.json and report.html. No real enterprise occurs.
    """
    quiet_libraries()
    with reported_errors(as_json):
        with whole_folder(out) as folder:
            _tell(as_json, f"[bold]1 · An economy[/]: {enterprises:,} enterprises with a loan outcome, seed {seed}")
            write(generate(enterprises, seed), folder / "data")
            description = read_description(folder / "data")
            plan = TrainingPlan(rules=binning_rules(description), themes=catalogue_themes())
            name = f"synthetic economy, {enterprises:,} enterprises, seed {seed}"
            job = Job(description, TEST_SIZE, seed, key_bits, plan, MINIMUM_BIN, name)
            _tell(as_json, f"[bold]2 · Training[/] on encrypted aggregates, {key_bits}-bit Paillier keys")
            with round_progress(as_json) as on_round:
                outcome = job.run(folder, on_round, do_compare=True)
            results, log = _assess_and_verify(folder, outcome)
            views = party_views(folder, outcome.training.traffic)
            page = render(run_report(outcome, results, views, log))
            (folder / "report.html").write_text(page, encoding="utf-8")
        if as_json:
            print_json({"results": outcome.results, "assessments": results, "log_leaves": log.leaves, "log_ok": log.ok})
        else:
            _show(outcome.results, results, views, log, out)


def _tell(as_json: bool, text: str) -> None:
    if not as_json:
        console.print(text)


def _assess_and_verify(folder: Path, outcome: Outcome) -> tuple[list[AssessmentResult], LogReport]:
    """Ask about a safe, a middling and a risky enterprise of the test rows, and one that has not consented."""
    with LocalFederation(folder) as federation:
        first_test = outcome.training.data.training_rows
        order = np.argsort(outcome.training.scorecard.totals[first_test:], kind="stable")
        places = [int(len(order) * share) for share in (0.97, 0.5, 0.03, 0.75)]
        ids = federation.bank.cohort_ids(outcome.split)
        chosen = [ids[first_test + int(order[place])] for place in places]
        federation.withhold_consent(chosen[-1])
        results = federation.assess(chosen)
    return results, verify_directory(folder)


def _show(
    results: Results, assessments: list[AssessmentResult], views: tuple[PartyView, ...], log: LogReport, out: Path
) -> None:
    holders = Table(title="who holds what, and what each party saw")
    for heading in ("party", "holds", "saw in this run", "received"):
        holders.add_column(heading, justify="right" if heading == "received" else "left")
    for view in views:
        holders.add_row(view.party, view.holds, "; ".join(view.sees), f"{view.bytes_received / 1e6:,.1f} MB")
    console.print(holders)
    show_results(results, out)
    console.print("\n[bold]3 · The bank asks[/] about four enterprises; the fourth has not consented")
    show_assessments(assessments)
    state = "[green]verifies[/]" if log.ok else "[bold red]is broken[/]"
    console.print(f"[bold]4 · The audit log[/] holds {log.leaves} leaves and {state}")
    first = assessments[0].enterprise
    console.print(f"\nLook at [bold]{out}/report.html[/] in a browser. Then try:")
    console.print(f"  credfed assess {first} --federation {out}\n  credfed audit verify {out}", soft_wrap=True)
