"""Leaves have one encoding, fixed names, and no room for what must not be logged."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import MalformedMessage
from protocols.transparency.leaves import (
    ATTRIBUTES,
    MAX_BODY_BYTES,
    AttributeForm,
    Leaf,
    LeafKind,
    attributes,
    decode_commitment,
    decode_leaf,
    encode_leaf,
    subject_tag,
)

USCC = "91350100M000100Y43"
TAG_KEY = b"k" * 32


def make_leaf(**changes: object) -> Leaf:
    base = Leaf(
        kind=LeafKind.REQUEST,
        timestamp_ms=1_700_000_000_000,
        actor="bank-a",
        reference=b"query-0001",
        purpose="assessment",
        subject=subject_tag(TAG_KEY, USCC),
        attributes=attributes({"model": "scorecard-1", "decision": "ALLOW", "bytes": 4096}),
        evidence=sha256(b"signed message").digest(),
        body=b"sealed bytes",
    )
    return msgspec.structs.replace(base, **changes)


VALUES = {
    AttributeForm.CODE: st.from_regex(AttributeForm.CODE.value, fullmatch=True),
    AttributeForm.NAME: st.sampled_from(["a", "scorecard-1", "node_tax", "v1.2:x/y@z"]),
    AttributeForm.HASH: st.binary(min_size=32, max_size=32).map(bytes.hex),
    AttributeForm.COUNT: st.integers(0, 2**53 - 1),
}


@given(
    st.sampled_from(LeafKind),
    st.integers(0, 2**53 - 1),
    st.binary(max_size=64),
    st.sets(st.sampled_from(sorted(ATTRIBUTES)), max_size=8).flatmap(
        lambda names: st.fixed_dictionaries({name: VALUES[ATTRIBUTES[name]] for name in names})
    ),
    st.binary(max_size=200),
)
def test_every_leaf_reads_back_as_itself_from_one_encoding(
    kind: LeafKind, time: int, reference: bytes, values: dict[str, str | int], body: bytes
) -> None:
    leaf = make_leaf(kind=kind, timestamp_ms=time, reference=reference, attributes=attributes(values), body=body)
    data = encode_leaf(leaf)
    assert decode_leaf(data, body) == leaf
    assert decode_commitment(data).body_hash == sha256(body).digest()


def test_the_encoding_does_not_drift() -> None:
    """Every log ever written depends on these bytes."""
    leaf = make_leaf(subject=bytes(32), evidence=bytes(32))
    assert sha256(encode_leaf(leaf)).hexdigest() == "84880add2a671d83d9fbe772cc718d5f45ffa1bf2104828d6aab29336321999a"


def test_the_leaf_commits_to_its_body() -> None:
    leaf = make_leaf()
    assert leaf.body not in encode_leaf(leaf)
    assert encode_leaf(leaf) != encode_leaf(make_leaf(body=b"sealed bytez"))
    with pytest.raises(MalformedMessage):
        decode_leaf(encode_leaf(leaf), b"another body")


def test_other_encodings_of_the_same_leaf_are_malformed() -> None:
    leaf = make_leaf(timestamp_ms=5, reference=b"")
    data = encode_leaf(leaf)
    assert data[10:11] == b"\x05"
    wider = data[:10] + b"\xcc\x05" + data[11:]  # the same integer in two bytes
    assert msgspec.msgpack.decode(wider) == msgspec.msgpack.decode(data)
    longer = b"\xdc\x00\x0a" + data[1:]  # the same array under a longer header
    assert msgspec.msgpack.decode(longer) == msgspec.msgpack.decode(data)
    for other in (wider, longer, data + b"\x00", data[:-1], b"", b"\x90"):
        with pytest.raises(MalformedMessage):
            decode_commitment(other)


@pytest.mark.parametrize("name", ["score", "pd", "grade", "uscc", "vat_sales_12m", "label", "Model", ""])
def test_attributes_off_the_list_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="attribute"):
        attributes({name: "x"})
    with pytest.raises(ValueError, match="attribute"):
        make_leaf(attributes=((name, "x"),))


def test_no_listed_attribute_is_an_assessment_result() -> None:
    forbidden = {"score", "pd", "grade", "probability", "label", "feature", "value", "uscc", "themes", "points"}
    assert not forbidden & set(ATTRIBUTES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("decision", "allow"),
        ("decision", "free text"),
        ("model", "two words"),
        ("model", "x" * 129),
        ("model", ""),
        ("policy_hash", "abc"),
        ("policy_hash", "A" * 64),
        ("bytes", -1),
        ("bytes", 2**53),
        ("bytes", True),
        ("bytes", "12"),
        ("model", 12),
    ],
)
def test_attributes_of_another_form_are_refused(name: str, value: str | int) -> None:
    with pytest.raises(ValueError, match=name):
        attributes({name: value})


def test_attributes_out_of_order_or_twice_are_refused() -> None:
    for pairs in ((("model", "a"), ("bank", "b")), (("bank", "a"), ("bank", "b"))):
        with pytest.raises(ValueError, match="sorted"):
            make_leaf(attributes=pairs)


@pytest.mark.parametrize("code", [USCC, USCC.lower(), "91999999MA0DEM013K", f"id:{USCC}"])
def test_a_plain_uscc_is_refused_everywhere(code: str) -> None:
    text_places = ({"actor": code}, {"purpose": code}, {"attributes": (("model", code),)})
    byte_places = ({"reference": code.encode()}, {"body": b'{"uscc": "' + code.encode() + b'"}'})
    for place in (*text_places, *byte_places):
        with pytest.raises(ValueError, match="USCC") as error:
            make_leaf(**place)
        assert code not in str(error.value)


def test_a_word_of_eighteen_characters_is_no_uscc() -> None:
    assert make_leaf(purpose="91350100M000100Y44").purpose == "91350100M000100Y44"


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"timestamp_ms": -1},
        {"timestamp_ms": 2**53},
        {"actor": ""},
        {"actor": "a b"},
        {"actor": "a\n"},
        {"purpose": "free text"},
        {"reference": b"x" * 65},
        {"subject": b"short"},
        {"evidence": b"short"},
        {"body": bytes(MAX_BODY_BYTES + 1)},
        {"attributes": tuple((name, 1) for name in sorted(ATTRIBUTES))},
    ],
)
def test_fields_out_of_range_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each field has its own text
        make_leaf(**changes)


@pytest.mark.parametrize("changes", [{"timestamp_ms": 1.5}, {"timestamp_ms": True}, {"kind": "PARTY"}])
def test_a_leaf_that_would_not_read_back_is_never_encoded(changes: dict[str, object]) -> None:
    """msgspec does not check types on construction; a log with one such leaf could never be verified again."""
    with pytest.raises(ValueError, match="wrong type"):
        encode_leaf(make_leaf(**changes))


def test_subject_tags_are_keyed() -> None:
    tag = subject_tag(TAG_KEY, USCC)
    assert tag == subject_tag(TAG_KEY, USCC)
    assert len({tag, subject_tag(b"j" * 32, USCC), subject_tag(TAG_KEY, "91999999MA0DEM013K")}) == 3
    assert tag != sha256(USCC.encode()).digest()
    for key, code in ((b"short", USCC), (TAG_KEY, ""), (TAG_KEY, f" {USCC}")):
        with pytest.raises(ValueError, match=r"tag key|enterprise id"):
            subject_tag(key, code)
