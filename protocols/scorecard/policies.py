"""Under which policy each data node works in one run: the one that its first message names, to the run's end."""

from __future__ import annotations

from collections.abc import Iterable

from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId
from protocols.errors import VerificationFailed


class RunPolicies:
    """The policies of one run's data nodes, as their own signed messages name them."""

    def __init__(self, nodes: Iterable[PartyId]) -> None:
        self._nodes, self._named = frozenset(nodes), dict[PartyId, bytes]()

    @property
    def named(self) -> dict[str, str]:
        """Return the policy, in hex, of each node that has sent something, by name."""
        return {node: policy.hex() for node, policy in sorted(self._named.items())}

    def check(self, envelope: Envelope) -> None:
        """Return if a verified envelope is released under its sender's one policy, or its sender has none.

        Raises: VerificationFailed, codes POLICY_MISSING, POLICY_CHANGED.
        """
        node = PartyId(envelope.sender)
        if node not in self._nodes:
            if envelope.policy is not None:
                raise VerificationFailed(f"{envelope.message} of {node} names a policy: it has none")
            return
        if envelope.policy is None:
            raise VerificationFailed(f"{envelope.message} of {node} names no policy", code="POLICY_MISSING")
        if self._named.setdefault(node, envelope.policy) != envelope.policy:
            raise VerificationFailed(
                f"{envelope.message} of {node} names another policy than the run began under", code="POLICY_CHANGED"
            )
