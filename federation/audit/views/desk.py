"""Where auditors' views, and orders to shred, enter the log: each is on disk before anything comes of it.

An auditor gets the receipt, or a body uncovered, and a key is destroyed, only once the log says so.

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

from federation.audit.bodies.shredder import Shredder, year_of
from federation.audit.log.audit_log import AuditLog
from protocols.assessment.messages import LogReceipt
from protocols.channel.envelope import Channel, Envelope, open_parcel, pack_parcel, pack_refusal
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole
from protocols.channel.wire import decode, encode
from protocols.errors import (
    CreditFederationError,
    MalformedMessage,
    PolicyDenied,
    UnexpectedMessage,
    VerificationFailed,
)
from protocols.transparency.orders import RETENTION_YEARS, ShredOrder
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
            return pack_parcel(tuple(answer for envelope in open_parcel(parcel) for answer in self._answer(envelope)))
        except CreditFederationError as error:
            logger.warning("view refused", extra={"code": error.code, "bytes": len(parcel)})
            return pack_refusal(error.code)
        except Exception as error:
            logger.error("view failed", extra={"error": type(error).__name__}, exc_info=error)
            return pack_refusal("INTERNAL_ERROR")

    def _answer(self, envelope: Envelope) -> list[Envelope]:
        return self.shred(envelope) if envelope.message == ShredOrder.__name__ else self.view(envelope)

    def shred(self, envelope: Envelope) -> list[Envelope]:
        """Log an order of the coordinator's own operator, then destroy keys, and a year's bodies with them.

        Return the receipt of the last leaf; an order that broke off is given again.

        Raises: MalformedMessage, VerificationFailed; UnexpectedMessage, code VIEW_REPEATED; PolicyDenied, code
        RETENTION, for a year whose bodies are still to be kept; ConfigurationError.
        """
        order = decode(envelope.body, ShredOrder)
        channel = Channel(self._keys, self._cards, order.transcript())
        channel.unwrap(envelope, ShredOrder)
        if not self._keys.party == order.coordinator == envelope.sender:
            raise VerificationFailed("an order to shred is the coordinator's own", code="NOT_THE_COORDINATOR")
        if order.before_year > year_of(self._clock_ms()) - RETENTION_YEARS:
            raise PolicyDenied(f"bodies are kept for {RETENTION_YEARS} years after their own", code="RETENTION")
        if not order.tags and not order.before_year:
            raise UnexpectedMessage("an order that shreds nothing", code="NOTHING_TO_SHRED")
        self._check_new(order)
        receipts = self._log.append(order.leaves(self._clock_ms(), hashlib.sha256(encode(envelope)).digest()))
        self._shredder.shred(order.tags)
        if order.before_year:
            self._shredder.shred_before(order.before_year)
            self._log.erase_bodies(order.before_year)
        return [channel.wrap(self._keys.party, LogReceipt(receipts[-1].index, receipts[-1].note), sealed=False)]

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

    def _check_new(self, view: AuditView | ShredOrder) -> None:
        """Return if a message is of now and was not logged before: a copy of one would accuse its sender again."""
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
