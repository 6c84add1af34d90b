"""Where auditors' views enter the log: each is on disk before its auditor gets the receipt, or a body uncovered.

One door for parcels, as every party has: at the coordinator process behind a socket (`audit.sock`), and in a command's
own process while no coordinator runs.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Final

from federation.audit.log import AuditLog
from federation.audit.shredder import Shredder
from protocols.assessment.messages import LogReceipt
from protocols.channel.envelope import Channel, Envelope, open_parcel, pack_parcel, pack_refusal
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole
from protocols.channel.wire import decode, encode
from protocols.errors import CreditFederationError, MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.transparency.views import OPEN_VIEW, VIEW_SECONDS, AuditView, OpenedBody

logger = logging.getLogger(__name__)
_MAX_REMEMBERED: Final = 65_536


class ViewDesk:
    """Logs views for the auditors among the pinned cards. May be called from any thread."""

    def __init__(
        self,
        log: AuditLog,
        shredder: Shredder,
        keys: PartyKeys,
        cards: Mapping[PartyId, PartyCard],
        clock_ms: Callable[[], int],
    ) -> None:
        """`keys` and `cards` are the coordinator's."""
        self._log, self._shredder, self._keys, self._cards, self._clock_ms = log, shredder, keys, cards, clock_ms
        self._seen: OrderedDict[bytes, int] = OrderedDict()
        self._lock = Lock()

    def handle(self, parcel: bytes) -> bytes:
        """Return the reply to an auditor's parcel: receipts and opened bodies, or the code of a refusal."""
        try:
            return pack_parcel(tuple(answer for envelope in open_parcel(parcel) for answer in self.view(envelope)))
        except CreditFederationError as error:
            logger.warning("view refused", extra={"code": error.code, "bytes": len(parcel)})
            return pack_refusal(error.code)
        except Exception as error:
            logger.error("view failed", extra={"error": type(error).__name__}, exc_info=error)
            return pack_refusal("INTERNAL_ERROR")

    def view(self, envelope: Envelope) -> list[Envelope]:
        """Log one view; return the receipt and, if it opens a body, that.

        Raises: MalformedMessage, VerificationFailed; UnexpectedMessage, codes VIEW_REPEATED, NO_SUCH_BODY.
        """
        view = decode(envelope.body, AuditView)
        channel = Channel(self._keys, self._cards, view.transcript())
        channel.unwrap(envelope, AuditView)
        card = self._cards.get(PartyId(view.auditor))
        if card is None or card.role is not PartyRole.AUDITOR or envelope.sender != view.auditor:
            raise VerificationFailed("a view is signed by the auditor who takes it", code="NOT_AN_AUDITOR")
        self._check_new(view)
        opened = self._uncover(view) if view.view == OPEN_VIEW else None
        (receipt,) = self._log.append([view.leaf(self._clock_ms(), hashlib.sha256(encode(envelope)).digest())])
        auditor = PartyId(view.auditor)
        answers = [channel.wrap(auditor, LogReceipt(receipt.index, receipt.note), sealed=False)]
        return answers if opened is None else [*answers, channel.wrap(auditor, opened)]

    def _check_new(self, view: AuditView) -> None:
        """Return if a view is of now and was not logged before: a copy of one would accuse its auditor again."""
        now = self._clock_ms() // 1000
        if abs(now - view.issued) > VIEW_SECONDS:
            raise VerificationFailed("the view is not of this time", code="VIEW_STALE")
        with self._lock:
            while self._seen and next(iter(self._seen.values())) < now - 2 * VIEW_SECONDS:
                self._seen.popitem(last=False)
            if view.transcript() in self._seen or len(self._seen) >= _MAX_REMEMBERED:
                raise UnexpectedMessage("this view was logged before", code="VIEW_REPEATED")
            self._seen[view.transcript()] = now

    def _uncover(self, view: AuditView) -> OpenedBody:
        entry = next(self._log.entries(view.first, view.first + 1), None)
        if entry is None or not entry.leaf.body or view.first != view.last:
            raise UnexpectedMessage(f"leaf {view.first} has no body to open", code="NO_SUCH_BODY")
        try:
            return OpenedBody(view.first, self._shredder.uncover(entry.leaf.body))
        except MalformedMessage:
            raise UnexpectedMessage(f"the body of leaf {view.first} does not open", code="NO_SUCH_BODY") from None
