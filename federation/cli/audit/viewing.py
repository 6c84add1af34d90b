"""How a command takes a view as an auditor: whose keys, and at which door it enters the log."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from federation.audit import AuditLog, read_log_keys, read_log_signer
from federation.audit.bodies.shredder import SHRED_FILE, Shredder
from federation.audit.reading.log_view import LogView
from federation.audit.storage.location import coordinator_home, log_location
from federation.audit.views.auditor import SOCKET_FILE, Auditor, Desk, Reach, record_view, socket_desk
from federation.audit.views.auditor_keys import read_auditor
from federation.audit.views.desk import ViewDesk
from federation.cli.audit.pinned import pinned_cards
from federation.cli.output import errors
from nodes.keystore import read_keys
from protocols.errors import ConfigurationError

_VARIABLE: Final = "CREDFED_PASSPHRASE"

As = Annotated[
    Path | None,
    typer.Option("--as", metavar="FOLDER", help="Look as this auditor: the view becomes a leaf under your name."),
]


@dataclass(frozen=True, slots=True)
class Viewer:
    """An auditor at a door of the log."""

    auditor: Auditor
    desk: Desk

    def looked(self, view: str, selection: Mapping[str, str], reach: Reach) -> None:
        """Leave a leaf that says what was looked at, and say where it is."""
        receipt = record_view(self.desk, self.auditor, view, selection, reach)
        errors.print(f"this view is leaf {receipt.leaf} of the log, under the name {self.auditor.name}", soft_wrap=True)


@contextmanager
def viewer(directory: Path, folder: Path) -> Iterator[Viewer]:
    """Yield the auditor of `folder` at the door of a federation's log: the running coordinator's, or the log itself.

    The passphrase is that of CREDFED_PASSPHRASE in the environment, or is asked for.
    Raises: ConfigurationError if there is no log that could take a view, no such auditor, or a wrong passphrase.
    """
    home = coordinator_home(directory)
    if not log_location(home).exists:
        raise ConfigurationError(f"{directory}: no log there that could record a view", code="LOG_UNREADABLE")
    keys = read_auditor(folder, ask_passphrase(f"Passphrase of {folder}"))
    auditor = Auditor(keys, pinned_cards(directory).cards, read_log_keys(home).log)
    with open_desk(directory) as desk:
        yield Viewer(auditor, desk)


@contextmanager
def open_desk(directory: Path) -> Iterator[Desk]:
    """Yield where views of a federation's log enter it: the running coordinator's door, or the log itself.

    Raises: ConfigurationError if the log cannot be opened here.
    """
    home = coordinator_home(directory)
    if (home / SOCKET_FILE).exists():
        yield socket_desk(home / SOCKET_FILE)
        return
    signer, witnesses = read_log_signer(home), read_log_keys(home).witnesses
    cards, keys = pinned_cards(directory).cards, read_keys(home)
    with AuditLog(log_location(home), signer, witnesses) as log:
        yield ViewDesk(log, Shredder(home / SHRED_FILE), keys, cards, lambda: time.time_ns() // 1_000_000).handle


def leave_leaf(
    directory: Path, folder: Path | None, view: str, selection: Mapping[str, object], log: LogView, entries: int
) -> None:
    """Record that all of a log was looked through for `selection`, if somebody looks as an auditor."""
    if folder is not None:
        told = {name: str(value) for name, value in selection.items() if value}
        with viewer(directory, folder) as looking:
            looking.looked(view, told, Reach(0, max(log.size - 1, 0), entries))


def ask_passphrase(prompt: str, confirm: bool = False) -> str:
    """Return the passphrase from the environment, or as it is typed, unseen."""
    given = os.environ.get(_VARIABLE)
    if given is not None:
        return given
    typed: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    return typed
