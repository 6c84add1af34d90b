"""What one data owner brings to the federation: identity, rows, rules and records."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from nodes.clock import system_clock
from nodes.consent_sources import ConsentSources
from nodes.data_node.rows import Rows
from nodes.data_node.stop_switch import StopSwitch
from nodes.features import FeatureTable
from nodes.keyring import KeyedSite, Keyring
from nodes.ledger import NodeLedger
from nodes.log_witness import LogWitness
from nodes.policy import NodePolicy, PolicyInForce
from protocols.channel.identity import PartyCard, Randomness


@dataclass(frozen=True, slots=True)
class ManyBanks:
    """From how many banks on, within how many days, a node says in the log that many ask about one enterprise."""

    banks: int = 5
    days: int = 30


@dataclass(frozen=True, slots=True)
class NodeSite(KeyedSite):
    """What one data owner brings: identity, rows, rules and records; `witness` if it cosigns the coordinator's log."""

    domain: str
    ring: Keyring = field(repr=False)
    rows: Rows = field(repr=False)
    rules: PolicyInForce
    ledger: NodeLedger = field(repr=False)
    switch: StopSwitch
    consents: ConsentSources
    clock: Callable[[], int] = system_clock
    randomness: Randomness = secrets.token_bytes
    witness: LogWitness | None = field(default=None, repr=False)
    many_banks: ManyBanks = ManyBanks()

    @property
    def table(self) -> FeatureTable:
        """The owner's features as they are now. Raises: PolicyDenied, as `Rows.now`."""
        return self.rows.now().table

    @property
    def policy(self) -> NodePolicy:
        """The policy that is in force at this moment."""
        return self.rules.current

    @property
    def card(self) -> PartyCard:
        """This node's own card, as the others have pinned it."""
        return self.pins.cards[self.keys.party]
