"""Brings a bank to life from its own directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nodes.bank.settings import BankSettings
from nodes.bank.site import BankSite
from nodes.bank.training.reported import label_again
from nodes.clock import system_clock
from nodes.keyring import Keyring
from nodes.keystore import read_cosigner, read_lasting, read_log_key
from nodes.ledger import ledger_location, open_bank_ledger
from nodes.log_witness import LogWitness
from nodes.sources import read_bank_source, read_description


@contextmanager
def open_bank_site(home: Path, settings: BankSettings) -> Iterator[BankSite]:
    """Yield the site that the directory holds; its files are closed at the end.

    Raises: ConfigurationError, VerificationFailed.
    """
    table, on_file = read_bank_source(read_description(home / settings.data), settings.bank)
    labelled = label_again(home, table, on_file, system_clock())
    ring, log_key = Keyring.open(home, home / settings.cards), read_log_key(home)
    with closing(open_bank_ledger(ledger_location(home))) as ledger:
        witness = None
        if settings.witness:
            witness = LogWitness(read_cosigner(home, settings.witness), log_key, ledger.witness, ring.pins)
        yield BankSite(
            ring=ring,
            table=labelled.table,
            outcomes=labelled.outcomes,
            reported=labelled.counts,
            log_key=log_key,
            tag_key=derive_tag_key(read_lasting(home)),
            witness=witness,
            ledger=ledger,
        )


def derive_tag_key(secret: bytes) -> bytes:
    """Derive the key of the bank's subject tags from its lasting secret: tags link its queries for it alone."""
    return HKDF(SHA256(), 32, salt=None, info=b"credit-federation/tag-key/v1").derive(secret)
