"""What each decoder reads of an honest peer, and how it is called with whatever a hostile one sends instead."""

from __future__ import annotations

import asyncio
import datetime
import secrets
from collections.abc import Callable
from functools import cache, partial
from typing import Final

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from federation.audit.export.reading import ExportedProof, parse_leaf, parse_proof
from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reading.records import export_line
from federation.flower import desk_messages as desk
from federation.relay.authority import create_authority, issue
from nodes.bank.api.batch_file import FileFormat, read_batch_file
from nodes.bank.training.own_cut import decode_cut
from nodes.binning import FineBinning
from nodes.further_keys import supernode_pair
from protocols import consent as c
from protocols.boosting.serving import open_part
from protocols.channel.envelope import open_parcel, pack_parcel, seal, unseal
from protocols.channel.identity import PartyId
from protocols.channel.wire import encode
from protocols.consent.issuers import ConsentIssuer, Issuers
from protocols.consortium.shares import open_share
from protocols.enrolment import certificates, framing, roster, token
from protocols.enterprise.credential import Credential, issue_credential, verify_credential, verify_key_slip
from protocols.paillier import CiphertextVector, OwnerEncryptor, PrivateKey, PublicKey, key_file, key_proof
from protocols.scorecard import messages as m
from protocols.scorecard.cells import fold, unfold
from protocols.stream import StreamEnd, StreamLimits, runs
from protocols.stream.wire import Delivery, Exchange, Frame, read_frame
from protocols.transparency import lines
from protocols.transparency.leaves import Leaf, LeafKind, decode_leaf, encode_leaf
from tests.protocol.decoders import Decoder
from tests.protocol.network import paillier_key

NOW: Final = 1_700_000_000
MOMENT: Final = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
KEY: Final = Ed25519PrivateKey.from_private_bytes(b"I" * 32)
SEALING: Final = X25519PrivateKey.from_private_bytes(b"S" * 32)
ISSUER: Final = ConsentIssuer("service", KEY.public_key())
ISSUERS: Final = Issuers([ISSUER])
CONSENT: Final = c.Consent(
    "firm", "bank", "ab" * 32, (c.Purpose.ASSESSMENT,), ("tax",), 5, NOW, NOW, NOW + 99, "an id of sixteen"
)
DEMAND: Final = c.ConsentDemand("firm", "bank", "ab" * 32, c.Purpose.ASSESSMENT, "tax")
LEAF: Final = Leaf(kind=LeafKind.ACK, timestamp_ms=1, actor="bank", reference=b"r" * 16, body=b"sealed")
HASH: Final = lines.encode_base64(bytes(32))


def text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """Read what bytes spell, any byte of theirs: what is not UTF-8 comes as lone surrogates, as from a command line."""
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


@cache
def key() -> PrivateKey:
    return paillier_key(0)


@cache
def tls() -> tuple[bytes, bytes, bytes]:
    """An authority's certificate, and one of its own for a party, with the key."""
    authority = create_authority(MOMENT)
    party = issue(authority, PartyId("tax"), MOMENT, 30)
    return authority.certificate, party.certificate, party.key


def vector(count: int) -> bytes:
    return OwnerEncryptor(key(), secrets.token_bytes).encrypt([1] * count).to_bytes()


def incoming(data: bytes) -> object:
    async def take() -> object:
        return StreamEnd(StreamLimits(frame_bytes=1 << 16, waiting_bytes=1 << 16, open_requests=4)).incoming(data)

    return asyncio.run(take())


