"""The settings file of a new directory, for a person to read and change; docs/services.md lists every key."""

from __future__ import annotations

from typing import Final

_NODE: Final = """\
# Data node {party}: what `credfed node run` reads. Paths are relative to this directory.
domain: {domain}            # which domain of data/domains.json this is
data: {data}                # folder with domains.json and the node's file
cards: cards                # everybody's public cards: the roster that the coordinator has signed
witness: {witness}
http: unix:health.sock      # health and metrics: a data node listens on no port
door: supernode/agent.sock  # where the node's SuperNode brings what is for training
coordinator:
  address: {address}
"""
_BANK: Final = """\
# Bank {party}: what `credfed bank run` reads. Paths are relative to this directory.
bank: {bank}                # this bank's name in data/domains.json
data: {data}                # folder with domains.json and the bank's file
cards: cards                # everybody's public cards: the roster that the coordinator has signed
witness: {witness}
uscc: {uscc}                # whether enterprises go by unified social credit codes
door: supernode/agent.sock  # where the bank's SuperNode brings what is for training
http: {http}                # health and metrics, for this machine alone
coordinator:
  address: {address}
"""
UNKNOWN_ADDRESS: Final = "coordinator.invalid:7443"
"""Before a party is enrolled."""


def node_settings_text(party: str, domain: str, data: str, witness: str) -> str:
    """Return a new node.yaml."""
    names = (party, _scalar(domain), _scalar(data), _scalar(witness))
    return _NODE.format(party=names[0], domain=names[1], data=names[2], witness=names[3], address=UNKNOWN_ADDRESS)


def bank_settings_text(party: str, bank: str, data: str, witness: str, uscc: bool, http: str) -> str:
    """Return a new bank.yaml."""
    return _BANK.format(
        party=party,
        bank=_scalar(bank),
        data=_scalar(data),
        witness=_scalar(witness),
        uscc=str(uscc).lower(),
        http=_scalar(http),
        address=UNKNOWN_ADDRESS,
    )


def _scalar(text: str) -> str:
    """Return a text as YAML reads it back, quoted."""
    return "'" + text.replace("'", "''") + "'"
