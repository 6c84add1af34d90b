"""The model with which a bank asks now: a training may put another in its place while the bank's process runs."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from nodes.bank.model.file import ModelFile, read_model_file
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.pins import Pins
from protocols.errors import CreditFederationError

logger = logging.getLogger(__name__)
_State = tuple[int, int, int]


class ModelInForce:
    """One model at a time: the file's, as it was when it last verified.

    A question keeps to the model with which it began. A file that does not verify, or none, changes nothing: the old
    model answers, and the log says why.
    """

    def __init__(self, model: ModelFile, path: Path, pins: Pins) -> None:
        self._model, self._path, self._pins = model, path, pins
        self._seen: _State | None = None  # whoever has read `model` may have done so before the last change
        self._lock = threading.Lock()

    @property
    def current(self) -> ModelFile:
        """The model that answers from now on. No I/O but a look at the file's state, unless it has changed."""
        if _state(self._path) != self._seen:
            self._renew()
        return self._model

    def _renew(self) -> None:
        with self._lock:
            state = _state(self._path)
            if state == self._seen:
                return
            self._seen = state
            try:
                bank = PartyId(self._model.bank)
                card, earlier = self._pins.card(bank, PartyRole.BANK), self._pins.lineage(bank)[1:]
                model = read_model_file(self._path, card, earlier)
            except CreditFederationError as error:
                logger.error("the new model is not taken, the old one stands", extra={"code": error.code})
                return
            before, self._model = self._model, model
            if before != model:
                logger.warning("a new model is in force", extra={"model": model.model, "instead_of": before.model})


def _state(path: Path) -> _State | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
