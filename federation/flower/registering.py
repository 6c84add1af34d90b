"""Tells a SuperLink whose SuperNode keys it may trust: in one process, for each of Flower's commands loads slowly.

    python -m federation.flower.registering NAME=PUBLIC_KEY_FILE …

`FLWR_HOME` in the environment names the connection. One that is known already is left as it is.
"""

from __future__ import annotations

import sys

import click
from flwr.cli.app import app


def register(name: str, public_key: str) -> None:
    """Register one key under a party's name."""
    command = ["supernode", "register", public_key, "--name", name, "--format", "json"]
    try:
        app(command, standalone_mode=False)
    except (click.ClickException, SystemExit) as error:
        if getattr(error, "code", 1) not in (0, None):
            raise


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        party, _, path = argument.partition("=")
        register(party, path)
