"""Whatever bytes a peer sends, every decoder answers with one of our two errors or with something that re-encodes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.transparency.checkpoints import (
    CosignatureSigner,
    LogKeys,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from protocols.transparency.hashing import leaf_hash
from protocols.transparency.leaves import Leaf, LeafKind, decode_commitment, decode_leaf, encode_leaf
from protocols.transparency.log_proofs import LogProof, parse_log_proof
from protocols.transparency.notes import NoteSigner, parse_note, parse_signature_lines, parse_vkey
from protocols.transparency.witness import (
    AddCheckpoint,
    SplitView,
    Witness,
    compare_checkpoints,
    parse_add_checkpoint,
    verify_split_view,
)

LOG = NoteSigner("log.test", Ed25519PrivateKey.from_private_bytes(b"L" * 32))
WITNESS = CosignatureSigner("node", Ed25519PrivateKey.from_private_bytes(b"W" * 32))
LEAF = encode_leaf(Leaf(kind=LeafKind.ACK, timestamp_ms=1, actor="bank", reference=b"r", body=b"sealed"))
NOTE = sign_checkpoint(LOG, 1, leaf_hash(LEAF))
COSIGNED = NOTE.with_signatures([WITNESS.cosign(NOTE.text, 7)]).encode()
REQUEST = AddCheckpoint(0, (), COSIGNED).encode()
PROOF = LogProof(0, (), COSIGNED, b"extra").encode()
KEYS = LogKeys(LOG.verifier, (WITNESS.verifier,))


@st.composite
def mangled(draw: st.DrawFn, honest: bytes) -> bytes:
    """Honest bytes with a few spans replaced, or bytes from nowhere."""
    if draw(st.integers(0, 4)) == 0:
        return draw(
            st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda t: t.encode("utf-8", "ignore")))
        )
    data = honest
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 4)))
        data = (
            data[:start]
            + draw(st.one_of(st.binary(max_size=4), st.sampled_from([b"\n", b"\n\n", b" ", b"="])))
            + data[end:]
        )
    return data


def answers(decode: Callable[[bytes], bytes | None], data: bytes) -> None:
    """Require one of our errors, or a value that encodes to the very same bytes."""
    try:
        again = decode(data)
    except (MalformedMessage, VerificationFailed):
        return
    assert again is None or again == data


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


DECODERS: dict[str, tuple[bytes, Callable[[bytes], bytes | None]]] = {
    "note": (COSIGNED, lambda data: parse_note(data).encode()),
    "lines": (
        COSIGNED.split(b"\n\n")[1],
        lambda data: _raw("".join(line.encode() for line in parse_signature_lines(_text(data)))),
    ),
    "checkpoint": (NOTE.text.encode(), lambda data: _raw(parse_checkpoint(_text(data)).text())),
    "vkey": (LOG.verifier.vkey().encode(), lambda data: _raw(parse_vkey(_text(data)).vkey())),
    "request": (REQUEST, lambda data: parse_add_checkpoint(data).encode()),
    "proof": (PROOF, lambda data: parse_log_proof(data).encode()),
    "commitment": (LEAF, lambda data: msgspec.msgpack.encode(decode_commitment(data))),
    "leaf": (LEAF, lambda data: encode_leaf(decode_leaf(data, b"sealed"))),
    "verify": (COSIGNED, lambda data: _none(verify_checkpoint(data, LOG.verifier, [WITNESS.verifier]))),
    "prove": (PROOF, lambda data: _none(parse_log_proof(data).verify(LEAF, KEYS))),
    "split": (COSIGNED, lambda data: verify_split_view(SplitView(COSIGNED, data, leaf_hash(b"")), LOG.verifier)),
    "compare": (COSIGNED, lambda data: _none(compare_checkpoints(COSIGNED, data, LOG.verifier))),
}


def _none(_: object) -> None:
    return None


@pytest.mark.parametrize("name", sorted(set(DECODERS) - {"split"}))
def test_honest_bytes_are_accepted(name: str) -> None:
    honest, decode = DECODERS[name]
    again = decode(honest)
    assert again is None or again == honest


@pytest.mark.parametrize("name", sorted(DECODERS))
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_hostile_bytes_raise_our_errors_only(name: str, data: st.DataObject) -> None:
    honest, decode = DECODERS[name]
    answers(decode, data.draw(mangled(honest)))


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_hostile_request_never_moves_a_witness(data: st.DataObject) -> None:
    witness = Witness(WITNESS, LOG.verifier)
    raw = data.draw(mangled(REQUEST))
    try:
        request = parse_add_checkpoint(raw)
        witness.receive(request, 1)
    except (MalformedMessage, VerificationFailed, UnexpectedMessage):
        assert witness.last_note is None
    else:
        assert parse_note(request.note).text == NOTE.text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 2**64 - 1) | st.text(max_size=5) | st.binary(max_size=40),
        lambda inner: st.lists(inner, max_size=11) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    )
)
@example(msgspec.msgpack.decode(LEAF))
def test_any_msgpack_value_is_no_leaf_unless_canonical(value: object) -> None:
    data = msgspec.msgpack.encode(value)
    answers(lambda raw: msgspec.msgpack.encode(decode_commitment(raw)), data)


def test_deep_nesting_does_not_exhaust_the_stack() -> None:
    with pytest.raises(MalformedMessage):
        decode_commitment(b"\x91" * 8000)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"c2sp.org/tlog-proof@v1\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 01\n\nnote",
        b"c2sp.org/tlog-proof@v1\nextra \nindex 0\n\nnote",
        b"c2sp.org/tlog-proof@v1\nextra AA=\nindex 0\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nnote",
        b"c2sp.org/tlog-proof@v2\nindex 0\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 0\n\xff\n\nnote",
        b"c2sp.org/tlog-proof@v1\nindex 0",
        b"x" * (3 << 20),
    ],
)
def test_malformed_log_proofs(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_log_proof(data)


def test_a_log_proof_convinces_of_this_leaf_at_this_index_only() -> None:
    proof = parse_log_proof(PROOF)
    assert proof.verify(LEAF, KEYS).checkpoint.size == 1
    other = encode_leaf(Leaf(kind=LeafKind.ACK, timestamp_ms=2, actor="bank"))
    with pytest.raises(VerificationFailed):
        proof.verify(other, KEYS)
    unwitnessed = LogProof(0, (), NOTE.encode())
    with pytest.raises(VerificationFailed):
        unwitnessed.verify(LEAF, KEYS)
