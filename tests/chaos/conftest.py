"""What broke, what users saw, and how long it took: one row for each thing broken, shown when all is over."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

REPORT = Path("build") / "chaos.json"
_rows: list[Row] = []


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table in docs/operations.md."""

    load: str
    broken: str
    seen: str
    recovery: str
    lost: str


@pytest.fixture(scope="session")
def table() -> list[Row]:
    """The table; a test that breaks something appends to it."""
    return _rows


@pytest.fixture(scope="package", autouse=True)
def _able() -> None:
    """Skip where the machine gives no namespaces, or no mounts."""
    if os.geteuid() != 0:
        pytest.skip("breaking networks and disks needs root")
    if not all(map(shutil.which, ("ip", "nsenter", "mount"))):
        pytest.skip("iproute2 is not installed on this machine")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the table, and keep it."""
    if not _rows:
        return
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps([asdict(row) for row in _rows], indent=2, ensure_ascii=False), encoding="utf-8")
    terminalreporter.section(f"chaos ({REPORT})")
    for row in _rows:
        terminalreporter.write_line(f"| {row.load} | {row.broken} | {row.seen} | {row.recovery} | {row.lost} |")
