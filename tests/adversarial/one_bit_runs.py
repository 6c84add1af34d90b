"""Runs in which a node's secret is one bit a row, and the bank commits to whatever it likes."""

from __future__ import annotations

import secrets

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocols.channel.identity import PartyId
from protocols.channel.wire import digest
from protocols.paillier import CiphertextVector, OwnerEncryptor, decrypt
from protocols.scorecard import messages as m
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.node import NodeTraining
from protocols.scorecard.rows import BinnedRows
from tests.protocol.network import BANK, Network, binned

ROWS = 400
TAX = PartyId("tax")


def two_bins(rows: int = ROWS, minimum_bin: int = 50) -> tuple[Network, NDArray[np.int64]]:
    """A network whose tax node has one feature of two bins: the secret is one bit a row."""
    secret = np.random.default_rng(secrets.randbits(63)).integers(0, 2, rows)
    parts = {"tax": binned([secret], [2], rows), "social": binned([secret[::-1].copy()], [2], rows)}
    empty = BinnedRows((), np.empty((rows, 0), dtype=np.uint16))
    plan = TrainingPlan(refinements=1)
    return Network(parts, BankRows(empty, np.arange(rows) % 2, rows), plan, minimum_bin), secret


def with_labels(network: Network, plaintexts: list[int]) -> Network:
    """The same network, after the bank committed to a vector of its own making."""
    vector = OwnerEncryptor(network.paillier[BANK], secrets.token_bytes).encrypt(plaintexts)
    network.labels = m.EncryptedLabels(vector.to_bytes())
    return with_spec(network, msgspec.structs.replace(network.spec, labels=digest(network.labels)))


def with_spec(network: Network, spec: m.RunSpec) -> Network:
    network.spec = spec
    network.nodes = {
        name: NodeTraining(
            spec, network.channel(name), network.paillier[name], network.public, site, secrets.token_bytes
        )
        for name, site in network.sites.items()
    }
    return network


def opened(network: Network, vector: bytes) -> list[int]:
    key = network.paillier[BANK]
    return decrypt(key, CiphertextVector.from_bytes(key.public_key, vector))
