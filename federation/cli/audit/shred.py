"""`credfed audit shred` and `retain`: make bodies unreadable for ever, while the log goes on verifying."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from federation.audit.log.keys import read_log_keys
from federation.audit.storage.location import coordinator_home
from federation.audit.views.auditor import Auditor, order_shredding
from federation.cli.audit.criteria import read_tag
from federation.cli.audit.logs import open_log
from federation.cli.audit.pinned import pinned_cards
from federation.cli.audit.viewing import open_desk
from federation.cli.output import console, print_json, reported_errors
from nodes.keystore import read_keys
from protocols.errors import ConfigurationError
from protocols.transparency.orders import RETENTION_YEARS

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def shred(
    directory: Directory,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="An enterprise's tag, as leaves show it.")] = None,
    leaf: Annotated[
        list[int] | None, typer.Option("--leaf", help="The tag of this leaf, of a single question.", min=0)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Destroy the keys to all bodies about an enterprise, for good: for auditors, for itself, in every copy.

    An enterprise has one tag at each bank that asked about it, so name them all. A leaf, SHRED, says which tags were
    destroyed, and by whose order: the coordinator's, with its own key. Leaves stay, and the log verifies as before.
    There is no way back.

    Example: credfed audit shred OUT --leaf 94
    """
    with reported_errors(as_json):
        tags = {read_tag(text) for text in tag or []} | {_tag_of(directory, index) for index in leaf or []}
        if not tags:
            raise ConfigurationError("name what to shred: --tag or --leaf", code="BAD_OPTION")
        logged = _order(directory, tuple(sorted(tags)), 0)
    _done({"tags": sorted(tag.hex() for tag in tags), "leaf": logged}, f"{len(tags)} tags", as_json)


def retain(
    directory: Directory,
    years: Annotated[
        int, typer.Option("--years", help="For how many years after their own bodies are kept.", min=RETENTION_YEARS)
    ] = RETENTION_YEARS,
    as_json: AsJson = False,
) -> None:
    """Destroy all bodies that are older than the retention, keys and bytes, by whole calendar years (UTC).

    With five years, the bodies of 2026 are destroyed from the first of January 2032 on, and none before: the
    coordinator refuses to shred a younger year. A leaf, SHRED, says so; leaves stay, and the log verifies as before.
    Run it once a year. A log in PostgreSQL is rewritten once for it, which takes the space and a minute or two.
    """
    with reported_errors(as_json):
        before = datetime.now(UTC).year - years
        logged = _order(directory, (), before)
    _done({"before_year": before, "leaf": logged}, f"all years before {before}", as_json)


def _order(directory: Path, tags: tuple[bytes, ...], before_year: int) -> int:
    """Have the coordinator shred, running or not; return the leaf that says so."""
    home = coordinator_home(directory)
    operator = Auditor(read_keys(home), pinned_cards(directory).cards, read_log_keys(home).log)
    with open_desk(directory) as desk:
        return order_shredding(desk, operator, tags, before_year).leaf


def _tag_of(directory: Path, index: int) -> bytes:
    with open_log(directory) as log:
        subject = log.leaf(index).commitment().subject if index < log.size else b""
    if not subject:
        raise ConfigurationError(f"leaf {index} is about no single enterprise", code="NO_SUCH_LEAF")
    return subject


def _done(told: dict[str, object], what: str, as_json: bool) -> None:
    if as_json:
        print_json(told)
    else:
        console.print(f"[green]shredded[/] {what}; leaf {told['leaf']} says so", soft_wrap=True)
