"""`credfed backup` and `credfed restore`: a party's directory in one encrypted file, and back."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Annotated

import typer

from federation.cli.output import console, print_json, reported_errors
from nodes.backup.archive import write_backup
from nodes.backup.restoring import restore as put_back
from protocols.errors import ConfigurationError

Passphrase = Annotated[
    Path, typer.Option("--passphrase-file", metavar="FILE", help="Holds the passphrase: its first line.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]
SHORTEST = 16


def backup(
    home: Annotated[Path, typer.Argument(metavar="DIR", help="The party's own directory.")],
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The backup: a new file.")],
    passphrase_file: Passphrase,
    as_json: AsJson = False,
) -> None:
    """Put a party's directory into one encrypted file, while its process runs.

    Everything goes: keys, policy, settings, and the ledger and log as of one moment; a ledger in PostgreSQL is dumped
    by `pg_dump`. Data files outside the directory do not. Whoever has the file and the passphrase is the party.
    """
    with reported_errors(as_json):
        manifest = write_backup(home, target, _passphrase(passphrase_file), int(time.time()))
    size = sum(entry.size for entry in manifest.files.values())
    if as_json:
        print_json({"party": manifest.party, "files": len(manifest.files), "bytes": size, "schema": manifest.schema})
    else:
        console.print(f"{manifest.party}: {len(manifest.files)} files, {size:,} bytes, in {target}", soft_wrap=True)


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")],
    home: Annotated[Path, typer.Argument(metavar="DIR", help="Where it goes; what is there now is kept beside it.")],
    passphrase_file: Passphrase,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="NOTE", help="The log's newest cosigned checkpoint, as log.witnessed."),
    ] = None,
    accept_older: Annotated[
        bool, typer.Option("--accept-older", help="Restore a ledger that is known to have forgotten releases.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a party's directory back, whole or not at all. Its process must not run meanwhile.

    A ledger is refused (LEDGER_OLDER) if its party is known to have cosigned more of the log than it says: by the
    ledger in DIR, or by the checkpoint that the coordinator sends. A data node begins stopped: after an hour, in which
    all questions that it may have forgotten expire, its owner lets it answer again (credfed node resume DIR).
    """
    with reported_errors(as_json):
        note = None if checkpoint is None else _read(checkpoint)
        restored = put_back(source, home, _passphrase(passphrase_file), note, accept_older, int(time.time()))
    made = datetime.datetime.fromtimestamp(restored.manifest.made, datetime.UTC)
    if as_json:
        shown = {"party": restored.manifest.party, "made": made.isoformat(), "stopped": restored.stopped}
        print_json(shown | {"files": len(restored.manifest.files)})
        return
    console.print(f"{restored.manifest.party}: as of {made:%Y-%m-%d %H:%M:%S} UTC, in {home}", soft_wrap=True)
    if restored.stopped:
        console.print(f"the node is stopped; after an hour: credfed node resume {home}", soft_wrap=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", code="NOT_READABLE") from error


def _passphrase(path: Path) -> bytes:
    lines = _read(path).splitlines()
    if not lines or len(lines[0]) < SHORTEST:
        raise ConfigurationError(f"{path}: a passphrase has at least {SHORTEST} bytes", code="WEAK_PASSPHRASE")
    return lines[0]
