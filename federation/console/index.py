"""Where the log's entries stand, by who, what and when, so that no page reads the whole log.

The index is the console's own copy of what the leaves say, in `index.sqlite` in its folder. It decides only which
leaves are looked at: what a page shows comes from the leaves themselves. It states the root that it was made from, and
is made anew if the log no longer has it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Final

from federation.audit.reading import LoggedLeaf, LogView
from federation.audit.search import decision_of, tags_of
from protocols.transparency.leaves import LeafKind

INDEX_FILE: Final = "index.sqlite"
FACETS: Final = ("kind", "actor", "bank", "purpose", "decision", "model")
DAY_MS: Final = 86_400_000
COUNTED: Final = 10_000
_OBJECTIONS: Final = frozenset({LeafKind.OBJECTION, LeafKind.DECISION})
_CHUNK: Final = 5_000
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS facet (name TEXT NOT NULL, word INTEGER NOT NULL, PRIMARY KEY (name, word)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
    leaf INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind INTEGER, actor INTEGER, bank INTEGER, purpose INTEGER,
    decision INTEGER, model INTEGER, reference BLOB, subject BLOB);
CREATE TABLE IF NOT EXISTS covered (one INTEGER PRIMARY KEY CHECK (one = 1), origin TEXT, size INTEGER, root BLOB);
CREATE TABLE IF NOT EXISTS batched (tag BLOB, reference BLOB, PRIMARY KEY (tag, reference)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objected (leaf INTEGER PRIMARY KEY);
CREATE INDEX IF NOT EXISTS by_reference ON entry (reference, leaf) WHERE reference IS NOT NULL;
"""
_INDEXES: Final = "".join(
    f"CREATE INDEX IF NOT EXISTS by_{name} ON entry ({name}, at) WHERE {name} IS NOT NULL;\n"
    for name in (*FACETS, "subject")
) + "CREATE INDEX IF NOT EXISTS by_time ON entry (at);\n"  # fmt: skip


_ABOUT: Final = """leaf IN (
    SELECT leaf FROM entry WHERE subject = ?
    UNION SELECT e.leaf FROM batched JOIN entry e ON e.reference = batched.reference WHERE batched.tag = ?)"""
"""About one enterprise: entries that carry its tag, and those of the batches whose request names it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What entries must be; "" and None ask nothing. Units: milliseconds since 1970, `until_ms` excluded.

    `model` is the beginning of a hash; `facets` are exact values by name; `subject` is a whole tag.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    facets: tuple[tuple[str, str], ...] = ()
    model: str = ""
    subject: bytes = b""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands in the order of the pages: by time, then by leaf."""

    at: int
    leaf: int


