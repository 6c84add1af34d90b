"""What each party keeps: a data node its runs, answers and parts; a bank its questions; both, what they cosigned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from nodes.ledger.answers import AnswerRecords
from nodes.ledger.askers import AskerRecords
from nodes.ledger.consents import ConsentRecords
from nodes.ledger.database import Database
from nodes.ledger.location import BAD_LEDGER, Location, connect, name_of
from nodes.ledger.objections import ObjectionRecords
from nodes.ledger.parts import PartRecords
from nodes.ledger.questions import QuestionRecords
from nodes.ledger.quotas import QuotaRecords
from nodes.ledger.repairs import RepairRecords
from nodes.ledger.runs import RunRecords
from nodes.ledger.schema import migrate
from nodes.ledger.shown import ShownConsents
from nodes.ledger.spending import SpendingRecords
from nodes.ledger.subject_view import SubjectView
from nodes.ledger.training_messages import TrainingMessageRecords
from nodes.ledger.witness import WitnessRecords
from protocols.errors import ConfigurationError

FAILED: Final = "LEDGER_FAILED"


class _PartyLedger:
    """The common ground of every party's ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.witness = WitnessRecords(database)
        self.training = TrainingMessageRecords(database)

    def group(self) -> AbstractContextManager[None]:
        """Make everything recorded inside durable together, at the end; nothing may leave before.

        A record that fails inside is undone alone if its error is handled inside; an error that leaves the group
        undoes all of it. May be used by several threads: a second one waits until the first group is durable.
        """
        return self._database.transaction()

    @contextmanager
    def failing_clearly(self) -> Iterator[None]:
        """Let what cannot be recorded inside raise ConfigurationError, code LEDGER_FAILED."""
        try:
            yield
        except self._database.error as error:
            raise ConfigurationError("the ledger cannot be written", code=FAILED) from error

    def close(self) -> None:
        """Close the ledger; everything recorded is already durable."""
        self._database.close()


class NodeLedger(_PartyLedger):
    """A data node's ledger."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.spending = SpendingRecords(database)
        self.runs = RunRecords(database, self.spending)
        self.quotas = QuotaRecords(database)
        self.answers = AnswerRecords(database, self.quotas)
        self.consents = ConsentRecords(database)
        self.askers = AskerRecords(database)
        self.parts = PartRecords(database)
        self.objections = ObjectionRecords(database)
        self.repairs = RepairRecords(database)
        self.subjects = SubjectView(database)


class BankLedger(_PartyLedger):
    """A bank's ledger."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.questions = QuestionRecords(database)
        self.shown = ShownConsents(database)


def open_node_ledger(location: Location) -> NodeLedger:
    """Open or create a data node's ledger. Raises: ConfigurationError, codes BAD_LEDGER, LEDGER_TOO_NEW."""
    return NodeLedger(_open(location))


def open_bank_ledger(location: Location) -> BankLedger:
    """Open or create a bank's ledger. Raises: ConfigurationError, codes BAD_LEDGER, LEDGER_TOO_NEW."""
    return BankLedger(_open(location))


def _open(location: Location) -> Database:
    database = Database(connect(location))
    try:
        migrate(database)
    except ConfigurationError as error:
        database.close()
        raise ConfigurationError(f"{name_of(location)}: {error}", code=error.code) from error
    except database.error as error:
        database.close()
        reason = type(error).__name__
        raise ConfigurationError(
            f"{name_of(location)}: cannot be opened as a ledger ({reason})", code=BAD_LEDGER
        ) from None
    return database
