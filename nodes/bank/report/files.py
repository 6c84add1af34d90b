"""Credit reports as files, one page and one PDF in each language."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from pathlib import Path

from nodes.bank.asking.results import AssessmentResult
from nodes.bank.model.file import ModelFile
from nodes.bank.report.facts import CreditReport, model_facts
from nodes.bank.report.page import render_page
from nodes.bank.report.pdf import render_pdf
from nodes.bank.report.wording import Language
from protocols.errors import ConfigurationError


def report_of(result: AssessmentResult, model: ModelFile, assessed: int) -> CreditReport:
    """Return the report of one assessment by this model, numbered by its date and request."""
    day = datetime.datetime.fromtimestamp(assessed, datetime.UTC)
    return CreditReport(f"CR-{day:%Y%m%d}-{result.request[:8]}", model.bank, assessed, result, model_facts(model))


def write_reports(folder: Path, report: CreditReport, languages: Sequence[Language]) -> list[Path]:
    """Write both forms in each language, for their owner alone, and return where they are.

    Raises: ConfigurationError, code OUT_NOT_WRITABLE.
    """
    enterprise = report.result.enterprise
    stem = enterprise if enterprise.isascii() and enterprise.isalnum() else report.number
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [
            path
            for language in languages
            for path in (
                _write(folder / f"{stem}-{language}.html", render_page(report, language).encode()),
                _write(folder / f"{stem}-{language}.pdf", render_pdf(report, language)),
            )
        ]
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror}", code="OUT_NOT_WRITABLE") from error


def _write(path: Path, data: bytes) -> Path:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    return path
