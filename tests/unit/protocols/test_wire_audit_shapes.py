"""Shapes and canaries are found in every spelling, at every place, and chance is not taken for them."""

from __future__ import annotations

import base64
import pickle
import secrets
import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.uscc import synthetic
from protocols.wire_audit import Canaries, Code, distinctive
from protocols.wire_audit.patterns import PatternSet
from protocols.wire_audit.shapes import decoded, is_uniform, scan, scan_values


def shapes(data: bytes) -> list[Code]:
    return [code for code, _, _ in scan(data)]


def values(value: object) -> list[Code]:
    return [code for code, _, _ in scan_values(value, lambda item: False)]


# ---- searching


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60).map(lambda data: bytes(octet % 3 for octet in data)),
    st.sets(st.binary(min_size=4, max_size=7).map(lambda data: bytes(octet % 3 for octet in data)), max_size=6),
)
def test_a_set_of_patterns_finds_what_a_plain_search_finds(data: bytes, patterns: set[bytes]) -> None:
    expected = {(i, p) for p in patterns for i in range(len(data)) if data.startswith(p, i)}
    assert set(PatternSet(patterns).find(data)) == expected


def test_patterns_are_found_across_the_windows_of_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.wire_audit.patterns._STEP", 8)
    data = bytes(range(100, 200))
    for start in range(len(data) - 9):
        assert PatternSet([data[start : start + 9]]).find(data) == [(start, data[start : start + 9])]


def test_a_pattern_that_is_found_everywhere_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than 4"):
        PatternSet([b"abc"])


# ---- canaries


NAME = "Lucky Noodles Ltd"


@pytest.mark.parametrize(
    "spelling",
    [
        NAME.encode(),
        NAME.encode("utf-16-le"),
        NAME.encode("utf-16-be"),
        NAME.encode().hex().encode(),
        NAME.encode().hex().upper().encode(),
        base64.b64encode(NAME.encode()),
        base64.b64encode(b"x" + NAME.encode()),
        base64.urlsafe_b64encode(b"xy" + NAME.encode() + b"z"),
        msgspec.msgpack.encode({"name": NAME}),
        msgspec.json.encode([NAME]),
    ],
)
def test_a_text_is_found_however_it_is_spelt(spelling: bytes) -> None:
    canaries = Canaries.of([NAME])
    data = secrets.token_bytes(5000) + spelling + secrets.token_bytes(5000)
    assert canaries.anywhere.find(data)


@pytest.mark.parametrize(
    ("number", "spelling"),
    [
        (483920.75, b"483920.75"),
        (483920.75, struct.pack(">d", 483920.75)),
        (483920.75, struct.pack("<d", 483920.75)),
        (483920.75, struct.pack("<f", 483920.75)),
        (483920.75, struct.pack(">f", 483920.75)),
        (48392075, b"48392075"),
        (48392075, msgspec.msgpack.encode(48392075)),
        (-48392075, msgspec.msgpack.encode(-48392075)),
        (48392075, (48392075).to_bytes(8, "little")),
        (1 << 62, msgspec.msgpack.encode(1 << 62)),
        (1.2345e-9, b"1.2345e-09"),
    ],
)
def test_a_number_is_found_however_it_is_spelt(number: float, spelling: bytes) -> None:
    canaries = Canaries.of(numbers=[number])
    data = b"\x93around" + spelling + b"it"
    assert canaries.seen_in(data, [data])


def test_numbers_and_texts_are_known_as_values_of_a_message() -> None:
    canaries = Canaries.of([NAME], [54321])
    body = decoded(msgspec.msgpack.encode({"a": [1, {"b": 54321}], "c": 54321.0, NAME: None}))
    assert [code for code, _, _ in scan_values(body, canaries.known) if code is Code.CANARY] == [Code.CANARY] * 3


def test_canaries_are_not_met_by_chance() -> None:
    canaries = Canaries.of([synthetic(i) for i in range(500)], [10000.5 + i for i in range(500)])
    assert canaries.seen_in(secrets.token_bytes(1 << 22), []) == []


SHORT = Canaries.of(numbers=[12345, 12.34567, 483920.75])
FLOATS = [struct.pack("<f", 12.34567), struct.pack(">f", 483920.75)]


@pytest.mark.parametrize(
    "random", [b"8d4f" + b"12345" + b"a7" * 10, b"8d4f" * 3 + FLOATS[0].hex().encode() + b"12345", b"k" * 30 + b"12345"]
)
def test_digits_in_the_midst_of_a_token_are_chance(random: bytes) -> None:
    assert SHORT.seen_in(b"", [random]) == []


def test_one_short_spelling_in_a_value_like_a_key_is_chance_but_two_are_not() -> None:
    assert SHORT.seen_in(b"", [FLOATS[0] + bytes(range(28))]) == []
    assert SHORT.seen_in(b"", [FLOATS[0] + bytes(range(24)) + FLOATS[1]]) == [0, 28]
    assert SHORT.seen_in(b"", [FLOATS[0] + bytes(range(27))]) == [0], "no key has 31 bytes"
    assert SHORT.seen_in(b"", [FLOATS[0] * 100]), "nor does a key repeat"


@pytest.mark.parametrize("text", [b"12345", b"turnover 12345 of May", b"x=12345,y=483920.75", b"\xa512345\xa9arrears"])
def test_a_short_number_in_words_is_seen(text: bytes) -> None:
    assert SHORT.seen_in(b"", [text])


