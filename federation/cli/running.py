"""What `credfed coordinator run`, `node run` and `bank run` have in common."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from federation.cli.output import console, print_json
from federation.process.logs import log_json
from protocols.errors import ConfigurationError

Home = Annotated[Path, typer.Argument(metavar="DIR", help="The party's own directory.")]
Check = Annotated[bool, typer.Option("--check", help="Only say whether it could run, and exit.")]
AsJson = Annotated[bool, typer.Option("--json", help="With --check, print a JSON object.")]


def begin() -> None:
    """Begin to log; `CREDFED_LOG` in the environment sets the level, INFO by default."""
    level = os.environ.get("CREDFED_LOG", "INFO").upper()
    log_json(level if level in ("DEBUG", "INFO", "WARNING", "ERROR") else "INFO")


def settings_path(home: Path, name: str) -> Path:
    """Return where the settings are. Raises: ConfigurationError, code NOT_A_FOLDER."""
    if not home.is_dir():
        raise ConfigurationError(f"{home} is not a folder", code="NOT_A_FOLDER")
    return home / name


def report_check(facts: dict[str, str | int], as_json: bool) -> None:
    """Say that a directory is fit to run from, and what it holds."""
    if as_json:
        print_json({"ok": True} | facts)
        return
    console.print("[green]ready to run[/]")
    for name, value in facts.items():
        console.print(f"  {name:<14} {value}", soft_wrap=True)
