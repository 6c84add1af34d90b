"""Whether a restored ledger is as new as what its party is known to have done: an older one has forgotten releases.

A party puts every checkpoint of the log that it cosigns on record in its ledger. So a note with its cosignature that
covers more leaves than the ledger's last one proves that the ledger is an older one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nodes.keystore import read_cosigner, read_log_key, read_roster
from nodes.ledger.location import ledger_location
from nodes.ledger.reading import read_database
from nodes.ledger.witness import WitnessRecords
from nodes.party_home import SETTINGS_FILES, cards_folder
from protocols.errors import VerificationFailed
from protocols.transparency.checkpoints import verify_cosignature, verify_log_signature
from protocols.transparency.notes import parse_note
from protocols.transparency.succession import KeySuccession, follow

OLDER: Final = "LEDGER_OLDER"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a ledger knows the log, and how far its party is known to have cosigned it. Units: leaves."""

    recorded: int
    proven: int

    def require_fresh(self) -> None:
        """Return if nothing shows the ledger to be an older one. Raises: VerificationFailed, code LEDGER_OLDER."""
        if self.recorded < self.proven:
            text = (
                f"this ledger ends where the log had {self.recorded} leaves, and its party has cosigned {self.proven}: "
                "what it released since then is not in it"
            )
            raise VerificationFailed(text, code=OLDER)


def recorded_size(home: Path) -> int:
    """Return how many leaves of the log a party's ledger says that it has cosigned. Raises: ConfigurationError."""
    log_key = follow(read_log_key(home), _successions(home))
    with read_database(ledger_location(home)) as database:
        note = WitnessRecords(database).note(log_key.name)
    return 0 if note is None else verify_log_signature(parse_note(note), log_key).size


def cosigned_size(home: Path, note: bytes) -> int:
    """Return how many leaves a note covers that the party in `home` has cosigned, by whatever name; 0 if it has not.

    Raises: VerificationFailed, MalformedMessage for a note that is not the log's; ConfigurationError without the keys.
    """
    parsed = parse_note(note)
    successions = _successions(home)
    size = verify_log_signature(parsed, follow(read_log_key(home), successions)).size
    for line in parsed.signatures:
        key = follow(read_cosigner(home, line.name).verifier, successions)
        if line.claims(key):
            verify_cosignature(parsed.text, line, key)
            return size
    return 0


def _successions(home: Path) -> tuple[KeySuccession, ...]:
    """Return how the log's and the witnesses' keys were replaced, as far as the party knows."""
    if not any((home / name).is_file() for name in SETTINGS_FILES):  # in one process with others: there is no roster
        return ()
    signed = read_roster(cards_folder(home))
    return () if signed is None else signed.roster.successions
