"""Whose requests the coordinator takes: a key that an accredited service vouches for, a short time, each once."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Final, TypeVar

from federation.coordinator import CoordinatorSite
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import decode
from protocols.enterprise.credential import check_card
from protocols.enterprise.messages import CLOCK_SKEW, Objection, RecordRequest, check_time
from protocols.errors import BudgetExceeded, UnexpectedMessage, VerificationFailed

MINUTE: Final = 60
PER_MINUTE: Final = 30
"""Requests of one key in a minute: pages of a long record, an objection or two."""

MAX_REMEMBERED: Final = 65_536
Asked = TypeVar("Asked", RecordRequest, Objection)


class Admission:
    """The coordinator's gate for enterprises. For any number of threads."""

    def __init__(self, site: CoordinatorSite) -> None:
        self._site, self._lock = site, Lock()
        self._seen: dict[bytes, int] = {}
        self._times: dict[str, deque[int]] = {}

    def admit(self, envelope: Envelope, kind: type[Asked]) -> tuple[Asked, Channel]:
        """Return what an enterprise asks, and the coordinator's end towards it.

        Raises: MalformedMessage, UnexpectedMessage, VerificationFailed (REQUEST_EXPIRED); PolicyDenied, a CREDENTIAL_
        code or one of revocation; BudgetExceeded, code RATE_LIMIT.
        """
        asked = decode(envelope.body, kind)
        party = check_card(asked.card, self._site.pins.cards)
        channel = Channel(
            self._site.keys, {**self._site.pins.cards, party: asked.card}, asked.transcript(), self._site.pins.signers
        )
        channel.unwrap(envelope, kind)
        if envelope.sender != party:
            raise VerificationFailed("the request is not of the enterprise whose card it shows")
        now = self._site.clock_ms() // 1000
        check_time(asked, now)
        self._site.consents.check_key(asked.slip, asked.card.fingerprint(), now)
        self._count(party, now)
        return asked, channel

    def once(self, transcript: bytes, expires: int) -> None:
        """Return if this request was not taken before. Raises: UnexpectedMessage, code REPLAYED; BudgetExceeded, BUSY.

        A request is remembered for as long as it would be in time.
        """
        now = self._site.clock_ms() // 1000
        with self._lock:
            if transcript in self._seen:
                raise UnexpectedMessage("this request was answered before", code="REPLAYED")
            if len(self._seen) >= MAX_REMEMBERED:
                self._seen = {seen: until for seen, until in self._seen.items() if until >= now}
            if len(self._seen) >= MAX_REMEMBERED:
                raise BudgetExceeded("too many requests are remembered", code="BUSY")
            self._seen[transcript] = expires + CLOCK_SKEW

    def _count(self, party: PartyId, now: int) -> None:
        with self._lock:
            times = self._times.setdefault(party, deque(maxlen=PER_MINUTE))
            if len(times) == PER_MINUTE and times[0] > now - MINUTE:
                raise BudgetExceeded(f"{PER_MINUTE} requests of one key in a minute", code="RATE_LIMIT")
            times.append(now)
            if len(self._times) > MAX_REMEMBERED:
                self._times = {one: seen for one, seen in self._times.items() if seen[-1] > now - MINUTE}
