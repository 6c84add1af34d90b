"""What must hold of a federation's log and ledgers after any of its processes was killed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from federation.audit import verify_directory
from federation.audit.reconciliation.reconcile import reconcile
from federation.cli.audit.ledgers import open_ledgers, own_entries
from federation.cli.audit.logs import open_log
from federation.local.layout import BANK
from nodes.ledger import ledger_location
from nodes.ledger.quotas import QuotaRecords
from nodes.ledger.reading import read_database
from nodes.policy.rules import USUAL_QUOTA
from protocols.transparency.leaves import LeafKind
from tests.small_federation import NODES

INTERRUPTED = {
    "RELEASE_MISSING", "RESULT_MISSING", "ACK_MISSING", "RELEASE_NOT_LOGGED", "REQUEST_NOT_LOGGED", "ACK_NOT_LOGGED",
}  # fmt: skip
"""What a query that was broken off may lack. Never: an answer without its row, or two answers, or another one."""


def judge(folder: Path, scores: Sequence[tuple[str, int]]) -> None:
    """Hold log, ledgers and the bank's scores, each a query id and its receipt, against one another."""
    assert verify_directory(folder).ok
    with open_log(folder) as log, open_ledgers(folder) as readers:
        leaves = list(log.leaves())
        found = reconcile(leaves, {party: own_entries(reader) for party, reader in readers.items()})
        released = {node: {answer.query for answer in readers[node].answers()} for node in NODES}
        for node in NODES:
            rows = [answer.query for answer in readers[node].answers()]
            assert len(rows) == len(set(rows))
    assert {discrepancy.code for discrepancy in found.discrepancies} <= INTERRUPTED
    results = {leaf.index: leaf.commitment().reference for leaf in leaves if leaf.commitment().kind is LeafKind.RESULT}
    for request, receipt in scores:
        assert results[receipt].hex() == request
        assert all(bytes.fromhex(request) in released[node] for node in NODES)
    for node in NODES:
        check_quota(folder, node)


def check_quota(folder: Path, node: str) -> None:
    """Hold a node's count of today's answers against those on record."""
    today = int(time.time()) // 86_400
    with read_database(ledger_location(folder / node)) as database:
        answers = "SELECT count(*) FROM answer WHERE decision = 'RELEASE' AND subject <> '' AND day >= ?"
        entries = "SELECT count(*) FROM batch_entry WHERE code = '' AND day >= ?"
        ((singly,),), ((together,),) = (database.rows(query, today - 1) for query in (answers, entries))
        quotas = QuotaRecords(database)
        used = sum(USUAL_QUOTA.per_day - quotas.left(BANK, day, USUAL_QUOTA) for day in (today - 1, today))
    assert used == singly + together