@dataclass(frozen=True, slots=True)
class Page:
    """Entries from the newest to the oldest, and whether there are newer and older ones that match."""

    places: tuple[Place, ...]
    newer: bool
    older: bool


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
        self._work.executescript(_TABLES)
        self._words: dict[str, int] = {}
        self._facets: set[tuple[str, int]] = set()

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
        self._work.executescript(
            "DELETE FROM entry; DELETE FROM objected; DELETE FROM batched;"
            "DELETE FROM facet; DELETE FROM word; DELETE FROM covered;"
        )
        self._words.clear()
        self._facets.clear()

    def _take_in(self, log: LogView, start: int, progress: Callable[[int, int], None]) -> None:
        self._work.execute("BEGIN")
        try:
            for number, logged in enumerate(log.leaves(start), 1):
                self._add(logged)
                if number % _CHUNK == 0:
                    progress(logged.index + 1, log.size)
            state = (log.keys.log.name, log.size, log.root_of(log.size))
            self._work.execute("INSERT OR REPLACE INTO covered VALUES (1, ?, ?, ?)", state)
            self._work.execute("COMMIT")
        except BaseException:
            self._work.execute("ROLLBACK")
            self._words.clear()
            self._facets.clear()
            raise

    def _add(self, logged: LoggedLeaf) -> None:
        leaf = logged.commitment()
        values = dict(leaf.attributes)
        asked: tuple[int | None, int | None] = (None, None)
        if leaf.reference and leaf.kind is not LeafKind.REQUEST:
            asked = self._asked(leaf.reference)
        bank, model = values.get("bank"), values.get("model_hash")
        row = (
            logged.index,
            leaf.timestamp_ms,
            self._facet("kind", leaf.kind.value),
            self._facet("actor", leaf.actor),
            asked[0] if bank is None else self._facet("bank", str(bank)),
            self._facet("purpose", leaf.purpose),
            self._facet("decision", decision_of(leaf)),
            asked[1] if model is None else self._facet("model", str(model)),
            leaf.reference or None,
            leaf.subject or None,
        )
        self._work.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

        if leaf.kind is LeafKind.REQUEST and not leaf.subject:
            tags = ((tag, leaf.reference) for tag in tags_of(logged))
            self._work.executemany("INSERT OR IGNORE INTO batched VALUES (?, ?)", tags)
        if leaf.kind in _OBJECTIONS or (leaf.kind is LeafKind.REQUEST and "objection" in values):
            self._work.execute("INSERT INTO objected VALUES (?)", (logged.index,))

    def _asked(self, reference: bytes) -> tuple[int | None, int | None]:
        """Return bank and model of the newest request under this id, from which its other leaves have them."""
        query = "SELECT bank, model FROM entry WHERE reference = ? AND kind = ? ORDER BY leaf DESC LIMIT 1"
        row: tuple[int | None, int | None] | None = self._work.execute(
            query, (reference, self._word(LeafKind.REQUEST.value))
        ).fetchone()
        return row or (None, None)

    def _word(self, text: str) -> int:
        number = self._words.get(text)
        if number is None:
            self._work.execute("INSERT OR IGNORE INTO word (text) VALUES (?)", (text,))
            number = int(self._work.execute("SELECT id FROM word WHERE text = ?", (text,)).fetchone()[0])
            self._words[text] = number
        return number

    def _facet(self, name: str, text: str) -> int | None:
        if not text:
            return None
        word = self._word(text)
        if (name, word) not in self._facets:
            self._work.execute("INSERT OR IGNORE INTO facet VALUES (?, ?)", (name, word))
            self._facets.add((name, word))
        return word

    # ---- asking

    def facet(self, name: str) -> list[str]:
        """Return all values that entries have under this name, sorted."""
        query = "SELECT text FROM facet JOIN word ON word.id = facet.word WHERE facet.name = ? ORDER BY text"
        with self._lock:
            return [text for (text,) in self._work.execute(query, (name,))]

    def page(self, wanted: Wanted, size: int, before: Place | None = None, after: Place | None = None) -> Page:
        """Return `size` matching entries: the newest, or those next older than `before`, or next newer than `after`."""
        conditions, values = self._conditions(wanted)
        edge, order = (after, "ASC") if after is not None else (before, "DESC")
        if edge is not None:
            conditions.append(f"(at, leaf) {'>' if order == 'ASC' else '<'} (?, ?)")
            values += [edge.at, edge.leaf]
        where = " AND ".join(conditions) or "1"
        time = "+at" if wanted.subject else "at"  # few entries are about one enterprise: these are sorted, not the rest
        query = f"SELECT at, leaf FROM entry WHERE {where} ORDER BY {time} {order}, leaf {order} LIMIT ?"  # noqa: S608
        with self._lock:
            rows = self._work.execute(query, (*values, size + 1)).fetchall()
        found = [Place(*row) for row in rows[:size]]
        more = len(rows) > size
        if order == "ASC":
            return Page(tuple(reversed(found)), newer=more, older=True)
        return Page(tuple(found), newer=before is not None, older=more)

    def count(self, wanted: Wanted) -> int:
        """Return how many entries match, counted no further than one more than `COUNTED`."""
        conditions, values = self._conditions(wanted)
        where = " AND ".join(conditions) or "1"
        query = f"SELECT count(*) FROM (SELECT 1 FROM entry WHERE {where} LIMIT ?)"  # noqa: S608
        with self._lock:
            return int(self._work.execute(query, (*values, COUNTED + 1)).fetchone()[0])

    def _conditions(self, wanted: Wanted) -> tuple[list[str], list[int | bytes]]:
        """Return the conditions in SQL, whose every value is a parameter."""
        conditions: list[str] = []
        values: list[int | bytes] = []
        for condition, bound in (("at >= ?", wanted.since_ms), ("at < ?", wanted.until_ms)):
            if bound is not None:
                conditions.append(condition)
                values.append(bound)
        for name, text in wanted.facets:
            conditions.append(f"{name} = ?")
            values.append(self._known(text))
        if wanted.model:
            models = [self._known(text) for text in self.facet("model") if text.startswith(wanted.model)]
            conditions.append(f"model IN ({', '.join('?' * len(models))})" if models else "0")
            values += models
        if wanted.subject:
            conditions.append(_ABOUT)
            values += [wanted.subject, wanted.subject]
        return conditions, values

    def _known(self, text: str) -> int:
        with self._lock:
            row = self._work.execute("SELECT id FROM word WHERE text = ?", (text,)).fetchone()
        return -1 if row is None else int(row[0])

    def of_reference(self, reference: bytes, limit: int) -> list[int]:
        """Return the leaves of one query or run, in order."""
        query = "SELECT leaf FROM entry WHERE reference = ? ORDER BY leaf LIMIT ?"
        with self._lock:
            return [leaf for (leaf,) in self._work.execute(query, (reference, limit))]

    def objections(self) -> list[int]:
        """Return the entries of all objections: their filing, decisions, and the questions asked again after them."""
        with self._lock:
            return [leaf for (leaf,) in self._work.execute("SELECT leaf FROM objected ORDER BY leaf")]

    def by_day(self, kind: LeafKind, since_ms: int) -> dict[int, int]:
        """Return how many entries of a kind each day has, by the day's number since 1970 UTC."""
        query = f"SELECT at / {DAY_MS}, count(*) FROM entry WHERE kind = ? AND at >= ? GROUP BY 1"  # noqa: S608
        with self._lock:
            return dict(self._work.execute(query, (self._known(kind.value), since_ms)).fetchall())

    def newest(self, kinds: Sequence[LeafKind]) -> Place | None:
        """Return the newest entry of these kinds."""
        found = [self.page(Wanted(facets=(("kind", kind.value),)), 1).places for kind in kinds]
        places = [place for places in found for place in places]
        return max(places, key=lambda place: (place.at, place.leaf), default=None)
