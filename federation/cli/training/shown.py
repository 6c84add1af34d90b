"""What a person is shown of a training run."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from federation.cli.output import console, errors
from federation.cli.training.results import BankResult, PrivacyResult, Results
from federation.local.layout import BANK, party_of
from nodes.bank.training.reported import ReportedCounts


def show_results(results: Results, out: Path, *, own: bool = False) -> None:
    """Print what a person wants to know of a run; `own` says that `out` is the bank's own directory."""
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
    if results.engine_seconds is not None:
        console.print(describe_engine(results.seconds, results.engine_seconds))
    console.print(f"revealed to the bank: {leaks}")
    if results.reported is not None and results.reported.reported:
        console.print(describe_reported(results.reported))
    if results.privacy is not None:
        console.print(describe_privacy(results.privacy))
    for warning in results.warnings:
        errors.print(f"[yellow]warning[/] {warning}")
    bank = party_of(next(iter(results.banks))) if results.banks else BANK
    written = f"{bank}/model.json, {bank}/model_card.html, coordinator/log.sqlite"
    console.print(f"written to {out}: results.json, {'model.json, model_card.html' if own else written}")


def describe_engine(seconds: dict[str, float], engine: dict[str, float]) -> str:
    """Return how the wall time of a deployed run divides into the parties' work and Flower's own time."""
    carrying, start = engine["carrying"], engine["start"]
    work = sum(seconds.values()) - carrying
    share = work / (work + carrying + start)
    return (
        f"wall time: {work:,.1f} s of work at the parties ({share:.0%}), {carrying:,.1f} s for Flower to carry "
        f"messages, {start:,.1f} s for it to start the run"
    )


def describe_reported(reported: ReportedCounts) -> str:
    """Return what reported outcomes have made of the labels, in one line."""
    return (
        f"outcomes reported until {reported.as_of}: {reported.reported:,} enterprises labelled, {reported.changed:,} "
        f"otherwise than in the file, {reported.added:,} added, {reported.left_out:,} left out as indeterminate"
    )


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
