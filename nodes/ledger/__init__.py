"""A party's own durable record: what it released, to whom, and the exact bytes of every answer.

Read in this order: `ledgers` (what each party keeps), `database` (transactions), then the records one by one. `schema`
holds every table; `sqlite` and `postgres` are the two places it may live in; `location` says which.
"""

from nodes.ledger.answers import Answer, AnswerRecords, BatchEntry
from nodes.ledger.database import Database, DuplicateRecord
from nodes.ledger.ledgers import BankLedger, NodeLedger, open_bank_ledger, open_node_ledger
from nodes.ledger.location import ledger_location
from nodes.ledger.objections import StoredDecision, StoredObjection
from nodes.ledger.parts import StoredPart
from nodes.ledger.repairs import Repair, RepairKind
from nodes.ledger.runs import Release
from nodes.ledger.witness import WitnessRecords

__all__ = [
    "Answer",
    "AnswerRecords",
    "BankLedger",
    "BatchEntry",
    "Database",
    "DuplicateRecord",
    "NodeLedger",
    "Release",
    "Repair",
    "RepairKind",
    "StoredDecision",
    "StoredObjection",
    "StoredPart",
    "WitnessRecords",
    "ledger_location",
    "open_bank_ledger",
    "open_node_ledger",
]
