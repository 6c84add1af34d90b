"""What a bank brings to the federation: identity, its key, its own features and the outcomes it knows."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nodes.bank.training.reported import ReportedCounts
from nodes.clock import system_clock
from nodes.features import FeatureTable
from nodes.keyring import KeyedSite, Keyring
from nodes.ledger import BankLedger
from nodes.log_witness import LogWitness
from protocols.channel.identity import Randomness
from protocols.transparency.notes import VerifierKey
from protocols.transparency.succession import follow


@dataclass(frozen=True, slots=True)
class BankSite(KeyedSite):
    """What the bank brings: identity, its key, its own features and the repayment outcomes it knows.

    `log_key` is the one that it has pinned; `witness` is set if it cosigns that log, `ledger` if it keeps a record of
    its queries to hold against it. `reported` counts what was reported to its API, and is in the outcomes.
    """

    ring: Keyring = field(repr=False)
    table: FeatureTable = field(repr=False)
    outcomes: NDArray[np.int64] = field(repr=False)
    log_key: VerifierKey
    tag_key: bytes = field(repr=False)
    reported: ReportedCounts
    clock: Callable[[], int] = system_clock
    randomness: Randomness = secrets.token_bytes
    witness: LogWitness | None = field(default=None, repr=False)
    ledger: BankLedger | None = field(default=None, repr=False)

    @property
    def present_log_key(self) -> VerifierKey:
        """The log's key as it is now, with those that it has replaced. Raises: VerificationFailed, KEY_CHANGED."""
        return follow(self.log_key, self.pins.successions)
