"""Every command that the menu lists is there, explains itself, and is not loaded before it is called."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from typer.testing import CliRunner

from federation.cli.main import CREDFED, app
from federation.cli.menu import Menu

HEAVY = ("numpy", "scipy", "duckdb", "grpc", "flwr", "fastapi", "fpdf", "jinja2", "cryptography")


def commands(menu: Menu, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words that call each command of a menu."""
    for entries in menu.panels.values():
        for entry in entries:
            if isinstance(entry, Menu):
                yield from commands(entry, (*path, entry.name))
            else:
                yield (*path, entry.name)


@pytest.mark.parametrize("words", list(commands(CREDFED)), ids=" ".join)
def test_a_listed_command_is_there_and_explains_itself(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"], prog_name="credfed")
    assert result.exit_code == 0, result.output
    assert f"Usage: credfed {' '.join(words)} " in click.unstyle(result.output)


@pytest.mark.parametrize(
    "words", [("audt",), ("node", "objektions"), ("audit", "serch"), ("consent", "isue")], ids=" ".join
)
def test_a_mistyped_command_is_told_once_what_it_may_have_meant(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, words, prog_name="credfed")
    assert result.exit_code == 2
    assert result.stderr.count("Did you mean") == 1


def loaded_by(*words: str) -> set[str]:
    """Return the heavy libraries that a process has loaded once a command has run."""
    program = f"""
import sys
from federation.cli.main import app
try:
    app({list(words)!r})
except SystemExit:
    print("loaded", *(name for name in {HEAVY!r} if name in sys.modules))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(ran.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("words", [(), ("node",), ("bank",), ("coordinator",), ("audit",), ("bench",)], ids=" ".join)
def test_help_loads_no_library_that_a_command_needs(words: tuple[str, ...]) -> None:
    assert loaded_by(*words, "--help") == set()
