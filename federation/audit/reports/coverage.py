"""In what share of a month's questions each node answered, as far as the log can tell.

A node is one that ever released with the question's model: which nodes were asked is not in the log but by that. What
the log never knows is what an answer said: whether the office had a record of the enterprise (`absent`), or an old one
(`stale`), is sealed to the bank inside the answer.
"""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec


class NodeCoverage(msgspec.Struct, frozen=True):
    """One node: the questions that went to it, and how it met them; of batches, enterprises count each."""

    node: str
    questions: int
    released: int
    denied: int
    silent: int
    enterprises: int
    answered: int

    @property
    def share(self) -> float | None:
        """The share of enterprises about whom it answered; None if it was asked about none."""
        return self.answered / self.enterprises if self.enterprises else None


class Coverage(msgspec.Struct, frozen=True):
    """All nodes, and what stands beside them.

    `whole` are questions in which every node answered; `stopped` those that a party which serves no model ended, such
    as the coordinator, so that no node was asked; `unnamed` those that went to more nodes than have ever released.
    """

    nodes: tuple[NodeCoverage, ...]
    questions: int
    whole: int
    stopped: int
    unnamed: int


_REACHED: Final = """
CREATE TEMP TABLE reached AS
SELECT q.leaf, q.model, q.nodes, q.enterprises FROM question q
WHERE q.at >= :since AND q.at < :until AND NOT EXISTS (
    SELECT 1 FROM answer a WHERE a.asked = q.leaf AND NOT a.released
        AND a.node NOT IN (SELECT node FROM roster) AND NOT EXISTS (
            SELECT 1 FROM answer b WHERE b.asked = q.leaf AND b.node <> a.node))"""

_NODES: Final = """
SELECT r.node, count(*), sum(given.released), sum(given.denied), sum(NOT given.released AND NOT given.denied),
    sum(q.enterprises), sum(CASE WHEN given.released THEN max(0, q.enterprises - given.without) ELSE 0 END)
FROM reached q JOIN roster r ON r.model = q.model
JOIN (
    SELECT q.leaf AS leaf, r.node AS node, ifnull(max(a.released), 0) AS released,
        ifnull(max(NOT a.released), 0) AND NOT ifnull(max(a.released), 0) AS denied, ifnull(max(a.denied), 0) AS without
    FROM reached q JOIN roster r ON r.model = q.model LEFT JOIN answer a ON a.asked = q.leaf AND a.node = r.node
    GROUP BY q.leaf, r.node
) given ON given.leaf = q.leaf AND given.node = r.node
GROUP BY r.node ORDER BY r.node"""

_TOTALS: Final = """
SELECT (SELECT count(*) FROM question WHERE at >= :since AND at < :until), count(*),
    ifnull(sum(q.nodes <= (SELECT count(DISTINCT a.node) FROM answer a WHERE a.asked = q.leaf AND a.released)), 0),
    ifnull(sum(q.nodes > (SELECT count(*) FROM roster r WHERE r.model = q.model)), 0)
FROM reached q"""


def coverage(work: sqlite3.Connection, since_ms: int, until_ms: int) -> Coverage:
    """Return the coverage of the questions of a period, from the `facts` of a log."""
    bounds = {"since": since_ms, "until": until_ms}
    work.execute("DROP TABLE IF EXISTS temp.reached")
    work.execute(_REACHED, bounds)
    nodes = tuple(NodeCoverage(*row) for row in work.execute(_NODES))
    questions, reached, whole, unnamed = work.execute(_TOTALS, bounds).fetchone()
    return Coverage(nodes, questions, whole, questions - reached, unnamed)
