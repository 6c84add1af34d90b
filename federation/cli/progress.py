"""Progress on long work: one line that lives, with phase, rounds, bytes and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from federation.cli.output import errors
from federation.rounds import RoundEvent

PHASE_WORDS = {
    "opening": "the bank opens the run",
    "histograms": "nodes sum encrypted labels by bin",
    "binning": "the bank merges bins",
    "gram_matrix": "nodes multiply encrypted columns",
    "totals": "totals, masked, open as one sum",
    "consortium": "banks agree to train together",
    "pooling": "banks add their shares",
    "refinement": "nodes sum encrypted residuals",
    "manifest": "every node signs the model",
    "assessment": "nodes answer with masked shares",
}


@contextmanager
def round_progress(quiet: bool) -> Iterator[Callable[[RoundEvent], None]]:
    """Yield a callback for finished rounds that keeps one line on standard error up to date.

    Silent if `quiet`, or if nobody watches: standard error is no terminal.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=quiet or not errors.is_terminal, transient=True) as progress:
        task = progress.add_task("parties draw keys; the bank encrypts its labels", total=None)
        moved = 0

        def show(event: RoundEvent) -> None:
            nonlocal moved
            moved += event.bytes
            words = PHASE_WORDS.get(event.phase, event.phase)
            progress.update(task, description=f"round {event.number}: {words} · {moved / 1e6:,.1f} MB so far")

        yield show
