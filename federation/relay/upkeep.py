"""What enrolled parties ask beside their streams: a certificate for a new TLS key, that a next card be made known, or
a data node's policy logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from prometheus_client import Counter

from federation.coordinator.policies import PolicyBook
from federation.enrolment.registrar import Registrar
from federation.relay.rosters import RosterRounds
from protocols.channel.envelope import Channel, Envelope, open_parcel, pack_parcel, pack_refusal
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import decode
from protocols.enrolment.upkeep import CardNotice, CertificateRequest, KeysNotice, PolicyNotice
from protocols.errors import CreditFederationError, UnexpectedMessage, VerificationFailed
from protocols.transparency.notes import VerifierKey

logger = logging.getLogger(__name__)
KEPT = Counter("credfed_upkeep_total", "What parties asked for of certificates and cards.", ["party", "code"])


class UpkeepDesk:
    """Serves one request of an admitted party: signed by its card as well as shown by its certificate."""

    def __init__(
        self,
        registrar: Registrar,
        rounds: RosterRounds,
        policies: PolicyBook,
        channel: Callable[[bytes], Channel],
        witnesses: Callable[[], Mapping[PartyId, VerifierKey]],
    ) -> None:
        """`witnesses` returns the key of each of the log's witnesses."""
        self._registrar, self._rounds, self._policies, self._channel = registrar, rounds, policies, channel
        self._witnesses = witnesses
        self._telling: set[asyncio.Task[None]] = set()

    async def serve(self, party: PartyId, parcel: bytes) -> bytes:
        """Return the reply: envelopes, or the code of a refusal; never raises."""
        code = "OK"
        try:
            envelopes = open_parcel(parcel)
            if len(envelopes) != 1:
                raise UnexpectedMessage(f"{len(envelopes)} envelopes where one is due")
            return pack_parcel(tuple(await self._answer(party, envelopes[0])))
        except CreditFederationError as error:
            code = error.code
            logger.warning("upkeep refused", extra={"party": party, "code": code})
        except Exception as error:
            code = "INTERNAL_ERROR"
            logger.error("upkeep failed", extra={"party": party, "error": type(error).__name__}, exc_info=error)
        finally:
            KEPT.labels(party, code).inc()
        return pack_refusal(code)

    async def _answer(self, party: PartyId, envelope: Envelope) -> list[Envelope]:
        if envelope.sender != party:
            raise VerificationFailed(f"{party} has sent an envelope in the name of {envelope.sender}")
        if envelope.message == CertificateRequest.__name__:
            asked = decode(envelope.body, CertificateRequest)
            channel = self._channel(asked.transcript())
            channel.unwrap(envelope, CertificateRequest)
            grant = await asyncio.to_thread(self._registrar.certify, party, asked.csr)
            return [channel.wrap(party, grant, sealed=False)]
        if envelope.message == PolicyNotice.__name__:
            told = decode(envelope.body, PolicyNotice)
            channel = self._channel(told.transcript())
            channel.unwrap(envelope, PolicyNotice)
            if channel.cards[party].role is not PartyRole.DATA_NODE:
                raise VerificationFailed(f"{party} is no data node, and has no policy")
            await asyncio.to_thread(self._policies.note, envelope, told.policy)
            return []
        if envelope.message == KeysNotice.__name__:
            keys = decode(envelope.body, KeysNotice)
            self._channel(keys.transcript()).unwrap(envelope, KeysNotice)
            present = self._witnesses().get(party)
            await asyncio.to_thread(self._registrar.restate, party, keys, present.vkey() if present else "")
        else:
            notice = decode(envelope.body, CardNotice)
            self._channel(notice.transcript()).unwrap(envelope, CardNotice)
            await asyncio.to_thread(self._registrar.succeed, party, notice)
        task = asyncio.create_task(self._rounds.tell_all(party))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        return []
