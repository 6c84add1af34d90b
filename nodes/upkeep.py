"""Keeps a running party's certificate fresh, and takes its next keys into use, without a stop.

At two thirds of its life a certificate is renewed: a new TLS key, a certificate for it over the party's own
authenticated connection, a new stream beside the old one. The owner's command may ask for it at any time (`tls/renew`),
and draws a card's next keys into `next/` (`nodes/rotation.py`); here they are announced.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from nodes.further_keys import FurtherKeys
from nodes.keyring import Keyring
from nodes.keystore import replace_file
from nodes.rotation import NEXT, REFUSED_FILE, pending_notice
from nodes.stream import Connection
from nodes.stream.settings import TlsFiles
from protocols.channel.envelope import Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId, PartyRole
from protocols.enrolment.certificates import (
    check_authority,
    check_certificate,
    draw_tls_key,
    renewal_due,
    signing_request,
)
from protocols.enrolment.upkeep import CertificateGrant, CertificateRequest
from protocols.errors import CreditFederationError, PeerRefused, UnexpectedMessage

logger = logging.getLogger(__name__)

RENEW_FILE: Final = "tls/renew"
POLL_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 5.0


class Upkeep:
    """One party's upkeep, beside its stream. `refresh` runs the ring's own `refresh` where the agent works.

    `further` are the party's keys beside its card.
    """

    def __init__(
        self,
        home: Path,
        tls: TlsFiles,
        ring: Keyring,
        connection: Connection,
        refresh: Callable[[], Awaitable[None]],
        further: FurtherKeys,
    ) -> None:
        self._home, self._tls, self._ring, self._connection = home, tls, ring, connection
        self._refresh, self._further = refresh, further

    async def run(self) -> None:
        """Look after keys and certificate for ever; what fails is tried again."""
        while True:
            pause = POLL_SECONDS
            try:
                await self._refresh()
                await self._renew()
                await self._announce()
                await self._announce_further()
            except (CreditFederationError, OSError) as error:
                code = error.code if isinstance(error, CreditFederationError) else type(error).__name__
                logger.warning("upkeep failed", extra={"code": code})
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _renew(self) -> None:
        """Renew the certificate if it is due, or asked for. Raises: CreditFederationError, OSError."""
        asked = self._home / RENEW_FILE
        now = datetime.datetime.now(datetime.UTC)
        due = asked.exists() or renewal_due((self._home / self._tls.certificate).read_bytes(), now)
        if not due or not self._connection.up:
            return
        party, drawn = PartyId(self._ring.keys.party), self._home / f"{self._tls.key}.next"
        if not drawn.exists():
            replace_file(drawn, draw_tls_key())
        key = drawn.read_bytes()
        grant = await self._granted(CertificateRequest(signing_request(party, key)))
        authority = self._home / self._tls.authority
        check_authority(authority.read_bytes(), grant.authority)
        check_certificate(grant.certificate, grant.authority, key, party)
        replace_file(authority, grant.authority, 0o644)
        replace_file(self._home / f"{self._tls.certificate}.next", grant.certificate, 0o644)
        asked.unlink(missing_ok=True)
        self._connection.renew()
        logger.info("certificate renewed", extra={"party": party})

    async def _granted(self, request: CertificateRequest) -> CertificateGrant:
        channel, coordinator = self._ring.channel(request.transcript()), self._coordinator()
        answers = await self._ask(channel.wrap(coordinator, request, sealed=False))
        if len(answers) != 1 or answers[0].sender != coordinator:
            raise UnexpectedMessage("the coordinator has granted no certificate")
        return channel.unwrap(answers[0], CertificateGrant)

    async def _announce(self) -> None:
        """Tell of this party's next card, if there is one; what is refused for good is noted beside it."""
        notice = pending_notice(self._home)
        refused = self._home / NEXT / REFUSED_FILE
        if notice is None or refused.exists() or not self._connection.up:
            return
        self._ring.prepare(notice)
        envelope = self._ring.channel(notice.transcript()).wrap(self._coordinator(), notice, sealed=False)
        try:
            await self._ask(envelope)
        except PeerRefused as error:
            replace_file(refused, error.code.encode())
            raise
        await asyncio.sleep(RETRY_SECONDS)  # the roster that names it is on its way

    async def _announce_further(self) -> None:
        """Tell of this party's next keys beside its card, if there are any, and use them once the roster has them."""
        await asyncio.to_thread(self._further.settle)
        notice = await asyncio.to_thread(self._further.notice)
        if notice is None or not self._connection.up:
            return
        envelope = self._ring.channel(notice.transcript()).wrap(self._coordinator(), notice, sealed=False)
        try:
            await self._ask(envelope)
        except PeerRefused as error:
            self._further.refused(error.code)
            raise
        logger.info("further keys stated", extra={"party": self._ring.keys.party})
        await asyncio.sleep(RETRY_SECONDS)  # the roster that names them is on its way

    async def _ask(self, envelope: Envelope) -> tuple[Envelope, ...]:
        return open_parcel(await self._connection.upkeep(pack_parcel((envelope,))))

    def _coordinator(self) -> PartyId:
        return PartyId(self._ring.pins.only(PartyRole.COORDINATOR).party)
