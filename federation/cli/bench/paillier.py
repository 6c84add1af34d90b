"""`credfed bench paillier`: the engine's operations and jobs, beside naive phe in the same run."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from federation.bench.against_heu import measure_heu
from federation.bench.paillier import run_paillier
from federation.bench.report import as_json, show
from federation.bench.workload import make_workload
from protocols.errors import ConfigurationError


def paillier(
    key_bits: Annotated[list[int] | None, typer.Option(help="Key lengths; several may follow.")] = None,
    more_key_bits: Annotated[list[int] | None, typer.Argument(metavar="[KEY_BITS]...", show_default=False)] = None,
    rows: Annotated[int, typer.Option(min=64, help="Enterprises in the cohort.")] = 30_000,
    as_json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object per key length, one per line.")
    ] = False,
    against: Annotated[str | None, typer.Option(help="A peer to measure as well: heu.")] = None,
) -> None:
    """Time the Paillier engine's operations and composed jobs next to naive phe."""
    if against not in (None, "heu"):
        raise typer.BadParameter("the only peer that can be measured is heu", param_hint="--against")
    lengths = [*(key_bits or []), *(more_key_bits or [])] or [2048, 3072]
    if any(bits < 1024 or bits % 64 for bits in lengths):
        raise typer.BadParameter("a key length is a multiple of 64 and at least 1024", param_hint="--key-bits")
    console, notes = Console(), Console(stderr=True)
    for bits in lengths:
        with notes.status("starting") as status:
            report = run_paillier(bits, rows, status.update)
            try:
                status.update(f"{bits} bits: HEU")
                heu = measure_heu(bits, make_workload(rows)) if against else None
            except ConfigurationError as error:
                notes.print(f"[red]{error}[/red]")
                raise typer.Exit(2) from None
        if as_json_lines:
            typer.echo(as_json(report, heu))
        else:
            show(console, report, heu)
