"""The policy by which a node goes now: its owner may change the file while the node works."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from nodes.policy.files import read_policy
from nodes.policy.rules import NodePolicy
from protocols.errors import ConfigurationError

logger = logging.getLogger(__name__)
_State = tuple[int, int, int]


class PolicyInForce:
    """One policy at a time: the file's, as it was when it last was a good one.

    Whoever decides on something reads `current` once and keeps to it; `renew` is called between one question and the
    next. A file with a slip in it, or none, changes nothing: the old rules stand, and the owner's log says why.
    """

    def __init__(self, policy: NodePolicy, path: Path | None = None) -> None:
        self.current = policy
        self._path, self._seen = path, _state(path)
        self._lock = threading.Lock()

    @classmethod
    def of_file(cls, path: Path) -> PolicyInForce:
        """Return the policy that a file holds. Raises: ConfigurationError, code BAD_POLICY."""
        seen = _state(path)
        found = cls(read_policy(path), path)
        found._seen = seen  # what changes while it is read counts as a change
        return found

    def renew(self) -> None:
        """Go by the file's policy from now on, if it has changed and is good."""
        if self._path is None or _state(self._path) == self._seen:
            return
        with self._lock:
            state = _state(self._path)
            if state == self._seen:
                return
            self._seen = state
            try:
                policy = read_policy(self._path)
            except ConfigurationError as error:
                logger.error("the new policy is not adopted, the old one stands: %s", error)
                return
            before, self.current = self.current, policy
            old, new = before.digest().hex(), policy.digest().hex()
            logger.warning("a new policy is in force", extra={"policy_hash": new, "instead_of": old})


def _state(path: Path | None) -> _State | None:
    try:
        status = None if path is None else path.stat()
    except OSError:
        return None
    return None if status is None else (status.st_mtime_ns, status.st_size, status.st_ino)
