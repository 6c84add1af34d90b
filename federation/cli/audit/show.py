"""`credfed audit show`: one leaf in words, once its proof holds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from federation.audit.reading.log_view import LoggedLeaf, LogView
from federation.audit.reading.records import LeafRecord, describe
from federation.audit.views.auditor import Reach
from federation.cli.audit.logs import open_log
from federation.cli.audit.viewing import As, viewer
from federation.cli.output import console, print_json, reported_errors
from protocols.errors import ConfigurationError
from protocols.transparency.checkpoints import LogKeys
from protocols.transparency.shredding import decode_body

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation, or of an export.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show(
    directory: Directory,
    leaf: Annotated[int, typer.Argument(metavar="LEAF", help="Number of the leaf, counted from 0.", min=0)],
    proof: Annotated[bool, typer.Option("--proof", help="Print only the proof, a C2SP .tlog-proof file.")] = False,
    as_: As = None,
    as_json: AsJson = False,
) -> None:
    """Show one leaf in words, after verifying the proof that it is in the log.

    The proof ties the leaf to a checkpoint that the log signed and a quorum of witnesses cosigned; with --proof it is
    printed in the C2SP form, which convinces whoever holds the leaf and the public keys, offline. A leaf that is newer
    than the last witnessed checkpoint rests on the log's own signature so far, and `show` says so.

    Exit code 0 if the proof holds, 1 if not, 2 if there is no such leaf.
    """
    with reported_errors(as_json), open_log(directory) as log:
        record, witnessed, tree = _prove(log, leaf)
        body = _body(log.leaf(leaf))
        if as_ is not None:
            with viewer(directory, as_) as looking:
                looking.looked("show", {"leaf": str(leaf)}, Reach(leaf, leaf, 1))
        text = log.prove(leaf).encode()
    if proof:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
    elif as_json:
        print_json({"leaf": record, "body": body, "witnessed": witnessed, "tree_size": tree, "proof": text.decode()})
    else:
        _show_leaf(record, body, witnessed, tree)


def _prove(log: LogView, index: int) -> tuple[LeafRecord, bool, int]:
    """Verify one leaf's proof; return what it says, whether witnesses stand behind it, and the tree it is proved in.

    Raises: ConfigurationError, code NO_SUCH_LEAF; MalformedMessage, VerificationFailed.
    """
    if index >= log.size:
        raise ConfigurationError(f"leaf {index} is outside a log of {log.size}", code="NO_SUCH_LEAF")
    witnessed = index < log.witnessed_size
    logged = log.leaf(index)
    verified = log.prove(index).verify(logged.data, log.keys if witnessed else LogKeys(log.keys.log))
    return describe(logged), witnessed, verified.checkpoint.size


class _Body(msgspec.Struct, frozen=True):
    """What a leaf's sealed body shows without any key: by whom, about how many enterprises, for how many auditors."""

    party: str
    statements: int
    auditors: int


def _body(logged: LoggedLeaf) -> _Body | None:
    """Return what a leaf's body shows, None if it has none. Raises: MalformedMessage."""
    if not logged.body:
        return None
    head = decode_body(logged.body).head
    return _Body(head.party, len(head.entries), len(head.auditors))


def _show_leaf(record: LeafRecord, body: _Body | None, witnessed: bool, tree: int) -> None:
    console.print(f"\n  [bold]leaf {record.index}[/]   {record.kind}   {record.time}", soft_wrap=True)
    console.print(f"  {escape(record.sentence)}\n", soft_wrap=True)
    fields = {"actor": record.actor, "purpose": record.purpose, "reference": record.reference}
    fields |= {"subject tag": record.subject, "message hash": record.evidence}
    for name, value in (fields | record.attributes).items():
        if value != "":
            console.print(f"    [dim]{name:<16}[/] {escape(str(value))}", soft_wrap=True)
    if body is not None:
        sealed = f"{body.statements} statements by {body.party} for {body.auditors} auditors: see `credfed audit open`"
        console.print(f"    [dim]{'sealed body':<16}[/] {escape(sealed)}", soft_wrap=True)
    behind = "a quorum of witnesses" if witnessed else "the log's own signature alone; it is not witnessed yet"
    console.print(f"\n  [green]proved[/] in the tree of {tree} leaves, behind which stands {behind}", soft_wrap=True)
