"""`credfed assess`: a bank's question about one enterprise or several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from federation.cli.output import FAILED, console, print_json, quiet_libraries, reported_errors
from federation.cli.progress import round_progress
from federation.local import LocalFederation
from nodes.results import AssessmentResult

SEVERITIES = ("none", "minor", "notable", "severe")


def assess(
    enterprises: Annotated[list[str], typer.Argument(metavar="USCC…", help="Unified social credit codes.")],
    federation: Annotated[Path, typer.Option("--federation", help="Folder that `credfed train` or `demo` made.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of results.")] = False,
) -> None:
    """Ask all nodes how risky a loan to each enterprise is; the answer opens to the bank alone.

    Each node checks the enterprise's consent and its own policy first. One that denies makes the whole answer a denial.
    Exit code 0 if every enterprise got a score, 1 if one did not, 2 for a wrong code.
    """
    quiet_libraries()
    with (
        reported_errors(as_json),
        round_progress(as_json) as on_round,
        LocalFederation(federation, on_round=on_round) as parties,
    ):
        results = parties.assess(enterprises)
    if as_json:
        print_json(results)
    else:
        show_assessments(results)
    if any(result.status != "ok" for result in results):
        raise typer.Exit(FAILED)


def show_assessments(results: list[AssessmentResult]) -> None:
    """Print results as a table, one enterprise a row."""
    table = Table(title="assessments (advisory only)")
    for heading in ("enterprise", "score", "grade", "PD", "points lost by theme", "coverage", "log leaf"):
        table.add_column(heading, justify="right" if heading in ("score", "PD", "log leaf") else "left")
    for result in results:
        table.add_row(result.enterprise, *_cells(result))
    console.print(table)


def _cells(result: AssessmentResult) -> tuple[str, ...]:
    coverage = ", ".join(f"{domain} {state}" for domain, state in result.coverage.items() if state != "ok") or "full"
    if result.pd is None:
        by = ", ".join(result.denied_by) or "the bank's own checks"
        return "–", f"[red]{result.status}[/]", "–", f"{result.code} by {by}", coverage, "–"
    themes = ", ".join(f"{theme.theme}: {SEVERITIES[theme.severity]}" for theme in result.themes if theme.severity)
    return (
        str(result.score),
        str(result.grade),
        f"{result.pd:.2%}",
        themes or "none",
        coverage,
        str(result.receipt),
    )
