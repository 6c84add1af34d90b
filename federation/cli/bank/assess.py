"""`credfed assess`: a bank's question about one enterprise or several."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from federation.cli.output import FAILED, console, print_json, quiet_libraries, reported_errors
from federation.cli.progress import round_progress
from federation.local.deployed.asking import ask_deployed
from federation.local.deployed.members import placement_of
from federation.local.deployed.status import read_status
from federation.local.federation import LocalFederation
from federation.local.layout import party_of, read_federation
from federation.local.models import read_bank_model
from nodes.bank.asking.results import AssessmentResult
from nodes.bank.model.file import ModelFile
from nodes.bank.report.wording import Language
from nodes.keystore import read_cards
from protocols.channel.identity import PartyId
from protocols.errors import ConfigurationError

SEVERITIES = ("none", "few", "many", "most")


def assess(
    enterprises: Annotated[list[str], typer.Argument(metavar="USCC…", help="Unified social credit codes.")],
    federation: Annotated[Path, typer.Option("--federation", help="Folder that `credfed train` or `demo` made.")],
    bank: Annotated[
        str | None, typer.Option("--bank", help="The bank that asks, where several have trained; the first by default.")
    ] = None,
    objection: Annotated[
        str, typer.Option("--objection", metavar="ID", help="Ask again after this objection; the log says so.")
    ] = "",
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write a credit report of each answer there, as HTML and PDF."),
    ] = None,
    language: Annotated[
        list[Language] | None, typer.Option("--language", help="Of the reports; both unless one is named.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of results.")] = False,
) -> None:
    """Ask all nodes how risky a loan to each enterprise is; the answer opens to the bank alone.

    Each node checks the enterprise's consent and its own policy first. One that denies makes the whole answer a denial.
    Exit code 0 if every enterprise got a score, 1 if one did not, 2 for a wrong code.
    """
    quiet_libraries()
    with reported_errors(as_json):
        results, model = _ask(
            federation, enterprises, None if bank is None else party_of(bank), _objection(objection), as_json
        )
        written = _write_reports(report, results, model, language or list(Language)) if report else []
    if as_json:
        print_json(results)
    else:
        show_assessments(results)
        for path in written:
            console.print(f"  report written to {escape(str(path))}", soft_wrap=True)
    if any(result.status != "ok" for result in results):
        raise typer.Exit(FAILED)


def _write_reports(
    folder: Path, results: list[AssessmentResult], model: ModelFile, languages: list[Language]
) -> list[Path]:
    """Return the files of each answer's credit report."""
    from nodes.bank.report.files import report_of, write_reports  # fonts and pages, if there is one to write

    now = int(time.time())
    return [path for one in results for path in write_reports(folder, report_of(one, model, now), languages)]


def _ask(
    federation: Path, enterprises: list[str], bank: PartyId | None, objection: bytes, quiet: bool
) -> tuple[list[AssessmentResult], ModelFile]:
    """Return the answers and the model that gave them: from the processes that are up, or from all parties in here."""
    if read_status(federation) is not None:
        file, pins = read_federation(federation), read_cards(federation / "cards")
        asking = bank or next(iter(file.bank_parties))
        return ask_deployed(federation, enterprises, placement_of(federation), objection, asking), read_bank_model(
            federation, file, pins, asking
        )
    with round_progress(quiet) as on_round, LocalFederation(federation, on_round=on_round) as parties:
        return parties.assess(enterprises, bank, objection), parties.model(bank)


def _objection(text: str) -> bytes:
    """Return the id of an objection. Raises: ConfigurationError, code UNKNOWN_OBJECTION."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b"?"
    if len(found) not in (0, 16):
        raise ConfigurationError(f"{text!r}: no objection's id", code="UNKNOWN_OBJECTION")
    return found


def show_assessments(results: list[AssessmentResult]) -> None:
    """Print results for a person, a few lines an enterprise."""
    for result in results:
        console.print(f"\n  [bold]{result.enterprise}[/]   {_verdict(result)}", soft_wrap=True)
        for heading, text in _details(result):
            console.print(f"    [dim]{heading:<12}[/] {text}", soft_wrap=True)
    console.print("\n  advisory only: a person decides on the loan")


def _verdict(result: AssessmentResult) -> str:
    if result.pd is None:
        return f"[red]no score: {result.status}[/], {result.code}"
    return f"score [bold]{result.score}[/]   grade [bold]{result.grade}[/]   default probability {result.pd:.2%}"


def _details(result: AssessmentResult) -> list[tuple[str, str]]:
    found = []
    if result.denied_by:
        found.append(("denied by", ", ".join(f"{domain} ({code})" for domain, code in result.denied_by.items())))
    lost = [
        f"{theme.theme.replace('_', ' ')} {SEVERITIES[theme.severity]}" for theme in result.themes if theme.severity
    ]
    if lost:
        found.append(("points lost", " · ".join(lost)))
    if result.coverage and not result.denied_by:
        found.append(("coverage", " · ".join(f"{domain} {state}" for domain, state in result.coverage.items())))
    if result.objection_pending:
        found.append(("objection", "[yellow]pending[/]: the enterprise objects, and nobody has decided yet"))
    if result.receipt is not None:
        found.append(("log receipt", f"leaf {result.receipt}"))
    if result.valid_until:
        found.append(("valid until", result.valid_until))
    return found
