"""What the parties of a folder hold against the coordinator's log, read from their own ledgers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nodes.ledger.location import ledgers_below
from nodes.ledger.reading import LedgerReader, read_ledger


@contextmanager
def open_ledgers(directory: Path) -> Iterator[dict[str, LedgerReader]]:
    """Yield a reader of the ledger of every party with a folder in `directory`, by party; none may be there.

    Raises: ConfigurationError naming a file that is no ledger.
    """
    with ExitStack() as opened:
        yield {
            party: opened.enter_context(read_ledger(location)) for party, location in ledgers_below(directory).items()
        }


def known_notes(directory: Path, origin: str) -> list[bytes]:
    """Return every note of the log that a party of the folder holds: what the log must still contain."""
    with open_ledgers(directory) as ledgers:
        return [note for ledger in ledgers.values() for note in ledger.log_notes(origin)]
