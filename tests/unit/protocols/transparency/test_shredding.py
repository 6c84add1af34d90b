"""A destroyed key opens nothing any more, whoever tries, and every other one is still there."""

from __future__ import annotations

import secrets
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.channel.wire import encode
from protocols.errors import MalformedMessage
from protocols.transparency.shredding import CoveredBody, ShreddingKeys, cover, decode_body, uncover
from protocols.transparency.statements import open_for_auditor, open_for_subject, verify_statements
from tests.unit.protocols.transparency.test_statements import AUDITORS, CARD, FIRMS, sealed, statement

TAGS = [bytes([n]) * 32 for n in range(3)]


def body(keys: ShreddingKeys) -> CoveredBody:
    return decode_body(cover(sealed(), TAGS, 2026, keys, secrets.token_bytes))


def test_what_is_covered_opens_again() -> None:
    keys = ShreddingKeys.draw(secrets.token_bytes)
    found = uncover(body(keys), keys)
    verify_statements(found, CARD)
    assert open_for_auditor(found, AUDITORS[0]) == {n: statement(n) for n in range(3)}


def test_after_shredding_nobody_reads_and_the_others_still_do() -> None:
    keys = ShreddingKeys.draw(secrets.token_bytes)
    stored = body(keys)
    found = uncover(stored, keys.without(TAGS[1]))
    verify_statements(found, CARD)
    for auditor in AUDITORS:
        assert set(open_for_auditor(found, auditor)) == {0, 2}
    assert open_for_subject(found, FIRMS[1]) == {}
    assert set(open_for_subject(found, FIRMS[2])) == {2}
    gone = uncover(stored, None)
    assert gone.entries == (b"", b"", b"")
    verify_statements(gone, CARD)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=12, unique=True), st.data())
def test_destroying_some_keys_leaves_exactly_the_others(tags: list[bytes], data: st.DataObject) -> None:
    gone = data.draw(st.lists(st.sampled_from(tags), unique=True, max_size=len(tags) - 1))
    keys = left = ShreddingKeys({"": bytes(32)})
    for tag in gone:
        left = left.without(tag).without(tag)
    for tag in tags:
        assert left.of(tag) == (None if tag in gone else keys.of(tag))


def test_what_is_left_of_the_secret_holds_no_ancestor_of_a_destroyed_key() -> None:
    tag = TAGS[0]
    keys = ShreddingKeys.draw(secrets.token_bytes)
    left = keys.without(tag)
    path = sha256(b"credit-federation/shredding-path/v1\0" + tag).hexdigest()
    assert not any(path.startswith(prefix) for prefix in left.subtrees)
    assert keys.subtrees[""] not in left.subtrees.values()


def test_a_new_body_about_a_shredded_enterprise_is_covered_and_never_opens() -> None:
    left = ShreddingKeys.draw(secrets.token_bytes).without(TAGS[1])
    stored = body(left)
    assert stored.entries[1] == b""
    assert set(open_for_auditor(uncover(stored, left), AUDITORS[0])) == {0, 2}


def test_equal_statements_are_covered_differently_each_time() -> None:
    keys, statements = ShreddingKeys.draw(secrets.token_bytes), sealed()
    first, second = (decode_body(cover(statements, TAGS, 2026, keys, secrets.token_bytes)) for _ in range(2))
    assert not set(first.entries) & set(second.entries)


def test_a_body_of_another_number_of_enterprises_is_malformed() -> None:
    keys = ShreddingKeys.draw(secrets.token_bytes)
    with pytest.raises(MalformedMessage):
        cover(sealed(), TAGS[:2], 2026, keys, secrets.token_bytes)
    with pytest.raises(MalformedMessage):
        uncover(msgspec.structs.replace(body(keys), tags=tuple(TAGS[:2])), keys)


@given(st.binary(max_size=400))
def test_foreign_bytes_are_no_body(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_body(data)


def test_a_body_that_was_changed_does_not_open() -> None:
    keys = ShreddingKeys.draw(secrets.token_bytes)
    stored = body(keys)
    with pytest.raises(MalformedMessage):
        uncover(msgspec.structs.replace(stored, entries=stored.entries[::-1]), keys)
    assert decode_body(encode(stored)) == stored
