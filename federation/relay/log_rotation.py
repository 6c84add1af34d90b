"""The log's key is replaced while the log grows: named first, taken over when everybody knows, each a leaf of kind KEY.

    log.key.next drawn by the operator's command
    named       the present key signs for the next one; leaf, roster; both count, the present one signs on
    taken over  with no append in between the next key says after how many leaves; `log.pub`, `log.key`, leaf, roster

From the moment when `successions.txt` has that number the present key signs nothing more: whoever opens the log then
finishes what is left (`read_log_signer`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.audit import AuditLog, read_log_signer
from federation.audit.log.keys import add_succession, finish_succession, read_next_signer, read_successions, signer_of
from federation.enrolment.registrar import Record, Registrar
from protocols.channel.identity import PartyId
from protocols.channel.wire import digest
from protocols.errors import ConfigurationError
from protocols.transparency.notes import NoteSigner
from protocols.transparency.succession import KeySuccession, name_successor, take_over

logger = logging.getLogger(__name__)
_POLL_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 15.0


class LogRotation:
    """Looks for a next key of the log, and takes it into use."""

    def __init__(self, home: Path, party: PartyId, log: AuditLog, registrar: Registrar, record: Record) -> None:
        self._home, self._party, self._log = home, party, log
        self._registrar, self._record = registrar, record

    async def run(self, tell_all: Callable[[PartyId | None], Awaitable[None]]) -> None:
        """Look for ever. Raises: ConfigurationError, OSError if a key that has been taken over cannot be used."""
        while True:
            try:
                following = await asyncio.to_thread(read_next_signer, self._home)
                named = None if following is None else await asyncio.to_thread(self._name, following)
            except (ConfigurationError, OSError) as error:
                logger.error("the log's next key is not taken", extra={"error": type(error).__name__})
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if following is not None and named is not None:
                await tell_all(None)
                await asyncio.to_thread(self._take_over, following, named)
                await tell_all(None)
            await asyncio.sleep(_POLL_SECONDS)

    def _name(self, following: Ed25519PrivateKey) -> KeySuccession:
        """Let the present key name the next one, once."""
        present, public = read_log_signer(self._home), following.public_key().public_bytes_raw()
        for known in read_successions(self._home):
            if known.later == public:
                return known
        verifier = present.verifier
        named = name_successor(present.name, verifier.type, present.key, following)
        self._leaf("named", following, named)
        add_succession(self._home, named)
        self._registrar.republish()
        return named

    def _take_over(self, following: Ed25519PrivateKey, named: KeySuccession) -> None:
        def change(size: int) -> NoteSigner:
            add_succession(self._home, take_over(named, following, size))
            finish_succession(self._home, following)
            return signer_of(self._home, named.name, following)

        self._log.sign_with(change)
        self._leaf("rotated", following, named)
        self._registrar.republish()
        logger.info("the log's key is replaced", extra={"leaves": self._log.size})

    def _leaf(self, step: str, following: Ed25519PrivateKey, word: KeySuccession) -> None:
        vkey = NoteSigner(word.name, following).verifier.vkey()
        told = {"key_hash": hashlib.sha256(vkey.encode()).hexdigest(), "message_hash": digest(word).hex()}
        self._record(self._party, {"role": "log", "step": step, **told})
