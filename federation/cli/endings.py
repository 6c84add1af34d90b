"""How a command ends before its work is done: by an exception, so that what it has begun is put away, and told."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import typer

from federation.cli.output import errors

INTERRUPTED: Final = "interrupted: no model is kept; what was there before stays"
_ASKED: Final = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_raised() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end the block as Ctrl-C does, by an exception; one that is ignored or handled stays so.

    Raises: SystemExit with 128 + the signal's number, as a shell tells it.
    """

    def asked(number: int, frame: FrameType | None) -> None:
        for other in taken:
            signal.signal(other, signal.SIG_IGN)  # once is enough: what follows puts things away
        raise SystemExit(128 + number)

    ours = threading.current_thread() is threading.main_thread()
    taken = [number for number in _ASKED if ours and signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, asked)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def interruptions_told() -> Iterator[None]:
    """Say in one line that a training was interrupted, by Ctrl-C or a signal, and what it leaves."""
    try:
        with signals_raised():
            yield
    except KeyboardInterrupt:
        errors.print(INTERRUPTED)
        raise typer.Exit(128 + signal.SIGINT) from None
    except SystemExit:
        errors.print(INTERRUPTED)
        raise
