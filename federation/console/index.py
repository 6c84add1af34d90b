"""Where the log's entries stand, by who, what and when, so that no page reads the whole log.

The index is the console's own copy of what the leaves say, in `index.sqlite` in its folder. It decides only which
leaves are looked at: what a page shows comes from the leaves themselves. It states the root that it was made from, and
is made anew if the log no longer has it.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import RLock
from typing import Final

from federation.audit.reading.log_view import LoggedLeaf, LogView
from federation.audit.reading.search import decision_of
from federation.console.about import ABOUT_NAMES, ABOUT_TABLES, add_request, entries_about
from federation.console.shapes import SHAPE_TABLES, Shapes
from federation.console.wanted import EVER, Page, Place, Wanted
from protocols.enterprise.credential import is_pseudonym
from protocols.transparency.leaves import LeafKind

INDEX_FILE: Final = "index.sqlite"
DAY_MS: Final = 86_400_000
COUNTED: Final = 10_000
_VERSION: Final = 3
_OBJECTIONS: Final = frozenset({LeafKind.OBJECTION, LeafKind.DECISION})
_CHUNK: Final = 5_000
_OPEN_QUERIES: Final = 50_000
_TABLES: Final = f"""
{SHAPE_TABLES}{ABOUT_TABLES}
CREATE TABLE IF NOT EXISTS entry (leaf INTEGER PRIMARY KEY, at INTEGER NOT NULL, shape INTEGER NOT NULL,
    reference BLOB, subject BLOB);
