"""Under which policy each data node works, as the log says: nothing that names another goes on before a leaf does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from threading import Lock

from federation.audit import AuditLog
from federation.audit.log.references import References, policies_of
from protocols.channel.envelope import Envelope
from protocols.channel.wire import encode
from protocols.transparency.leaves import Leaf, LeafKind, attributes


class PolicyBook:
    """The newest POLICY leaf of each node, those of earlier processes too. For any number of threads."""

    def __init__(self, log: AuditLog, references: References, clock_ms: Callable[[], int]) -> None:
        self._log, self._references, self._clock_ms = log, references, clock_ms
        self._known: dict[str, str] = {}
        self._lock = Lock()

    def note(self, envelope: Envelope, policy: bytes) -> None:
        """Return once the newest leaf of a node, durable, names the policy that its verified message does.

        The message is the leaf's evidence. Raises: ConfigurationError if the log cannot be written.
        """
        node, named = envelope.sender, policy.hex()
        with self._lock:
            if self._known.get(node) == named or self._read(node) == named:
                self._known[node] = named
                return
            leaf = Leaf(
                kind=LeafKind.POLICY,
                timestamp_ms=self._clock_ms(),
                actor=node,
                attributes=attributes({"policy_hash": named}),
                evidence=hashlib.sha256(encode(envelope)).digest(),
            )
            self._log.append([leaf])
            self._known[node] = named

    def _read(self, node: str) -> str:
        """Return what the newest leaf of a node says, "" if there is none: asked of the log once for each node."""
        if node in self._known:
            return ""
        leaves = self._references.leaves_of([policies_of(node)])
        for entry in self._log.entries(leaves[-1], leaves[-1] + 1) if leaves else ():
            return str(dict(entry.leaf.attributes)["policy_hash"])
        return ""
