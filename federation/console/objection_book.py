"""The log's objections, each entry read once: a page reads only what the log has gained since the last one."""

from __future__ import annotations

from threading import Lock

from federation.audit.reading.log_view import LogView
from federation.audit.reading.objections import LoggedObjection, ObjectionCases
from federation.console.index import Index


class ObjectionBook:
    """Follows the entries that the index names; any thread may ask."""

    def __init__(self, index: Index) -> None:
        self._index, self._lock = index, Lock()
        self._begin()

    def _begin(self) -> None:
        self._cases, self._last, self._made = ObjectionCases(), -1, self._index.made

    def standing(self, log: LogView, now_ms: int) -> tuple[LoggedObjection, ...]:
        """Return every objection of a log that the index has followed, as it stands at `now_ms`, in order of filing.

        Raises: MalformedMessage.
        """
        with self._lock:
            if self._made != self._index.made:
                self._begin()
            for leaf in self._index.objections(self._last):
                if leaf < log.size:  # the index may have followed a later reading meanwhile
                    self._cases.take(log.leaf(leaf))
                    self._last = leaf
            return self._cases.standing(now_ms)
