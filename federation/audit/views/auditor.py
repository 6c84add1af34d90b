"""An auditor's side of a view: sign it, hand it in, and check the receipt that the log gives for it.

    auditor = Auditor(keys, cards, log_key)
    with reaching(home, …) as desk:
        record_view(desk, auditor, "search", {"bank": "bank"}, Reach(0, 93, 12))
        opened = open_body(desk, auditor, 17)

What is looked for goes into the log as a hash; see `protocols/transparency/views.py`.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from protocols.assessment.messages import LogReceipt
from protocols.channel.envelope import Channel, Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole
from protocols.errors import TransportError, UnexpectedMessage, VerificationFailed
from protocols.transparency.checkpoints import verify_log_signature
from protocols.transparency.leaves import LeafCommitment
from protocols.transparency.notes import VerifierKey, parse_note
from protocols.transparency.orders import ShredOrder
from protocols.transparency.statements import SealedStatements, Statement, open_for_auditor, verify_statements
from protocols.transparency.views import OPEN_VIEW, AuditView, OpenedBody, selection_hash

SOCKET_FILE: Final = "audit.sock"
_LENGTH_BYTES: Final = 8
_SECONDS: Final = 60.0
Desk = Callable[[bytes], bytes]
"""Answers a parcel: the coordinator's door, or a desk in this process."""


