"""The shapes of entries: every combination of kind, actor, bank, purpose, decision, model and code that a log has.

A log of a million entries has some hundreds. So entries under any filter are those of some shapes, each in an order of
its own, and no filter, however seldom it matches, reads past what does not match.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Final

FACETS: Final = ("kind", "actor", "bank", "purpose", "decision", "model", "code")
SHAPE_TABLES: Final = f"""
CREATE TABLE IF NOT EXISTS word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS shape (
    id INTEGER PRIMARY KEY, {", ".join(f"{name} INTEGER NOT NULL" for name in FACETS)},
    entries INTEGER NOT NULL DEFAULT 0, UNIQUE ({", ".join(FACETS)}));
"""
Shape = tuple[str, ...]
"""What an entry has under each facet, "" where it has nothing."""


class Shapes:
    """The shapes of one index, in its file; memory holds those of the entries that were added by this object."""

    def __init__(self, work: sqlite3.Connection) -> None:
        self._work = work
        self._words: dict[str, int] = {"": 0}
        self._ids: dict[Shape, int] = {}
        self._grown: Counter[int] = Counter()

    def add(self, shape: Shape) -> int:
        """Return the id of a shape of which there is one entry more."""
        number = self._ids.get(shape)
        if number is None:
            words = [self._word(text) for text in shape]
            spelt = " AND ".join(f"{name} = ?" for name in FACETS)
            self._work.execute(f"INSERT OR IGNORE INTO shape ({', '.join(FACETS)}) VALUES ({_marks(words)})", words)  # noqa: S608
            number = int(self._work.execute(f"SELECT id FROM shape WHERE {spelt}", words).fetchone()[0])  # noqa: S608
            self._ids[shape] = number
        self._grown[number] += 1
        return number

    def _word(self, text: str) -> int:
        number = self._words.get(text)
        if number is None:
            self._work.execute("INSERT OR IGNORE INTO word (text) VALUES (?)", (text,))
            number = self._words[text] = self.known(text)
        return number

    def settle(self) -> None:
        """Write down how many entries were added of each shape."""
        grown = [(more, number) for number, more in self._grown.items()]
        self._work.executemany("UPDATE shape SET entries = entries + ? WHERE id = ?", grown)
        self._grown.clear()

    def forget(self) -> None:
        """Hold nothing in memory that the file does not hold."""
        self._words = {"": 0}
        self._ids.clear()
        self._grown.clear()

    def known(self, text: str) -> int:
        """Return a word's id, -1 if no entry has it."""
        row = self._work.execute("SELECT id FROM word WHERE text = ?", (text,)).fetchone()
        return -1 if row is None else int(row[0])

    def values(self, facet: str) -> list[str]:
        """Return all that entries have under a facet, sorted. Raises: ValueError for another name."""
        name = FACETS[FACETS.index(facet)]
        query = f"SELECT DISTINCT text FROM shape JOIN word ON word.id = shape.{name} ORDER BY text"  # noqa: S608
        return [text for (text,) in self._work.execute(query)]

    def matching(self, facets: Sequence[tuple[str, str]], model: str = "") -> dict[int, int]:
        """Return the shapes with these values, and how many entries each has; `model` is the beginning of a hash.

        Raises: ValueError for a facet that there is not.
        """
        conditions = ["1", *(f"{FACETS[FACETS.index(name)]} = ?" for name, _ in facets)]
        values = [self.known(text) for _, text in facets]
        if model:
            models = [self.known(text) for text in self.values("model") if text.startswith(model)]
            conditions.append(f"model IN ({_marks(models)})")
            values += models
        query = f"SELECT id, entries FROM shape WHERE {' AND '.join(conditions)}"  # noqa: S608
        return dict(self._work.execute(query, values).fetchall())


def _marks(values: Sequence[int]) -> str:
    return ", ".join("?" * len(values))
