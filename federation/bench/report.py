"""The benchmark's result for programs and for people."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Column, Table

from federation.bench.against_heu import HeuReport
from federation.bench.paillier import PaillierReport


def as_json(report: PaillierReport, heu: HeuReport | None) -> str:
    """Return one JSON object on one line; `heu` is a key of it only if HEU was measured."""
    document: dict[str, object] = asdict(report)
    if heu is not None:
        document["heu"] = asdict(heu)
    return json.dumps(_rounded(document))


def show(console: Console, report: PaillierReport, heu: HeuReport | None) -> None:
    """Print two tables: operations, then jobs."""
    title = f"Paillier at {report.key_bits} bits · 1 mm = {report.mm_us:.2f} µs"
    operations = Table("operation", *_right("µs", "mm", "× naive phe"), title=title, title_justify="left")
    for name, operation in report.ops.items():
        operations.add_row(name, f"{operation.us:,.2f}", f"{operation.mm:,.2f}", f"{operation.ratio_phe:,.0f}")
    console.print(operations)
    beside = _right("HEU s", "× HEU") if heu is not None else []
    columns = _right("seconds", f"{report.cores} cores", "mm", "× naive phe") + beside
    jobs = Table("job", *columns, title="Composed jobs", title_justify="left")
    for name, job in report.jobs.items():
        cells = [f"{job.seconds:,.4g}", f"{job.seconds_all_cores:,.4g}", f"{job.mm:,.0f}", f"{job.ratio_phe:,.0f}"]
        if heu is not None:
            cells += [f"{heu.jobs[name]:,.4g}", f"{heu.jobs[name] / job.seconds:,.1f}"]
        jobs.add_row(name, *cells)
    console.print(jobs)
    console.print(
        "histogram and multiexp are per row and feature. Naive phe is measured on a sample and scaled; ratios are of mm"
        + (", and so is HEU, in CPU seconds. " if heu is not None else ". ")
        + f"The bank's encryptions come from a filled pool. Peak memory {report.peak_rss_mb:,.0f} MB."
    )


def _right(*names: str) -> list[Column]:
    return [Column(name, justify="right") for name in names]


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value