@dataclass(frozen=True, slots=True)
class Auditor:
    """Who looks, or orders: the keys, the cards that are pinned, the log's key."""

    keys: PartyKeys = field(repr=False)
    cards: Mapping[PartyId, PartyCard] = field(repr=False)
    log_key: VerifierKey
    clock: Callable[[], float] = time.time

    @property
    def name(self) -> PartyId:
        """The auditor's party id."""
        return self.keys.party


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a view reached: from which leaf to which, and how many it showed."""

    first: int
    last: int
    entries: int


def record_view(desk: Desk, auditor: Auditor, view: str, selection: Mapping[str, str], reach: Reach) -> LogReceipt:
    """Log that an auditor has looked, and return the log's receipt for it; `selection` stays with the auditor.

    Raises: PeerRefused, TransportError, VerificationFailed; ValueError for a view whose name is none.
    """
    receipt, _ = _take(desk, auditor, view, selection, reach)
    return receipt


def open_body(desk: Desk, auditor: Auditor, leaf: int) -> tuple[SealedStatements, dict[int, Statement], LogReceipt]:
    """Return the body of a leaf as its party sealed it, what the auditor reads of it, and the receipt of the view.

    The caller holds them against the leaf, by `check_body`.
    Raises: PeerRefused, TransportError, VerificationFailed, MalformedMessage.
    """
    receipt, opened = _take(desk, auditor, OPEN_VIEW, {"leaf": str(leaf)}, Reach(leaf, leaf, 1))
    if opened is None or opened.leaf != leaf:
        raise UnexpectedMessage("another body was opened than the one that was asked for")
    return opened.statements, open_for_auditor(opened.statements, auditor.keys.sealing), receipt


def fetch_body(desk: Desk, auditor: Auditor, leaf: int) -> tuple[LogReceipt, Envelope]:
    """Return the receipt of a view that opens a body, and the body still sealed to the auditor, as it came.

    For who signs for an auditor and holds no key that opens. Raises: PeerRefused, TransportError, VerificationFailed.
    """
    receipt, opened, _ = _ask(desk, auditor, OPEN_VIEW, {"leaf": str(leaf)}, Reach(leaf, leaf, 1))
    if opened is None:
        raise UnexpectedMessage("the coordinator sent no body")
    return receipt, opened


def check_body(
    leaf: LeafCommitment, sealed: SealedStatements, statements: Mapping[int, Statement], cards: Sequence[PartyCard]
) -> None:
    """Accept only a body that the leaf's own actor signed, under one of its `cards`, about the leaf's own question.

    A coordinator that puts a party's true statements under another leaf does not pass. Raises: VerificationFailed.
    """
    told = {(s.leaf, s.party, s.reference, s.purpose) for s in statements.values()}
    if sealed.head.leaf is not leaf.kind or told - {(leaf.kind, leaf.actor, leaf.reference, leaf.purpose)}:
        raise VerificationFailed("the body is about something else than its leaf", code="BODY_INVALID")
    verify_statements(sealed, *cards)


def order_shredding(desk: Desk, operator: Auditor, tags: tuple[bytes, ...], before_year: int = 0) -> LogReceipt:
    """Have keys destroyed for good, by the coordinator's own `operator`; return the receipt of the leaf that says so.

    Raises: PeerRefused, code RETENTION for a year that is still to be kept; TransportError, VerificationFailed.
    """
    order = ShredOrder(operator.name, tags, before_year, int(operator.clock()), secrets.token_bytes(16))
    channel = Channel(operator.keys, operator.cards, order.transcript())
    asked = channel.wrap(operator.name, order, sealed=False)
    answers = {envelope.message: envelope for envelope in open_parcel(desk(pack_parcel((asked,))))}
    return _receipt(answers.get(LogReceipt.__name__), channel, operator.name, operator.log_key)


def _take(
    desk: Desk, auditor: Auditor, view: str, selection: Mapping[str, str], reach: Reach
) -> tuple[LogReceipt, OpenedBody | None]:
    receipt, opened, channel = _ask(desk, auditor, view, selection, reach)
    return receipt, None if opened is None else channel.unwrap(opened, OpenedBody)


def _ask(
    desk: Desk, auditor: Auditor, view: str, selection: Mapping[str, str], reach: Reach
) -> tuple[LogReceipt, Envelope | None, Channel]:
    message = AuditView(
        auditor=auditor.name,
        view=view,
        selection=selection_hash(selection),
        first=reach.first,
        last=reach.last,
        entries=reach.entries,
        issued=int(auditor.clock()),
        nonce=secrets.token_bytes(16),
    )
    channel = Channel(auditor.keys, auditor.cards, message.transcript())
    coordinator = _coordinator(auditor.cards)
    asked = channel.wrap(coordinator, message, sealed=False)
    answers = {envelope.message: envelope for envelope in open_parcel(desk(pack_parcel((asked,))))}
    receipt = _receipt(answers.pop(LogReceipt.__name__, None), channel, coordinator, auditor.log_key)
    opened = answers.pop(OpenedBody.__name__, None)
    if opened is not None:
        channel.verify(opened)
    return receipt, opened, channel


def _receipt(envelope: Envelope | None, channel: Channel, coordinator: PartyId, log_key: VerifierKey) -> LogReceipt:
    if envelope is None or envelope.sender != coordinator:
        raise UnexpectedMessage("the coordinator gave no receipt for the view")
    receipt = channel.unwrap(envelope, LogReceipt)
    if receipt.leaf >= verify_log_signature(parse_note(receipt.note), log_key).size:
        raise VerificationFailed("the receipt's leaf is outside its tree", code="NO_RECEIPT")
    return receipt


def _coordinator(cards: Mapping[PartyId, PartyCard]) -> PartyId:
    found = [party for party, card in cards.items() if card.role is PartyRole.COORDINATOR]
    if len(found) != 1:
        raise VerificationFailed(f"{len(found)} coordinators are pinned, where one is due")
    return found[0]


def socket_desk(path: Path) -> Desk:
    """Return the desk of the coordinator process that serves `path`; asking raises TransportError if none does."""

    def ask(parcel: bytes) -> bytes:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_SECONDS)
                connection.connect(str(path))
                connection.sendall(len(parcel).to_bytes(_LENGTH_BYTES) + parcel)
                return _exactly(connection, int.from_bytes(_exactly(connection, _LENGTH_BYTES)))
        except OSError as error:
            raise TransportError(f"nobody answers at {path}", code="NO_COORDINATOR") from error

    return ask


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        received = connection.recv(min(size - len(data), 1 << 20))
        if not received:
            raise OSError("closed early")
        data += received
    return bytes(data)
