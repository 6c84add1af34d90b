"""A whole federation in one process: every party in its own folder, talking in Flower messages alone.

The one package that joins nodes and coordinator. Each party's agent is built from that party's folder and source; what
passes between them passes as serialised messages over the embedded grid, which an observer may record.

layout         names, folders, `federation.json`
founding       make every party's folder and keys
parties        open each party from its folder
consents       the consent service, which stands for the enterprises
federation     all parties alive; train and assess
bank_service   the bank's port to it
"""

from federation.local.bank_service import LocalBankService
from federation.local.consortium import ConsortiumTraining, train_consortium
from federation.local.federation import LocalFederation, Training, read_bank_model, split_rows
from federation.local.founding import create_federation, keep_bank_apis
from federation.local.layout import (
    BANK,
    CONSENT_SERVICE,
    COORDINATOR,
    FEDERATION_FILE,
    LOG_NAME,
    MODEL_FILE,
    FederationFile,
    party_of,
    read_federation,
    witness_name,
)

__all__ = [
    "BANK",
    "CONSENT_SERVICE",
    "COORDINATOR",
    "FEDERATION_FILE",
    "LOG_NAME",
    "MODEL_FILE",
    "ConsortiumTraining",
    "FederationFile",
    "LocalBankService",
    "LocalFederation",
    "Training",
    "create_federation",
    "keep_bank_apis",
    "party_of",
    "read_bank_model",
    "read_federation",
    "split_rows",
    "train_consortium",
    "witness_name",
]
