"""The rows of the audit log, whatever database holds them: its reads and writes, over one `LogSession` each.

    leaves       index, canonical leaf, sealed body, running hash
    nodes        every complete subtree above the leaves, in the order in which leaves completed them
    checkpoints  signed tree heads that were given out, with the cosignatures collected
    head         one row: the log's signature over the tree as of the last commit

The running hash chains the leaf hashes in storage order. It proves nothing (whoever can write the rows can recompute
it); it lets the verifier name the first altered row instead of the range up to the next checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from threading import Lock
from typing import Final

from federation.audit.errors import DAMAGED, damaged
from federation.audit.storage.location import LogLocation
from federation.audit.storage.session import NewRows, Row, connect
from protocols.transparency.hashing import HASH_SIZE, MAX_TREE_SIZE, leaf_hash
from protocols.transparency.prover import CompletedNode

CHAIN_START: Final = bytes(HASH_SIZE)

LeafRow = tuple[int, bytes, bytes, bytes]
_INNER: Final = (  # SQLite takes CROSS JOIN in this order: one search for each node, where IN would read them all
    "SELECT n.last, n.level, n.hash FROM wanted AS w CROSS JOIN nodes AS n WHERE n.last = w.last AND n.level = w.level"
)


def running_hash(previous: bytes, leaf: bytes) -> bytes:
    """Return the running hash after one more leaf hash."""
    return sha256(previous + leaf).digest()


def last_leaf(level: int, index: int) -> int:
    """Return the leaf whose append completed the subtree `(level, index)`."""
    return ((index + 1) << level) - 1


class LogReader:
    """Reads of committed rows by any number of threads. Raises: VerificationFailed for rows of the wrong form."""

    def __init__(self, location: LogLocation) -> None:
        """Raises: ConfigurationError if there is no readable log."""
        self._session = connect(location)
        self._lock = Lock()

    def close(self) -> None:
        """Let go of the log."""
        with self._lock:
            self._session.close()

    def size(self) -> int:
        """Return the number of leaves, if they are numbered without a gap."""
        row = self._row("SELECT idx FROM leaves ORDER BY idx DESC LIMIT 1")
        return 0 if row is None else int(row[0]) + 1

    def head(self) -> bytes | None:
        """Return the note over the last commit, or None before the first."""
        return self._blob("SELECT note FROM head WHERE one = 1")

    def chain(self, size: int) -> bytes:
        """Return the running hash over the first `size` leaves. Raises: KeyError."""
        return CHAIN_START if size == 0 else self._need("SELECT chain FROM leaves WHERE idx = ?", size - 1)

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return subtree hashes, by one query; that of a single leaf is made from the leaf. Raises: KeyError."""
        keys = [(last_leaf(level, index), level) for level, index in places]
        leaves, inner = [last for last, level in keys if not level], [key for key in keys if key[1]]
        wanted = ", ".join(["(?, ?)"] * len(inner))
        single = f"SELECT idx, 0, leaf FROM leaves WHERE idx IN ({', '.join('?' * len(leaves))})"  # noqa: S608
        parts = [*((_INNER,) if inner else ()), *((single,) if leaves else ())]
        query = (f"WITH wanted (last, level) AS (VALUES {wanted}) " if inner else "") + " UNION ALL ".join(parts)
        rows = self._rows(query, *(value for key in inner for value in key), *leaves) if parts else []
        found = {(last, level): _blob(data) if level else leaf_hash(_blob(data)) for last, level, data in rows}
        return [found[key] for key in keys]

    def leaves(self, start: int, end: int) -> list[LeafRow]:
        """Return the rows of leaves `[start, end)` that exist."""
        query = "SELECT idx, leaf, body, chain FROM leaves WHERE idx >= ? AND idx < ? ORDER BY idx"
        rows: list[LeafRow] = self._rows(query, start, end)  # as they must be; checked next
        if any(not isinstance(column, bytes) for row in rows for column in row[1:]):
            raise damaged("a stored value is not of bytes", DAMAGED)
        return rows

    def leaf_bytes(self, start: int, end: int) -> list[bytes]:
        """Return the canonical bytes of leaves `[start, end)` that exist, without their bodies."""
        rows = self._rows("SELECT leaf FROM leaves WHERE idx >= ? AND idx < ? ORDER BY idx", start, end)
        return [_blob(row[0]) for row in rows]

    def checkpoint(self, size: int) -> bytes | None:
        """Return the note that was given out for a tree of `size` leaves."""
        return self._blob("SELECT note FROM checkpoints WHERE size = ?", size)

    def checkpoints_covering(self, index: int) -> Iterator[bytes]:
        """Yield the notes over trees that hold leaf `index`, latest first."""
        below = MAX_TREE_SIZE + 1
        query = "SELECT size, note FROM checkpoints WHERE size > ? AND size < ? ORDER BY size DESC LIMIT 1"
        while (row := self._row(query, index, below)) is not None:
            below, note = row
            yield _blob(note)

    def _rows(self, query: str, *values: int) -> list[Row]:
        with self._lock:
            try:
                return self._session.rows(query, values)
            except self._session.error as error:
                raise damaged("a row cannot be read", DAMAGED) from error

    def _row(self, query: str, *values: int) -> Row | None:
        return next(iter(self._rows(query, *values)), None)

    def _blob(self, query: str, *values: int) -> bytes | None:
        row = self._row(query, *values)
        if row is None:
            return None
        return _blob(row[0])

    def _need(self, query: str, *values: int) -> bytes:
        found = self._blob(query, *values)
        if found is None:
            raise KeyError(f"no stored row for {values}")
        return found


def _blob(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise damaged("a stored value is not of bytes", DAMAGED)
    return value


class LogWriter:
    """The one session that writes. Each method is one transaction, durable when it returns. Raises: its `error`."""

    def __init__(self, location: LogLocation) -> None:
        """Raises: ConfigurationError."""
        self._session = connect(location, write=True)

    @property
    def error(self) -> type[Exception]:
        """The class of what the database raises."""
        return self._session.error

    def close(self) -> None:
        """Let go of the log."""
        self._session.close()

    def commit_group(self, rows: Iterable[LeafRow], nodes: Iterable[CompletedNode], head: bytes) -> None:
        """Store new leaves, the subtrees they completed and the signed head over them, all or nothing."""
        stored = ((last_leaf(node.level, node.index), node.level, node.hash) for node in nodes)
        new = (
            NewRows("leaves", ("idx", "leaf", "body", "chain"), rows),
            NewRows("nodes", ("last", "level", "hash"), stored),
        )
        signed = "INSERT INTO head (one, note) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET note = excluded.note"
        self._session.transact(new, signed, (head,))

    def erase_bodies(self, indexes: Sequence[int]) -> None:
        """Put nothing in the place of these leaves' bodies."""
        marks = ", ".join("?" * len(indexes))
        self._session.transact((), f"UPDATE leaves SET body = ? WHERE idx IN ({marks})", (b"", *indexes))  # noqa: S608

    def purge(self) -> None:
        """Let nothing that was erased be left in the database's files."""
        self._session.purge()

    def put_checkpoint(self, size: int, note: bytes) -> None:
        """Store a note for the tree of `size` leaves, in place of the one with fewer cosignatures."""
        put = "INSERT INTO checkpoints (size, note) VALUES (?, ?) ON CONFLICT (size) DO UPDATE SET note = excluded.note"
        self._session.transact((), put, (size, note))
