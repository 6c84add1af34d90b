"""What commands print: for people with rich, for programs as one JSON object, and errors with a stable code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from protocols.errors import ConfigurationError, CreditFederationError

FAILED: Final = 1
BAD_INPUT: Final = 2

console: Final = Console(highlight=False)
errors: Final = Console(stderr=True, highlight=False)


def print_json(value: object) -> None:
    """Print one JSON document on standard output; numbers that are not finite become null."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
    sys.stdout.buffer.flush()


@contextmanager
def reported_errors(as_json: bool) -> Iterator[None]:
    """Turn every error of the federation into one clear line and an exit code: 2 for bad input, 1 otherwise."""
    try:
        yield
    except CreditFederationError as error:
        if as_json:
            print_json({"error": {"code": error.code, "text": str(error)}})
        else:
            errors.print(f"[bold red]error[/] {escape(error.code)}: {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(BAD_INPUT if isinstance(error, ConfigurationError) else FAILED) from None


def quiet_libraries() -> None:
    """Keep Flower's and our own log lines out of what a person reads; `CREDFED_LOG` in the environment shows them."""
    import os

    level = os.environ.get("CREDFED_LOG", "ERROR").upper()
    logging.basicConfig(level=level, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("flwr").setLevel(level)
