"""Domains that several nodes share by region: who stands together, and who stands in for those that none knows.

Nodes of one domain hold the same columns of different enterprises. In every sum over rows the first of them, by name,
counts all enterprises that it does not know as missing; each other one counts only what those it knows change about
that. So the sum over the domain is exactly that of one node which held all their rows, and nobody needs to know which
node knows whom.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from protocols.channel.identity import PartyId
from protocols.credit.woe import WOE_LIMIT
from protocols.scorecard.messages import RunSpec


@dataclass(frozen=True, slots=True)
class Districts:
    """The nodes of a run by domain. A domain goes by its *lead*, the first of its nodes; most have no other."""

    leads: dict[PartyId, PartyId]

    @classmethod
    def of(cls, spec: RunSpec) -> Districts:
        """Return the domains of a run."""
        return cls.among((entry.party, entry.domain) for entry in spec.nodes)

    @classmethod
    def among(cls, nodes: Iterable[tuple[str, str]]) -> Districts:
        """Return the domains of these nodes. Shapes: (party, domain) each."""
        first: dict[str, PartyId] = {}
        return cls({PartyId(party): first.setdefault(domain, PartyId(party)) for party, domain in sorted(nodes)})

    @property
    def units(self) -> tuple[PartyId, ...]:
        """Return the leads of all domains, by name."""
        return tuple(sorted(set(self.leads.values())))

    @property
    def any_split(self) -> bool:
        """Whether any domain has several nodes."""
        return len(self.units) < len(self.leads)

    def members(self, node: PartyId) -> tuple[PartyId, ...]:
        """Return all nodes of a node's domain, by name."""
        lead = self.leads[node]
        return tuple(sorted(party for party, of in self.leads.items() if of == lead))

    def siblings(self, node: PartyId) -> tuple[PartyId, ...]:
        """Return the other nodes of its domain."""
        return tuple(party for party in self.members(node) if party != node)

    def stands_in(self, node: PartyId) -> bool:
        """Whether a node counts the enterprises that no node of its domain knows."""
        return self.leads[node] == node

    def product_slack(self, rows: int) -> int:
        """Return how much larger a sum of products may be than of two columns of WOE: districts send differences."""
        return 3 * rows * WOE_LIMIT**2 if self.any_split else 0

    def order(self, bank: str) -> tuple[PartyId, ...]:
        """Return the order in which parties own encrypted columns: the bank, then domain by domain."""
        return (PartyId(bank), *(party for unit in self.units for party in self.members(unit)))
