"""Brings a data node to life from its own directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from nodes.consent_sources import consent_sources
from nodes.data_node.rows import Rows
from nodes.data_node.settings import NodeSettings
from nodes.data_node.site import ManyBanks, NodeSite
from nodes.data_node.stop_switch import StopSwitch
from nodes.keyring import Keyring
from nodes.keystore import read_cosigner, read_log_key
from nodes.ledger import ledger_location, open_node_ledger
from nodes.log_witness import LogWitness
from nodes.policy import POLICY_FILE, PolicyInForce
from nodes.sources import read_description, read_node_source


@contextmanager
def open_node_site(home: Path, settings: NodeSettings) -> Iterator[NodeSite]:
    """Yield the site that the directory holds; its files are closed at the end.

    Raises: ConfigurationError, VerificationFailed.
    """
    read = partial(read_node_source, read_description(home / settings.data), settings.source)
    ring = Keyring.open(home, home / settings.cards)
    with closing(open_node_ledger(ledger_location(home))) as ledger:
        witness = None
        if settings.witness:
            witness = LogWitness(read_cosigner(home, settings.witness), read_log_key(home), ledger.witness, ring.pins)
        yield NodeSite(
            domain=settings.domain,
            ring=ring,
            rows=Rows(read, ledger.repairs),
            rules=PolicyInForce.of_file(home / POLICY_FILE),
            ledger=ledger,
            switch=StopSwitch(home),
            consents=consent_sources(home, ring.pins, settings.revocations),
            witness=witness,
            many_banks=ManyBanks(settings.many_banks.banks, settings.many_banks.days),
        )
