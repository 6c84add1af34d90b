"""What each rule counts, as queries over the facts: party, at, leaf, weight, flagged of one event a row.

A party may be followed by a space and by what the rule is about, so that each such pair has windows of its own.
"""

from __future__ import annotations

from typing import Final

ASKED: Final = "SELECT bank AS party, at, leaf, enterprises AS weight, 0 AS flagged FROM question"

OFF_HOURS: Final = """
SELECT bank AS party, at, leaf, enterprises AS weight, 0 AS flagged FROM question
WHERE (at + :offset) / 3600000 % 24 < :opens OR (at + :offset) / 3600000 % 24 >= :closes
    OR (:weekends AND ((at + :offset) / 86400000 + 3) % 7 >= 5)"""

RUNS: Final = """
SELECT bank, min(leaf), max(leaf), min(at), max(at), count(*) FROM (
    SELECT *, sum(apart) OVER (PARTITION BY bank ORDER BY at, leaf) AS run FROM (
        SELECT bank, at, leaf, ifnull(at - lag(at) OVER (PARTITION BY bank ORDER BY at, leaf) > :gap, 1) AS apart
        FROM question WHERE NOT batch))
GROUP BY bank, run HAVING count(*) >= :queries ORDER BY bank, min(at)"""
"""Whole runs of single questions, not events: bank, first and last leaf, first and last time, how many."""

DENIED_BY_CODE: Final = """
SELECT q.bank AS party, min(a.at) AS at, min(a.leaf) AS leaf, 1 AS weight, 0 AS flagged
FROM answer a JOIN question q ON q.leaf = a.asked WHERE a.code = :code AND NOT a.released GROUP BY q.leaf"""

BY_CONSENT: Final = """
SELECT q.bank || ' consent ' || u.consent AS party, q.at, q.leaf, 1 AS weight, 0 AS flagged
FROM under u JOIN question q ON q.leaf = u.leaf"""

BY_TAG: Final = """
SELECT q.bank || ' enterprise ' || lower(hex(a.subject)) AS party, q.at, q.leaf, 1 AS weight, 0 AS flagged
FROM about a JOIN question q ON q.leaf = a.leaf"""

CROWDED: Final = """
SELECT q.bank AS party, min(a.at) AS at, min(a.leaf) AS leaf, max(a.crowded) AS weight, 0 AS flagged
FROM answer a JOIN question q ON q.leaf = a.asked WHERE a.crowded > 0 GROUP BY q.leaf"""
"""By the bank that asked, and for each question the most enterprises of which one node has seen many banks ask."""

DENIED: Final = "SELECT bank AS party, at, leaf, enterprises AS weight, denied AS flagged FROM counted"

LATE: Final = """
SELECT a.node AS party, a.at, a.leaf, 1 AS weight, a.at - q.at >= :slow AS flagged
FROM answer a JOIN question q ON q.leaf = a.asked WHERE NOT q.batch"""

UNANSWERED: Final = """
SELECT r.node AS party, q.at, q.leaf, 1 AS weight,
    NOT EXISTS (SELECT 1 FROM answer WHERE asked = q.leaf AND node = r.node) AS flagged
FROM undenied q JOIN roster r ON r.model = q.model WHERE q.at <= :due
UNION ALL
SELECT '? a node of model ' || q.model, q.at, q.leaf, 1, 1
FROM undenied q WHERE q.at <= :due AND q.nodes > (SELECT count(*) FROM roster r WHERE r.model = q.model)"""
"""By node, for all that have ever released with the model; and the questions to nodes that never have."""

UNACKNOWLEDGED: Final = """
SELECT bank AS party, at, leaf, 1 AS weight, NOT EXISTS (SELECT 1 FROM ack WHERE asked = q.leaf) AS flagged
FROM question q WHERE at <= :due"""

OVERDUE: Final = """
SELECT o.node, hex(o.id) AS id, o.leaf, o.at, d.leaf, d.at FROM objection o LEFT JOIN decision d
    ON d.leaf = (SELECT min(leaf) FROM decision WHERE id = o.id AND node = o.node AND leaf > o.leaf)
WHERE ifnull(d.at, :end) - o.at > :limit AND ifnull(d.at, :since) >= :since
ORDER BY o.leaf"""
"""Whole objections, not events: node, id, leaf and time of the objection and of its decision, which may be none."""

PLACE: Final = """
SELECT min(leaf), max(leaf), min(at), max(at) FROM (
    SELECT leaf, at FROM question WHERE query = :query UNION ALL SELECT leaf, at FROM answer WHERE query = :query
    UNION ALL SELECT leaf, at FROM result WHERE query = :query
    UNION ALL SELECT leaf, at FROM ack WHERE query = :query UNION ALL SELECT leaf, at FROM step WHERE query = :query)"""
"""The first and last leaf and time of one query, or of one run by its transcript, not events."""