CREATE TABLE IF NOT EXISTS covered (one INTEGER PRIMARY KEY CHECK (one = 1), origin TEXT, size INTEGER, root BLOB);
CREATE TABLE IF NOT EXISTS objected (leaf INTEGER PRIMARY KEY);
CREATE INDEX IF NOT EXISTS by_reference ON entry (reference, leaf) WHERE reference IS NOT NULL;
PRAGMA user_version = {_VERSION};
"""
_INDEXES: Final = """
CREATE INDEX IF NOT EXISTS by_shape ON entry (shape, at);
CREATE INDEX IF NOT EXISTS by_subject ON entry (subject, at) WHERE subject IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_time ON entry (at);
"""
_NAMES: Final = ("entry", "objected", *ABOUT_NAMES, "shape", "word", "covered")
_EMPTY: Final = "".join(f"DELETE FROM {name};" for name in _NAMES)  # noqa: S608  our own names
_ORDERS: Final = {
    "ASC": " AND at < ? AND (at, leaf) > (?, ?) ORDER BY at, leaf LIMIT ?",
    "DESC": " AND at >= ? AND (at, leaf) < (?, ?) ORDER BY at DESC, leaf DESC LIMIT ?",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """What the index was made from."""

    origin: str
    size: int
    root: bytes = field(repr=False)


class Index:
    """The index of one log; any thread may use it."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises: sqlite3.Error."""
        self._lock = RLock()
        self._work = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._work.execute("PRAGMA journal_mode=WAL")
        self._work.execute("PRAGMA synchronous=NORMAL")
        if self._work.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            self._work.executescript("".join(f"DROP TABLE IF EXISTS {name};" for name in (*_NAMES, "facet")))
        self._work.executescript(_TABLES)
        self._shapes = Shapes(self._work)
        self._asked: dict[bytes, tuple[str, str]] = {}
        self.made = 0
        """How often it was made anew, for another log: what was read by it before says nothing of this one."""

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._work.close()

    def covered(self) -> Origin | None:
        """Return what the index was made from, None if nothing yet."""
        with self._lock:
            row = self._work.execute("SELECT origin, size, root FROM covered").fetchone()
        return None if row is None else Origin(*row)

    # ---- keeping up with the log

    def follow(self, log: LogView, progress: Callable[[int, int], None] = lambda done, size: None) -> None:
        """Take in what the log has more than the index, all of it if they do not fit. Raises: MalformedMessage."""
        with self._lock:
            covered = self.covered()
            if covered is not None and (
                covered.origin != log.keys.log.name or log.root_of(covered.size) != covered.root
            ):
                self._work.executescript(_EMPTY)
                self.made += 1
                self._forget()
                covered = None
            start = 0 if covered is None else covered.size
            if covered is not None and start == log.size:
                return
            self._take_in(log, start, progress)
            self._work.executescript(_INDEXES)
            if start == 0:
                self._work.execute("ANALYZE")

    def _forget(self) -> None:
        self._shapes.forget()
        self._asked.clear()

    def _take_in(self, log: LogView, start: int, progress: Callable[[int, int], None]) -> None:
        self._work.execute("BEGIN")
        try:
            for number, logged in enumerate(log.leaves(start), 1):
                self._add(logged)
                if number % _CHUNK == 0:
                    progress(logged.index + 1, log.size)
            self._shapes.settle()
            state = (log.keys.log.name, log.size, log.root_of(log.size))
            self._work.execute("INSERT OR REPLACE INTO covered VALUES (1, ?, ?, ?)", state)
            self._work.execute("COMMIT")
        except BaseException:
            self._work.execute("ROLLBACK")
            self._forget()
            raise

    def _add(self, logged: LoggedLeaf) -> None:
        leaf = logged.commitment()
        values = dict(leaf.attributes)
        bank, model = str(values.get("bank", "")), str(values.get("model_hash", ""))
        if leaf.kind is LeafKind.REQUEST:
            self._asked[leaf.reference] = bank, model
        elif leaf.reference and not (bank and model):
            asked = self._asked_by(leaf.reference)
            bank, model = bank or asked[0], model or asked[1]
        actor = "" if is_pseudonym(leaf.actor) else leaf.actor  # as many as enterprises: nothing to choose from
        shape = (leaf.kind.value, actor, bank, leaf.purpose, decision_of(leaf), model, str(values.get("code", "")))
        row = (logged.index, leaf.timestamp_ms, self._shapes.add(shape), leaf.reference or None, leaf.subject or None)
        self._work.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", row)
        if leaf.kind is LeafKind.REQUEST:
            add_request(self._work, logged)
        if leaf.kind in _OBJECTIONS or (leaf.kind is LeafKind.REQUEST and "objection" in values):
            self._work.execute("INSERT INTO objected VALUES (?)", (logged.index,))

    def _asked_by(self, reference: bytes) -> tuple[str, str]:
        """Return bank and model of the newest request under this id, from which its other leaves have them."""
        found = self._asked.get(reference)
        if found is None:
            query = """SELECT ifnull(b.text, ''), ifnull(m.text, '') FROM entry e JOIN shape s ON s.id = e.shape
                LEFT JOIN word b ON b.id = s.bank LEFT JOIN word m ON m.id = s.model
                WHERE e.reference = ? AND s.kind = ? ORDER BY e.leaf DESC LIMIT 1"""
            row = self._work.execute(query, (reference, self._shapes.known(LeafKind.REQUEST.value))).fetchone()
            found = ("", "") if row is None else (row[0], row[1])
            if len(self._asked) >= _OPEN_QUERIES:
                self._asked.clear()
            self._asked[reference] = found
        return found

    # ---- asking

    def facet(self, name: str) -> list[str]:
        """Return all values that entries have under this name, sorted."""
        with self._lock:
            return self._shapes.values(name)

    def page(self, wanted: Wanted, size: int, before: Place | None = None, after: Place | None = None) -> Page:
        """Return `size` matching entries: the newest, or those next older than `before`, or next newer than `after`."""
        edge, order = (after, "ASC") if after is not None else (before, "DESC")
        with self._lock:
            if wanted.few:
                rows = self._about(wanted, order, size + 1, edge)
            elif wanted.facets or wanted.model:
                shapes = self._shapes.matching(wanted.facets, wanted.model)
                lists = [self._of_shape(shape, wanted, order, edge) for shape in shapes]
                rows = list(islice(heapq.merge(*lists, reverse=order == "DESC"), size + 1))
            else:
                rows = self._rows("1", (), wanted, order, size + 1, edge)
        found, more = [Place(*row) for row in rows[:size]], len(rows) > size
        if order == "ASC":
            return Page(tuple(reversed(found)), newer=more, older=True)
        return Page(tuple(found), newer=before is not None, older=more)

    def _of_shape(self, shape: int, wanted: Wanted, order: str, edge: Place | None) -> Iterator[tuple[int, int]]:
        """Yield the entries of one shape in order, more of them at a time the more are asked for."""
        size, at = 1, edge
        while rows := self._rows("shape = ?", (shape,), wanted, order, size, at):
            yield from rows
            size, at = 8 * size, Place(*rows[-1])

    def _rows(
        self, where: str, values: Sequence[int], wanted: Wanted, order: str, limit: int, edge: Place | None
    ) -> list[tuple[int, int]]:
        """Return entries in order from where they begin: at the edge, or at the end of the time that is asked for."""
        since, until = wanted.bounds
        if order == "ASC":
            begin, end = max(since, edge.at) if edge else since, until
            leaf = edge.leaf if edge and edge.at >= since else -1
        else:
            begin, end = min(until, edge.at) if edge else until, since
            leaf = edge.leaf if edge and edge.at < until else 0
        query = f"SELECT at, leaf FROM entry WHERE {where}{_ORDERS[order]}"  # noqa: S608
        rows: list[tuple[int, int]] = self._work.execute(query, (*values, end, begin, leaf, limit)).fetchall()
        return rows

    def _about(self, wanted: Wanted, order: str, limit: int, edge: Place | None) -> list[tuple[int, int]]:
        """Return the entries about one enterprise or consent: few, so that these are sorted."""
        shapes = self._shapes.matching(wanted.facets, wanted.model)
        (since, until), descending = wanted.bounds, order == "DESC"
        rows = entries_about(self._work, wanted.subject, wanted.consent)
        found = sorted(((at, leaf) for at, leaf, shape in rows if shape in shapes and since <= at < until))
        if edge is not None:
            here = (edge.at, edge.leaf)
            found = [row for row in found if (row < here if descending else row > here)]
        return found[::-1][:limit] if descending else found[:limit]

    def span(self) -> tuple[int, int]:
        """Return the times of the oldest and the newest entry; of an empty index, twice 0."""
        with self._lock:
            query = "SELECT ifnull((SELECT min(at) FROM entry), 0), ifnull((SELECT max(at) FROM entry), 0)"
            first, last = self._work.execute(query).fetchone()
        return first, last

    def reach(self, wanted: Wanted, size: int) -> range:
        """Return from which to which of the first `size` leaves entries of a time reach; empty if there are none."""
        query = "SELECT min(leaf), max(leaf) FROM entry WHERE at >= ? AND at < ? AND leaf < ?"
        with self._lock:
            first, last = self._work.execute(query, (*wanted.bounds, size)).fetchone()
        return range(0) if first is None else range(first, last + 1)

    def count(self, wanted: Wanted) -> int:
        """Return how many entries match; within a time, counted no further than one more than `COUNTED`."""
        with self._lock:
            if wanted.few:
                return len(self._about(wanted, "ASC", COUNTED + 1, None))
            shapes = self._shapes.matching(wanted.facets, wanted.model)
            if wanted.bounds == EVER:
                return sum(shapes.values())
            found = 0
            query = "SELECT count(*) FROM (SELECT 1 FROM entry WHERE shape = ? AND at >= ? AND at < ? LIMIT ?)"
            for shape in shapes:
                limits = (*wanted.bounds, COUNTED + 1 - found)
                found += int(self._work.execute(query, (shape, *limits)).fetchone()[0])
            return found

    def of_reference(self, reference: bytes, limit: int) -> list[int]:
        """Return the leaves of one query or run, in order."""
        query = "SELECT leaf FROM entry WHERE reference = ? ORDER BY leaf LIMIT ?"
        with self._lock:
            return [leaf for (leaf,) in self._work.execute(query, (reference, limit))]

    def objections(self, after: int = -1) -> list[int]:
        """Return the entries after a leaf of all objections: filings, decisions, questions asked again after them."""
        query = "SELECT leaf FROM objected WHERE leaf > ? ORDER BY leaf"
        with self._lock:
            return [leaf for (leaf,) in self._work.execute(query, (after,))]

    def by_day(self, kind: LeafKind, since_ms: int) -> dict[int, int]:
        """Return how many entries of a kind each day has, by the day's number since 1970 UTC."""
        days: dict[int, int] = {}
        query = f"SELECT at / {DAY_MS}, count(*) FROM entry WHERE shape = ? AND at >= ? GROUP BY 1"  # noqa: S608
        with self._lock:
            for shape in self._shapes.matching((("kind", kind.value),)):
                for day, entries in self._work.execute(query, (shape, since_ms)):
                    days[day] = days.get(day, 0) + entries
        return days

    def newest(self, kinds: Sequence[LeafKind]) -> Place | None:
        """Return the newest entry of these kinds."""
        found = [self.page(Wanted(facets=(("kind", kind.value),)), 1).places for kind in kinds]
        places = [place for places in found for place in places]
        return max(places, key=lambda place: (place.at, place.leaf), default=None)