def consents() -> dict[str, Decoder]:
    issued, slip = c.issue_consent(CONSENT, "service", KEY), c.issue_slip(CONSENT, "service", KEY)
    revoking = c.sign_revocations(c.RevocationList("service", 1, NOW, NOW + 60, frozenset([bytes(32)])), KEY)
    vouched = issue_credential(Credential("firm", "cd" * 32, NOW, NOW + 99, "an id of sixteen"), "service", KEY)
    credential, key_slip = (part.encode() for part in c.split_consent(vouched))
    consent, shown, listed = issued.encode(), slip.encode(), revoking.encode()
    joined = c.join_consent(issued, slip)
    return {
        "protocols.consent.issuers:ConsentIssuer.open": Decoder(
            text(lambda t: ISSUER.open(t, "consent+jwt", ())), consent
        ),
        "protocols.consent.issuers:Issuers.of": Decoder(text(ISSUERS.of), consent),
        "protocols.consent.issuers:unverified_claims": Decoder(text(c.unverified_claims), consent),
        "protocols.consent.revocation:RevocationView.take": Decoder(text(c.RevocationView(ISSUERS).take), listed),
        "protocols.consent.revocation:verify_revocations": Decoder(
            text(partial(c.verify_revocations, issuer=ISSUER)), listed
        ),
        "protocols.consent.slips:verify_slip": Decoder(
            text(lambda t: c.verify_slip(t, ISSUERS, "bank", "ab" * 32, c.Purpose.ASSESSMENT, NOW)), shown
        ),
        "protocols.consent.slips:unverified_name": Decoder(text(c.unverified_name), shown),
        "protocols.consent.slips:unverified_handle": Decoder(text(c.unverified_handle), shown),
        "protocols.consent.slips:split_consent": Decoder(text(c.split_consent), joined.encode()),
        "protocols.consent.tokens:unverified_subject": Decoder(text(c.unverified_subject), consent),
        "protocols.consent.tokens:unverified_record_key": Decoder(text(c.unverified_record_key), consent),
        "protocols.consent.tokens:record_key_of": Decoder(text(lambda t: c.record_key_of(t, ISSUERS, "firm")), consent),
        "protocols.consent.tokens:verify_consent": Decoder(
            text(lambda t: c.verify_consent(t, ISSUERS, DEMAND, NOW)), consent
        ),
        "protocols.enterprise.credential:verify_credential": Decoder(
            text(lambda t: verify_credential(t, ISSUERS, "firm", "cd" * 32, NOW)), credential
        ),
        "protocols.enterprise.credential:verify_key_slip": Decoder(
            text(lambda t: verify_key_slip(t, ISSUERS, "cd" * 32, NOW)), key_slip
        ),
    }


def certified() -> dict[str, Decoder]:
    authority, certificate, tls_key = tls()
    tax = PartyId("tax")
    invited = token.draw_token(tax, bytes(32), secrets.token_bytes).spell().encode()
    return {
        "protocols.enrolment.certificates:certifies": Decoder(
            lambda data: certificates.certifies(data, tls_key), certificate
        ),
        "protocols.enrolment.certificates:check_authority": Decoder(
            lambda data: certificates.check_authority(authority, data), authority
        ),
        "protocols.enrolment.certificates:check_certificate": Decoder(
            lambda data: certificates.check_certificate(data, authority, tls_key, tax), certificate
        ),
        "protocols.enrolment.certificates:public_key_digest": Decoder(certificates.public_key_digest, certificate),
        "protocols.enrolment.certificates:renewal_due": Decoder(
            lambda data: certificates.renewal_due(data, MOMENT), certificate
        ),
        "protocols.enrolment.certificates:requested_key": Decoder(
            lambda data: certificates.requested_key(data, tax), certificates.signing_request(tax, tls_key)
        ),
        "protocols.enrolment.framing:framed_size": Decoder(
            lambda data: framing.framed_size(data, 1 << 20), framing.frame(b"message")[:4]
        ),
        "protocols.enrolment.roster:check_supernode_key": Decoder(
            text(roster.check_supernode_key), supernode_pair()[1].strip()
        ),
        "protocols.enrolment.token:parse_token": Decoder(text(token.parse_token), invited),
        "protocols.enrolment.token:check_name": Decoder(text(token.check_name), b"tax"),
    }


