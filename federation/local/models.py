"""The banks of a federation's folder, and the model that each has signed."""

from __future__ import annotations

from pathlib import Path

from federation.local.layout import MODEL_FILE, FederationFile
from nodes.bank.model.file import ModelFile, read_model_file
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.pins import Pins
from protocols.errors import ConfigurationError


def read_bank_model(folder: Path, file: FederationFile, pins: Pins, bank: PartyId) -> ModelFile:
    """Return the model of one of a federation's banks as it signed it.

    Raises: ConfigurationError, codes UNKNOWN_BANK, NO_MODEL; VerificationFailed.
    """
    known_bank(folder, file, bank)
    return read_model_file(folder / bank / MODEL_FILE, pins.card(bank, PartyRole.BANK), pins.lineage(bank)[1:])


def known_bank(folder: Path, file: FederationFile, bank: PartyId) -> PartyId:
    """Return the bank if the federation has it. Raises: ConfigurationError, code UNKNOWN_BANK."""
    if bank not in file.bank_parties:
        known = ", ".join(file.bank_parties)
        raise ConfigurationError(f"{folder}: no bank {bank} there; known: {known}", code="UNKNOWN_BANK")
    return bank
