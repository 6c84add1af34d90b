"""`credfed model`: what a bank's model is, from its signed file, for a person, a program or a committee."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.cli.output import console, errors, print_json, quiet_libraries, reported_errors
from federation.cli.training.cards import model_card
from federation.local.layout import name_of, party_of, read_federation
from federation.local.models import read_bank_model
from federation.report.card import render_card
from federation.report.card_data import ModelCard
from nodes.bank.model.file import ModelFile
from nodes.keystore import read_cards
from protocols.assessment.manifest import verify_manifest
from protocols.channel.identity import PartyId
from protocols.consortium.closing import verify_agreements
from protocols.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Show a trained model: its points, its validation and what it cost.")
DIRECTORY = typer.Argument(metavar="DIR", help="Folder that `credfed train` or `demo` made.")
BANK_NAME = typer.Option("--bank", help="Whose model, where several banks have trained; the first bank's by default.")


@app.command()
def show(
    directory: Annotated[Path, DIRECTORY],
    bank: Annotated[str | None, BANK_NAME] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole card as one JSON object.")] = False,
) -> None:
    """Print the bank's model after checking its signature, every node's on its manifest, and every other bank's on it.

    Exit code 0 if the model is as its bank signed it, 1 if a signature does not hold, 2 if there is no model.
    """
    quiet_libraries()
    with reported_errors(as_json):
        card = model_card(verified_model(directory, bank))
        if as_json:
            print_json(card)
        else:
            _show(card)


@app.command()
def card(
    directory: Annotated[Path, DIRECTORY],
    out: Annotated[Path, typer.Option("--out", help="The page to write, one self-contained HTML file.")],
    bank: Annotated[str | None, BANK_NAME] = None,
) -> None:
    """Write the model's card as a page: coverage, points, validation, stability, leaks and limits.

    Exit code 1 if a signature does not hold, 2 if there is no model or the page cannot be written.
    """
    quiet_libraries()
    with reported_errors(as_json=False):
        page = render_card(model_card(verified_model(directory, bank)))
        try:
            out.write_text(page, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{out}: {error.strerror}", code="OUT_NOT_WRITABLE") from error
        console.print(f"written to {escape(str(out))}", soft_wrap=True)


def verified_model(directory: Path, bank: str | None = None) -> ModelFile:
    """Return the model of one of a federation's banks under its signature, all its nodes', and a consortium's banks'.

    Raises: ConfigurationError, codes NOT_A_FEDERATION, UNKNOWN_BANK, NO_MODEL; VerificationFailed.
    """
    file, pins = read_federation(directory), read_cards(directory / "cards")
    model = read_bank_model(directory, file, pins, party_of(bank or file.banks[0]))
    signed = model.signed_manifest()
    verify_manifest(signed, pins.named({PartyId(entry.party): entry.card for entry in signed.manifest.nodes}))
    if model.consortium is not None:
        pool, signatures = model.consortium, model.consortium.agreements()
        verify_agreements(
            model.signed_manifest().manifest, bytes.fromhex(pool.run), bytes.fromhex(pool.model), signatures, pins.cards
        )
    return model


def _show(card: ModelCard) -> None:
    found, training = card.validation, card.training
    console.print(
        f"[bold]{escape(card.title)}[/]   trained {card.created}, data as of {card.data_as_of or 'not stated'}"
    )
    console.print(f"model {card.model}", soft_wrap=True)
    console.print(
        f"[green]signed[/] by {escape(card.bank)} and {len(card.nodes)} data nodes: "
        + ", ".join(escape(name_of(node.party)) for node in card.nodes)
    )
    console.print(_features(card))
    figures = (
        ("AUC", found.auc),
        ("KS", found.ks),
        ("Gini", found.gini),
        ("Brier", found.brier),
        ("calibration slope", found.calibration_slope),
        ("intercept", found.calibration_intercept),
    )
    measured = " · ".join(f"{name} {'n/a' if value is None else f'{value:.4f}'}" for name, value in figures)
    console.print(f"on {training.rows_test:,} test rows: {measured}")
    console.print(f"stability index {found.stability.index:.4f}, training to test rows: {found.stability.verdict}")
    coverage = " · ".join(
        f"{escape(c.domain)} {c.covered:.0%}{f' as of {escape(c.as_of)}' if c.as_of else ''}" for c in card.coverage
    )
    console.print(f"coverage of {training.rows_train:,} training rows: {coverage}")
    leaks = ", ".join(f"{row.times} × {escape(row.leak)}" for row in card.leaks)
    console.print(f"revealed to the bank in training: {leaks or 'nothing recorded'}")
    for warning in card.warnings:
        errors.print(f"[yellow]warning[/] {escape(warning)}")


def _features(card: ModelCard) -> Table:
    chosen = sorted((f for f in card.features if f.selected), key=lambda f: (-f.range, -f.iv, f.domain, f.name))
    table = Table(title=f"{len(chosen)} of {len(card.features)} features; {card.base_score:.1f} base points")
    for heading in ("domain", "feature", "IV", "coefficient", "points"):
        table.add_column(heading, justify="left" if heading in ("domain", "feature") else "right")
    for feature in chosen:
        coefficient = "–" if feature.coefficient is None else f"{feature.coefficient:+.3f}"
        table.add_row(
            escape(feature.domain),
            escape(feature.name),
            f"{feature.iv:.3f}",
            coefficient,
            f"0 to {feature.range:.1f}",
        )
    return table