def ciphered() -> dict[str, Decoder]:
    public = key().public_key
    pem = key().to_pem(b"word", secrets.token_bytes)
    proof = key_proof.prove_key(key(), b"context", secrets.token_bytes)
    return {
        "protocols.paillier.key_file:open_key": Decoder(lambda data: key_file.open_key(data, b"word"), pem),
        "protocols.paillier.keys:PrivateKey.from_pem": Decoder(lambda data: PrivateKey.from_pem(data, b"word"), pem),
        "protocols.paillier.keys:PublicKey.from_bytes": Decoder(
            lambda data: PublicKey.from_bytes(data, public.bits), public.to_bytes()
        ),
        "protocols.paillier.key_proof:verify_key_proof": Decoder(
            lambda data: key_proof.verify_key_proof(public, data, b"context"), proof
        ),
        "protocols.paillier.vector:CiphertextVector.from_bytes": Decoder(
            partial(CiphertextVector.from_bytes, public), vector(3)
        ),
        "protocols.consortium.shares:open_share": Decoder(lambda data: open_share(data, [20, 20], key()), vector(2)),
    }


def carried() -> dict[str, Decoder]:
    """What travels on streams and sockets, and files of the transparency log and of batches."""
    frame = Frame(delivery=Delivery(exchanges=[Exchange(number=1, parcel=pack_parcel(()))])).SerializeToString()
    cut = msgspec.msgpack.encode((FineBinning("sales", True, (1.0,), {}, 2, 2, 2),))
    csv = b"enterprise,consent,reference\n91350100M000100Y43,token,LN-1\n"
    exported = export_line(LoggedLeaf(0, encode_leaf(LEAF), LEAF.body))
    proof = msgspec.json.encode(ExportedProof(0, 2, HASH, (HASH,)))
    return {
        "protocols.channel.envelope:open_parcel": Decoder(open_parcel, pack_parcel(())),
        "protocols.channel.envelope:unseal": Decoder(
            lambda data: unseal(data, SEALING, b"info"), seal(b"secret", SEALING.public_key(), b"info")
        ),
        "protocols.boosting.serving:open_part": Decoder(
            open_part, encode(m.PointTables(0, m.Rows.ALL, (m.FeaturePoints((1, 2)),), bytes(32)))
        ),
        "protocols.scorecard.cells:unfold": Decoder(
            lambda data: unfold(data, 3), fold(np.array([1, 2, 3], dtype=np.uint32))
        ),
        "protocols.stream.exchanges:StreamEnd.incoming": Decoder(incoming, frame),
        "protocols.stream.wire:read_frame": Decoder(read_frame, frame),
        "protocols.stream.runs:decode_asked": Decoder(runs.decode_asked, encode(runs.RecordQuestion("run", 0))),
        "protocols.stream.runs:decode_held": Decoder(runs.decode_held, encode(runs.RunHeld(0, ""))),
        "protocols.stream.runs:decode_record": Decoder(runs.decode_record, encode(runs.RecordPiece(b"lines"))),
        "federation.flower.desk_messages:decode_request": Decoder(desk.decode_request, desk.encode(desk.Begin("run"))),
        "federation.flower.desk_messages:decode_answer": Decoder(desk.decode_answer, desk.encode(desk.Noted())),
        "federation.audit.export.reading:parse_leaf": Decoder(parse_leaf, exported),
        "federation.audit.export.reading:parse_proof": Decoder(parse_proof, proof),
        "nodes.bank.training.own_cut:decode_cut": Decoder(decode_cut, cut),
        "nodes.bank.api.batch_file:read_batch_file": Decoder(lambda data: read_batch_file(data, FileFormat.CSV), csv),
        "protocols.transparency.leaves:decode_leaf": Decoder(
            lambda data: decode_leaf(data, b"sealed"), encode_leaf(LEAF)
        ),
        "protocols.transparency.lines:decode_base64": Decoder(text(partial(lines.decode_base64, what="it")), b"AAAA"),
        "protocols.transparency.lines:decode_hash": Decoder(
            text(partial(lines.decode_hash, what="it")), lines.encode_base64(bytes(32)).encode()
        ),
        "protocols.transparency.lines:decode_size": Decoder(text(partial(lines.decode_size, what="it")), b"12"),
    }


def samples() -> dict[str, Decoder]:
    """Every decoder that is fuzzed here, by name."""
    return consents() | certified() | ciphered() | carried()
