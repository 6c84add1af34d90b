"""Progress on long work: one line that lives, with phase, rounds, bytes and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from federation.cli.output import errors
from federation.outlook import Outlook, Standing
from federation.traffic import RoundEvent

PHASE_WORDS = {
    "labels": "the bank has encrypted its labels",
    "opening": "the bank opens the run",
    "histograms": "nodes sum encrypted labels by bin",
    "binning": "the bank merges bins",
    "gram_matrix": "nodes multiply encrypted columns",
    "totals": "totals, masked, open as one sum",
    "consortium": "banks agree to train together",
    "pooling": "banks add their shares",
    "refinement": "nodes sum encrypted residuals",
    "gradients": "nodes take encrypted gradients",
    "trees": "nodes sum encrypted gradients by leaf",
    "manifest": "every node signs the model",
    "assessment": "nodes answer with masked shares",
}


@contextmanager
def round_progress(
    quiet: bool, outlook: Outlook | None = None, record: Callable[[Standing], None] = lambda standing: None
) -> Iterator[Callable[[RoundEvent], None]]:
    """Yield a callback for finished rounds that keeps one line on standard error up to date; `record` hears of each.

    Silent if `quiet`, or if nobody watches: standard error is no terminal.
    """
    outlook = outlook or Outlook()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=quiet or not errors.is_terminal, transient=True) as progress:
        task = progress.add_task("parties draw keys; the bank encrypts its labels", total=None)

        def show(event: RoundEvent) -> None:
            standing = outlook.after(event)
            progress.update(task, description=describe(standing))
            record(standing)

        yield show


def describe(standing: Standing) -> str:
    """Return the line that a person reads after a round."""
    words = PHASE_WORDS.get(standing.phase, standing.phase)
    line = f"round {standing.round}: {words} · {standing.bytes_total / 1e6:,.1f} MB so far"
    return line if standing.seconds_left is None else f"{line} · about {_rounded(standing.seconds_left)} left"


def _rounded(seconds: float) -> str:
    """Return a duration as coarse as the estimate is."""
    return f"{max(5, 5 * round(seconds / 5))} s" if seconds < 90 else f"{round(seconds / 60)} min"
