"""The owner's kill switch: a file in the node's own directory, which needs no coordinator, no network and no program.

While the file `STOP` is there, nothing is released: no answer, no sum of a training run, not even a repeated answer. It
is looked for before every release. What it holds is the owner's note, for the owner alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocols.errors import PolicyDenied

STOP_FILE: Final = "STOP"
NODE_STOPPED: Final = "NODE_STOPPED"


@dataclass(frozen=True, slots=True)
class StopSwitch:
    """The switch of the node whose directory this is."""

    directory: Path

    @property
    def path(self) -> Path:
        """Return where the file lies while the node is stopped."""
        return self.directory / STOP_FILE

    def check(self) -> None:
        """Return while the node may release anything. Raises: PolicyDenied, code NODE_STOPPED.

        A directory that cannot be looked into counts as stopped: the owner may have tried to stop it.
        """
        try:
            os.lstat(f"{self.directory}/{STOP_FILE}")
        except FileNotFoundError:
            if os.path.isdir(self.directory):
                return
        except OSError:
            pass
        raise PolicyDenied("the owner has stopped this node", code=NODE_STOPPED)

    def reason(self) -> str | None:
        """Return the owner's note if the node is stopped, else None."""
        try:
            self.check()
        except PolicyDenied:
            try:
                return self.path.read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                return ""
        return None

    def stop(self, note: str) -> None:
        """Stop the node from its next release on; a note that stands is replaced. Raises: OSError."""
        self.path.write_text(f"{note}\n", encoding="utf-8")

    def resume(self) -> bool:
        """Let the node answer again; return whether it was stopped. Raises: OSError."""
        existed = os.path.lexists(self.path)
        self.path.unlink(missing_ok=True)
        return existed
