"""Takes what an enterprise asks, and answers it: its record, with proofs; an objection, with the leaf that starts it.

What the coordinator sees of it is a pseudonym, and which queries are about one enterprise; never which enterprise.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from federation.audit.log.references import References
from federation.coordinator import CoordinatorSite
from federation.enterprise.admission import Admission
from federation.enterprise.filing import Filing
from federation.enterprise.parts import subjects_by_node
from federation.enterprise.proving import prove_leaves, subjects_of
from federation.enterprise.rounds import ObjectionRounds
from federation.enterprise.store import FILE as STORE_FILE
from federation.enterprise.store import ObjectionStore
from federation.witnessing import Deliver
from protocols.channel.envelope import Channel, Envelope, open_parcel, pack_parcel, pack_refusal
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import encode
from protocols.enterprise.messages import (
    Objection,
    RecordEntries,
    RecordReferences,
    RecordRefusal,
    RecordRequest,
    RecordSubject,
)
from protocols.errors import CreditFederationError, MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.transparency.leaves import Leaf
from protocols.transparency.views import AuditView, selection_hash

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES: Final = 1 << 21
RECORD_VIEW: Final = "record"
"""The view by which an enterprise reads its record; it is in the log before the answer leaves."""


class EnterpriseDesk:
    """The one door for enterprises: bytes in, bytes out. For any number of threads."""

    def __init__(self, site: CoordinatorSite, home: Path, references: References) -> None:
        """Open what the coordinator keeps in `home` for enterprises, over the index of its log."""
        self._site = site
        self._store = ObjectionStore(home / STORE_FILE)
        self._references = references
        self._admission = Admission(site)
        self._filing = Filing(site, self._store, self._references)
        self.rounds = ObjectionRounds(site, self._store, self._filing)

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()

    def follow_log(self) -> None:
        """Bring the index up to the log, so that no request waits for it."""
        self._references.follow()

    def serve(self, data: bytes, deliver: Deliver) -> bytes:
        """Return the answer to an enterprise's parcel, or the code of a refusal; never raises.

        `deliver` takes parcels to nodes and returns their replies.
        """
        try:
            return pack_parcel(tuple(self._serve(data, deliver)))
        except CreditFederationError as error:
            logger.warning("an enterprise's request of %d bytes was refused: %s", len(data), error.code)
            return pack_refusal(error.code)
        except Exception as error:
            logger.error("an enterprise's request of %d bytes failed: %s", len(data), type(error).__name__)
            return pack_refusal("INTERNAL_ERROR")

    def _serve(self, data: bytes, deliver: Deliver) -> list[Envelope]:
        if len(data) > MAX_REQUEST_BYTES:
            raise MalformedMessage(f"a request of {len(data)} bytes is too long")
        first, *sealed = open_parcel(data) or (None,)
        if first is None:
            raise UnexpectedMessage("an empty parcel asks nothing")
        if first.message == RecordRequest.__name__:
            return self._record(first, sealed, deliver)
        if first.message == Objection.__name__:
            objection, channel = self._admission.admit(first, Objection)
            self._nodes(objection.nodes)
            return [self._filing.file(objection, first, sealed, channel)]
        raise UnexpectedMessage(f"{first.message} is nothing that an enterprise asks")

    # ---- a record

    def _record(self, envelope: Envelope, sealed: Sequence[Envelope], deliver: Deliver) -> list[Envelope]:
        request, channel = self._admission.admit(envelope, RecordRequest)
        self._nodes(request.nodes)
        parcels = subjects_by_node(envelope, sealed, request.nodes, RecordSubject.__name__, channel)
        self._admission.once(channel.transcript, request.expires)
        replies = deliver({node: pack_parcel(parcel) for node, parcel in parcels.items()})
        answers, references = self._collect(replies, channel, PartyId(request.card.party))
        leaves = self._references.leaves_of(references)
        leaves = self._references.leaves_of([*references, *subjects_of(self._site.log, leaves, references)])
        self._site.log.append([_view(request, envelope, leaves, self._site.clock_ms())])
        logged = prove_leaves(self._site.log, leaves, references, self._site.shredder)
        return [*answers, channel.wrap(PartyId(request.card.party), logged)]

    def _nodes(self, nodes: Sequence[str]) -> None:
        for node in nodes:
            self._site.pins.card(PartyId(node), PartyRole.DATA_NODE)

    def _collect(
        self, replies: Mapping[PartyId, bytes | None], channel: Channel, enterprise: PartyId
    ) -> tuple[list[Envelope], dict[bytes, int]]:
        """Return what the nodes say to the enterprise, and the queries, with its place in each, to be proved to it.

        A node that is silent, or whose reply is none, is left out: the enterprise sees that it is missing.
        """
        answers: list[Envelope] = []
        references: dict[bytes, int] = {}
        for node, reply in replies.items():
            with suppress(CreditFederationError):
                for envelope in open_parcel(reply or b""):
                    if envelope.sender != node:
                        raise VerificationFailed(f"{node} answers in the name of {envelope.sender}")
                    if envelope.message == RecordReferences.__name__:
                        references.update(channel.unwrap(envelope, RecordReferences).references)
                    elif envelope.message in (RecordEntries.__name__, RecordRefusal.__name__):
                        channel.verify(envelope)
                        answers.append(envelope)
        return answers, references


def _view(request: RecordRequest, envelope: Envelope, leaves: Sequence[int], at_ms: int) -> Leaf:
    """Return the leaf that says that an enterprise's record was read: by whose key, and how much, never whose."""
    view = AuditView(
        auditor=request.card.party,
        view=RECORD_VIEW,
        selection=selection_hash({"since": str(request.since), "until": str(request.until)}),
        first=leaves[0] if leaves else 0,
        last=leaves[-1] if leaves else 0,
        entries=len(leaves),
        issued=request.issued,
        nonce=request.request,
    )
    return view.leaf(at_ms, hashlib.sha256(encode(envelope)).digest())
