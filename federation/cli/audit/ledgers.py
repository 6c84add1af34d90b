"""What the parties of a folder hold against the coordinator's log, read from their own ledgers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from federation.audit.reconciliation.reconcile import OwnEntry
from nodes.ledger.location import ledgers_below
from nodes.ledger.reading import LedgerReader, read_ledger
from protocols.transparency.leaves import LeafKind


@contextmanager
def open_ledgers(directory: Path) -> Iterator[dict[str, LedgerReader]]:
    """Yield a reader of the ledger of every party with a folder in `directory`, by party; none may be there.

    Raises: ConfigurationError naming a file that is no ledger.
    """
    with ExitStack() as opened:
        yield {
            party: opened.enter_context(read_ledger(location)) for party, location in ledgers_below(directory).items()
        }


def own_entries(ledger: LedgerReader) -> Iterator[OwnEntry]:
    """Yield what one party has on record: a node's answers, a bank's questions, both's training messages."""
    for answer in ledger.answers():
        yield OwnEntry(answer.query, LeafKind(answer.decision), answer.evidence, answer.policy)
    for question in ledger.questions():
        yield OwnEntry(question.query, LeafKind.REQUEST, question.request)
        if question.acknowledgement is not None:
            yield OwnEntry(question.query, LeafKind.ACK, question.acknowledgement)
    for message in ledger.training_messages():
        yield OwnEntry(message.transcript, LeafKind.TRAIN_STEP, message.evidence, message.policy)