def test_random_keys_and_tokens_show_no_canary() -> None:
    """Random bytes of a run of some thousand messages, and as many canaries as a real table gives."""
    whole = filter(distinctive, range(10001, 15000))
    rows = Canaries.of(numbers=[*whole, *(8.00001 + i / 1000 for i in range(200))])
    keys = [secrets.token_bytes(32) for _ in range(4000)]
    tokens = [key.hex().encode() for key in keys] + [base64.urlsafe_b64encode(key * 8) for key in keys]
    assert sum(bool(rows.readable.find(piece)) for piece in keys + tokens) > 1, "chance alone would see some"
    assert rows.seen_in(b"".join(tokens), keys + tokens) == []


@pytest.mark.parametrize("text", ["", "abcde"])
def test_a_text_too_short_to_tell_is_refused(text: str) -> None:
    assert not distinctive(text)
    with pytest.raises(ValueError, match="too short"):
        Canaries.of([text])


@pytest.mark.parametrize("number", [0, 1, 0.5, 42, 1000000, 1e300, float("nan"), float("inf")])
def test_a_number_that_is_everywhere_is_refused(number: float) -> None:
    assert not distinctive(number)
    with pytest.raises(ValueError, match="significant digits"):
        Canaries.of(numbers=[number])


def test_canaries_do_not_show_themselves() -> None:
    assert NAME not in repr(Canaries.of([NAME], [54321]))


# ---- enterprise codes


def test_a_code_is_found_in_text_among_codes_and_after_other_digits() -> None:
    code = synthetic(7).encode()
    assert shapes(b"\xb2" + code + b"\xb2") == [Code.USCC_VISIBLE]
    assert shapes(code * 3) == [Code.USCC_VISIBLE] * 3
    assert shapes(b"00" + code + b"1") == [Code.USCC_VISIBLE]
    assert shapes(b"(" + synthetic(8).encode() + b"," + code + b")") == [Code.USCC_VISIBLE] * 2


@pytest.mark.parametrize("data", [b"91999999MA0DEM013J", b"91999999MA0DEM013k", b"91999999MA0DEM013", b"A" * 40])
def test_what_only_resembles_a_code_is_none(data: bytes) -> None:
    assert shapes(data) == []


def test_hexadecimal_digests_and_random_bytes_hold_no_shape() -> None:
    digests = b"\xd9\x40".join(secrets.token_bytes(32).hex().encode() for _ in range(5000))
    assert shapes(digests) == []
    assert shapes(secrets.token_bytes(1 << 22)) == []


# ---- pickles, exponents, floats


class Holder:
    """An object such as a careless serialiser sends."""

    def __init__(self) -> None:
        self.exponent = -32


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_objects_are_found(protocol: int) -> None:
    data = b"\x01\x02" + pickle.dumps([Holder()], protocol=protocol) + b"\x03"
    assert {Code.PICKLE, Code.EXPONENT_VISIBLE} & set(shapes(data))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_in_a_field_are_found_even_if_they_hold_numbers_alone(protocol: int) -> None:
    assert Code.PICKLE in values({"vector": pickle.dumps([1, 2], protocol=protocol)})


@pytest.mark.parametrize("text", [b'{"exponent": -3}', b"\xa8Exponent\xfd", b"x.EXPONENT"])
def test_the_word_exponent_is_found(text: bytes) -> None:
    assert shapes(text) == [Code.EXPONENT_VISIBLE]


def test_a_decimal_ciphertext_is_found_and_its_exponent_beside_it() -> None:
    number = b"7" * 400
    assert shapes(b"x" + number) == [Code.EXPONENT_VISIBLE]
    assert shapes(b'["' + number + b'", -12]') == [Code.EXPONENT_VISIBLE] * 2
    assert shapes(b'{"c":"' + number + b'","e":-12}') == [Code.EXPONENT_VISIBLE] * 2


def test_a_ciphertext_paired_with_a_small_number_is_found_as_a_value() -> None:
    assert values([[b"\x07" * 192, -12]]) == [Code.EXPONENT_VISIBLE]
    assert values({"c": b"\x07" * 192, "e": -12}) == [Code.EXPONENT_VISIBLE]
    assert values([[b"\x07" * 192, 1 << 20], [b"short", 1]]) == []


def test_floats_are_found_however_deep() -> None:
    assert values({"a": [[{"b": 0.5}]]}) == [Code.FLOAT_VISIBLE]
    assert values({"a": [[{"b": 5}]]}) == []


# ---- entropy


@pytest.mark.parametrize("size", [128, 500, 10_000, 1 << 20])
def test_random_bytes_are_uniform_and_plain_ones_are_not(size: int) -> None:
    assert is_uniform(secrets.token_bytes(size))
    assert not is_uniform(bytes(size))
    assert not is_uniform((b'{"uscc": "91999999MA0DEM013K", "default": 1}, ' * size)[:size])
    assert not is_uniform(struct.pack(f">{size // 8}d", *(float(i) for i in range(size // 8))))


def test_the_leading_bytes_of_numbers_below_a_modulus_are_not_held_against_them() -> None:
    vector = b"".join(b"\x11\x22" + secrets.token_bytes(30) for _ in range(4000))
    assert is_uniform(vector, 32)
    assert not is_uniform(vector)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_scanned_without_an_error(data: bytes) -> None:
    list(scan(data))
    list(scan_values(decoded(data), lambda item: False))
