"""Commands that are listed from a table: only the one that is called loads its module, and what that module needs.

So `--help` costs no more than the table does, and a small command never waits for libraries that another one needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click
import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: its name, its place as "module:name", and the line that lists it.

    The module is one of `federation.cli`; the name is a function's, or that of a `typer.Typer` of several.
    """

    name: str
    place: str
    told: str

    def load(self) -> click.Command:
        """Return the command itself, from its module."""
        module, _, name = self.place.partition(":")
        found = getattr(import_module(f"federation.cli.{module}"), name)
        if isinstance(found, typer.Typer):
            group = get_group(found)
            group.suggest_commands = False  # click says what a mistyped name may have meant; typer would say it again
            return group
        alone = typer.Typer(add_completion=False)
        alone.command(self.name)(found)
        return get_command(alone)


@dataclass(frozen=True, slots=True)
class Menu:
    """A group of commands from many modules, under the headings that `--help` lists them by."""

    name: str
    told: str
    panels: Mapping[str, Sequence[Entry | Menu]]

    def load(self) -> click.Command:
        """Return the group as a command."""
        return get_group(self.app())

    def app(self) -> typer.Typer:
        """Return the group as typer knows it."""
        listed = {
            entry.name: TyperCommand(entry.name, help=entry.told, rich_help_panel=heading)
            for heading, entries in self.panels.items()
            for entry in entries
        }
        places = {entry.name: entry for entries in self.panels.values() for entry in entries}

        class Listed(TyperGroup):
            def __init__(self, **attributes: Any) -> None:
                super().__init__(**attributes | {"commands": listed})
                self.suggest_commands = False

            def resolve_command(
                self, ctx: click.Context, args: list[str]
            ) -> tuple[str | None, click.Command | None, list[str]]:
                name, known, rest = super().resolve_command(ctx, args)
                return name, known if name is None else places[name].load(), rest

        app = typer.Typer(cls=Listed, help=self.told, no_args_is_help=True, pretty_exceptions_enable=False)
        app.callback()(lambda: None)  # else typer would look for one single command
        return app
