"""`credfed audit report`: a month of the log as one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from federation.audit.alarms import AlarmRules
from federation.audit.reports.compose import compose
from federation.audit.reports.month import Month, MonthlyReport, read_month
from federation.audit.verify import LogReport
from federation.cli.audit.alarms import read_rules
from federation.cli.audit.ledgers import open_ledgers, own_entries
from federation.cli.audit.logs import judge, open_log, show_failure
from federation.cli.output import FAILED, console, errors, print_json, reported_errors
from federation.report.month_words import Language
from protocols.errors import ConfigurationError


def report_command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation, or of an export.")],
    month: Annotated[str, typer.Option("--month", help="Such as 2026-11; days and months are UTC.")],
    out: Annotated[Path, typer.Option("--out", help="The HTML file to write; all else stands beside it.")],
    language: Annotated[
        list[Language] | None, typer.Option("--language", help="en or zh, repeatable; both by default.")
    ] = None,
    rules_file: Annotated[Path | None, typer.Option("--rules", help="Thresholds, as for `alarms`.")] = None,
    ledgers: Annotated[
        Path | None, typer.Option("--ledgers", help="Folder of the parties' folders; by default DIR itself.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the page shows as JSON as well.")] = False,
) -> None:
    """Write a month's report: volumes, coverage by node, denials and why, latency, models, alarms, witnesses.

    The log is verified first, and the month is reconciled and held against the alarms' rules. Pages are HTML files that
    load nothing: OUT in English, OUT-zh.html in Chinese, and a PDF of each, OUT-en.pdf and OUT-zh.pdf. They name banks
    and nodes, no enterprise and no score.

    Exit code 0 if it is written, alarms or not; 1 if the log does not verify, and nothing is written; 2 for bad input.

    Example: `report DIR --month 2026-11 --out audit-2026-11.html`
    """
    with reported_errors(as_json):
        asked, rules = read_month(month), read_rules(directory, rules_file)
        with errors.status("verifying the log, then counting the month"):
            log = judge(directory)
            if log.ok:
                written = _compose(directory, asked, rules, log, ledgers)
                files = _write(out, written, language or tuple(Language))
    if not log.ok:
        if as_json:
            print_json({"log_ok": False, "leaf": log.first_bad_leaf})
        else:
            show_failure(log)
        raise typer.Exit(FAILED)
    if as_json:
        print_json(written)
    else:
        names = ", ".join(escape(str(path)) for path in files)
        console.print(f"[green]written[/] {names}; {len(written.alarms)} alarms", soft_wrap=True)


def _compose(
    directory: Path, asked: Month, rules: AlarmRules, verified: LogReport, ledgers: Path | None
) -> MonthlyReport:
    with open_log(directory) as log, open_ledgers(ledgers or directory) as readers:
        records = {party: own_entries(reader) for party, reader in readers.items()}
        return compose(asked, verified, log, records, rules)


def _write(page: Path, report: MonthlyReport, languages: Sequence[Language]) -> list[Path]:
    """Write pages and PDFs; return where they are. Raises: ConfigurationError, code OUT_NOT_WRITABLE."""
    from federation.report.month import render_month  # fonts and pages, if there is one to write
    from federation.report.month_pdf import render_month_pdf

    files = []
    for place, language in enumerate(dict.fromkeys(languages)):
        path = page if place == 0 else page.with_name(f"{page.stem}-{language}{page.suffix}")
        files.append((path, render_month(report, language).encode()))
        files.append((page.with_name(f"{page.stem}-{language}.pdf"), render_month_pdf(report, language)))
    for path, data in files:
        try:
            path.write_bytes(data)
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}", code="OUT_NOT_WRITABLE") from error
    return [path for path, _ in files]
