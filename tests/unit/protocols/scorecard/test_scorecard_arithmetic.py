"""Packed, masked sums come back exactly; shares of products add up to the inner products; anything else is refused."""

from __future__ import annotations

import secrets
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.channel.identity import PartyId
from protocols.credit.woe import WOE_LIMIT
from protocols.errors import CreditFederationError, MalformedMessage, UnexpectedMessage
from protocols.paillier import CiphertextVector, OwnerEncryptor, decrypt
from protocols.scorecard.arithmetic import (
    RESIDUAL_SCALE,
    TOTAL_BITS,
    encrypt_for_owner,
    gradient_packing,
    histogram_packing,
    masked_sums,
    masking,
    product_packing,
    total_packing,
    unmask_sums,
    unpack,
    widths,
)
from protocols.scorecard.curvature import column_sums, open_gradient, pack_residuals, pair_count
from protocols.scorecard.gram import GramAssembly
from protocols.scorecard.products import (
    add_shares,
    encrypt_columns,
    multiply_columns,
    open_products,
    weigh_bins,
    weigh_pairs,
)
from protocols.scorecard.rows import WoeColumns, owner_order
from tests.protocol.network import binned, paillier_key

KEY = paillier_key(0)
PUBLIC = KEY.public_key
BITS = PUBLIC.bits
woe = st.integers(-WOE_LIMIT, WOE_LIMIT)
QUICK = settings(max_examples=15, deadline=None)


@st.composite
def woe_columns(draw: st.DrawFn, rows: int, most: int = 4) -> WoeColumns:
    """Any binned rows with any WOE, extremes included."""
    count = draw(st.integers(1, most))
    tables = draw(st.lists(st.lists(woe, min_size=1, max_size=5), min_size=count, max_size=count))
    columns = [
        np.array(draw(st.lists(st.integers(0, len(table) - 1), min_size=rows, max_size=rows))) for table in tables
    ]
    data = binned(columns, [len(table) for table in tables], rows)
    return WoeColumns.build(data, rows, [tuple(table) for table in tables])


# ---- bounds


@given(st.integers(1, 1 << 40))
def test_every_packing_fits_the_shortest_key_for_any_number_of_rows(rows: int) -> None:
    for bits in (512, 2048, 3072):
        for packing in (histogram_packing(rows, bits), product_packing(rows, bits), gradient_packing(rows, bits)):
            assert packing.slots >= 1
            assert packing.slots * packing.slot_bits + 80 < bits
        assert gradient_packing(rows, bits).slots % 2 == 0
        assert gradient_packing(rows, bits).slots >= 2
        assert histogram_packing(rows, bits).slot_limit >= rows
        assert product_packing(rows, bits).slot_limit >= rows * WOE_LIMIT**2
        assert gradient_packing(rows, bits).slot_limit >= rows * RESIDUAL_SCALE * WOE_LIMIT**2
        assert total_packing(bits).slot_limit >= (1 << TOTAL_BITS) - 1


def test_widths_cover_all_values_once() -> None:
    packing = histogram_packing(100, BITS)
    for values in (0, 1, packing.slots, packing.slots + 1, 3 * packing.slots - 1):
        found = widths(values, packing)
        assert sum(found) == values
        assert all(0 < width <= packing.slots for width in found)


# ---- masks


@QUICK
@given(st.lists(st.integers(-500, 500), min_size=1, max_size=200), st.sampled_from([1, 2]))
def test_masked_sums_come_back_exactly(values: list[int], filled: int) -> None:
    packing = histogram_packing(500, BITS)
    packing = type(packing)(packing.slot_bits, packing.slots - packing.slots % 2, 1, 500)
    groups = [values[at : at + filled] for at in range(0, len(values) - filled + 1, filled)]
    if not groups:
        return
    values = [value for group in groups for value in group]
    joined = [sum(value << (packing.slot_bits * i) for i, value in enumerate(group)) for group in groups]
    cells = OwnerEncryptor(KEY, secrets.token_bytes).encrypt(joined)
    sent = masked_sums(cells, packing, secrets.token_bytes, filled)
    plain = decrypt(KEY, sent)
    assert unmask_sums(plain, packing, PUBLIC, len(values)) == values
    shown = [masking(packing, width, PUBLIC).bits for width in widths(len(values), packing)]
    assert all(value >> bits for value, bits in zip(plain, shown, strict=True))  # the mask is never nothing


def test_masks_stay_within_the_modulus_and_clear_of_the_slots() -> None:
    packing = histogram_packing(500, BITS)
    mask = masking(packing, packing.slots, PUBLIC)
    for source in (bytes, lambda size: b"\xff" * size, secrets.token_bytes):
        upper, whole = mask.upper(source), mask.whole(source)
        assert upper % (1 << mask.bits) == 0
        assert 1 << mask.bits <= upper < PUBLIC.n - (1 << mask.bits)
        assert 1 << mask.bits <= whole < PUBLIC.n - (1 << mask.bits)


@given(st.integers(-(1 << 100), 1 << 100))
def test_centred_undoes_low(value: int) -> None:
    mask = masking(histogram_packing(500, BITS), 20, PUBLIC)
    assert mask.centred(mask.low(value)) == value


@QUICK
@given(st.lists(st.integers(0, PUBLIC.n - 1), max_size=4), st.integers(0, 100))
def test_any_plaintexts_are_unmasked_or_refused(plain: list[int], count: int) -> None:
    packing = histogram_packing(500, BITS)
    with suppress(MalformedMessage):
        assert len(unmask_sums(plain, packing, PUBLIC, count)) == count


def test_a_slot_that_overflows_is_refused() -> None:
    packing = histogram_packing(500, BITS)
    assert unpack(packing, 500, 2) == [500, 0]
    with pytest.raises(MalformedMessage):
        unpack(packing, 501, 2)


def test_encryption_for_the_owner_is_exact_over_the_whole_range_and_never_repeats() -> None:
    values = [0, 1, PUBLIC.n // 2, PUBLIC.n - 1, 0]
    vector = encrypt_for_owner(PUBLIC, values, secrets.token_bytes)
    assert decrypt(KEY, vector) == values
    assert len(set(vector)) == 5


# ---- inner products


@QUICK
@given(st.data(), st.integers(1, 12))
def test_two_shares_add_up_to_the_exact_inner_products(data: st.DataObject, rows: int) -> None:
    owner, evaluator = data.draw(woe_columns(rows)), data.draw(woe_columns(rows))
    sent = encrypt_columns(owner, KEY, secrets.token_bytes)
    products, hidden = multiply_columns(sent, owner.count, PUBLIC, evaluator, secrets.token_bytes)
    shown = open_products(products, owner.count, evaluator.count, rows, KEY, secrets.token_bytes)
    found = add_shares(shown, hidden, (owner.count, evaluator.count), rows, PUBLIC)
    np.testing.assert_array_equal(found, owner.values().T @ evaluator.values())


@QUICK
@given(st.data(), st.integers(1, 10))
def test_columns_that_need_several_groups_add_up_too(data: st.DataObject, rows: int) -> None:
    owner = data.draw(woe_columns(rows, most=3))
    many = WoeColumns(np.tile(owner.codes, (1, 12)), owner.levels * 12)
    evaluator = data.draw(woe_columns(rows, most=2))
    assert many.count <= product_packing(rows, BITS).slots * 2
    sent = encrypt_columns(many, KEY, secrets.token_bytes)
    products, hidden = multiply_columns(sent, many.count, PUBLIC, evaluator, secrets.token_bytes)
    shown = open_products(products, many.count, evaluator.count, rows, KEY, secrets.token_bytes)
    found = add_shares(shown, hidden, (many.count, evaluator.count), rows, PUBLIC)
    np.testing.assert_array_equal(found, many.values().T @ evaluator.values())


@QUICK
@given(st.data())
def test_any_shares_add_up_or_are_refused(data: st.DataObject) -> None:
    width = masking(product_packing(50, BITS), 2, PUBLIC).width
    share = st.lists(st.binary(min_size=width, max_size=width) | st.binary(max_size=40), max_size=4).map(tuple)
    with suppress(MalformedMessage):
        assert add_shares(data.draw(share), data.draw(share), (2, 3), 50, PUBLIC).shape == (2, 3)


@QUICK
@given(st.data(), st.integers(1, 10))
def test_the_local_gram_and_the_weighed_bins_are_exact(data: st.DataObject, rows: int) -> None:
    columns = data.draw(woe_columns(rows))
    values = columns.values()
    np.testing.assert_array_equal(columns.gram(), values.T @ values)
    secret = data.draw(st.lists(st.integers(-1000, 1000), min_size=rows, max_size=rows))
    vector = OwnerEncryptor(KEY, secrets.token_bytes).encrypt(secret)
    for squared, weights in ((False, values), (True, values**2)):
        sums = CiphertextVector.concat(weigh_bins(vector, columns, squared=squared))
        plain = [v - PUBLIC.n if 2 * v > PUBLIC.n else v for v in decrypt(KEY, sums)]
        assert plain == (np.array(secret) @ weights).tolist()


@QUICK
@given(st.data(), st.integers(1, 10))
def test_an_encrypted_gradient_equals_the_one_from_known_rows(data: st.DataObject, rows: int) -> None:
    columns = data.draw(woe_columns(rows, most=3))
    scaled = st.lists(st.integers(-RESIDUAL_SCALE, RESIDUAL_SCALE), min_size=rows, max_size=rows)
    residual, weight = np.array(data.draw(scaled)), np.abs(np.array(data.draw(scaled)))
    vector = OwnerEncryptor(KEY, secrets.token_bytes).encrypt(pack_residuals(residual, weight, BITS))
    sums = [*weigh_bins(vector, columns, squared=False), *weigh_bins(vector, columns, squared=True)]
    sent = masked_sums(CiphertextVector.concat(sums), gradient_packing(rows, BITS), secrets.token_bytes, filled=2)
    assert open_gradient(sent.to_bytes(), columns.count, rows, KEY) == column_sums(columns, residual, weight)
    sums += weigh_pairs(vector, columns)
    sent = masked_sums(CiphertextVector.concat(sums), gradient_packing(rows, BITS), secrets.token_bytes, filled=2)
    found = open_gradient(sent.to_bytes(), columns.count, rows, KEY, pairs=len(columns.pairs()))
    assert found == column_sums(columns, residual, weight, pairs=True)
    values = columns.values()
    pairs = [sum(weight * values[:, j] * values[:, k]) for j, k in columns.pairs()]
    assert found[4 * columns.count + 1 :: 2] == pairs


def test_products_that_no_columns_can_have_are_refused() -> None:
    packing = gradient_packing(10, BITS)
    for product, possible in ((12, True), (-12, True), (13, False), (-13, False)):
        told = [3, 4, 9, 16, product]  # Σ w·h of two columns, Σ w²·h, and Σ w·w'·h
        vector = OwnerEncryptor(KEY, secrets.token_bytes).encrypt([value << packing.slot_bits for value in told])
        sent = masked_sums(vector, packing, secrets.token_bytes, filled=2).to_bytes()
        if possible:
            assert open_gradient(sent, 2, 10, KEY, pairs=1)[1::2] == told
            continue
        with pytest.raises(MalformedMessage):
            open_gradient(sent, 2, 10, KEY, pairs=1)


def test_few_exact_columns_tell_of_their_pairs_and_no_others() -> None:
    assert [pair_count(columns, noisy=False) for columns in (0, 1, 2, 5, 45)] == [0, 0, 1, 10, 990]
    assert pair_count(46, noisy=False) == pair_count(5, noisy=True) == 0


# ---- assembling the matrix

A, B, C = map(PartyId, ("a", "b", "c"))


def test_the_matrix_is_whole_when_every_block_has_come_once() -> None:
    keys = dict.fromkeys((A, B, C), PUBLIC)
    gram = GramAssembly({A: 1, B: 2, C: 0}, 5, keys)
    assert gram.evaluators(A) == [B]
    with pytest.raises(UnexpectedMessage):
        gram.matrix()
    gram.put_local(A, (4,))
    gram.put_local(B, (1, 2, 3))
    for again in ((A, (4,)), (C, ()), (PartyId("d"), (1,))):
        with pytest.raises(UnexpectedMessage):
            gram.put_local(*again)
    width = masking(product_packing(5, BITS), 1, PUBLIC).width
    gram.put_owner_share(A, B, ((7).to_bytes(width), (9).to_bytes(width)))
    assert not gram.complete
    with pytest.raises(UnexpectedMessage):
        gram.put_owner_share(A, B, (bytes(width),) * 2)
    for owner, evaluator in ((B, A), (A, A), (A, C), (B, C)):
        with pytest.raises(UnexpectedMessage):
            gram.put_mask_share(owner, evaluator, ())
    gram.put_mask_share(A, B, ((1).to_bytes(width), (10).to_bytes(width)))
    np.testing.assert_array_equal(gram.matrix(), [[4, 6, -1], [6, 1, 2], [-1, 2, 3]])


@given(st.lists(st.integers(-(1 << 63), (1 << 64) - 1), max_size=8).map(tuple))
def test_any_local_block_is_placed_or_refused(entries: tuple[int, ...]) -> None:
    gram = GramAssembly({A: 2, B: 0}, 5, {A: PUBLIC})
    try:
        gram.put_local(A, entries)
    except CreditFederationError:
        return
    assert gram.matrix().shape == (2, 2)
    assert all(abs(entry) <= 5 << 22 for entry in entries)


def test_owners_come_in_an_order_that_all_agree_on() -> None:
    assert owner_order("z-bank", ("c", "a", "b")) == ("z-bank", "a", "b", "c")


def test_equal_woe_share_a_code_and_dropped_features_are_no_columns() -> None:
    rows = binned([np.array([0, 1, 2, 2]), np.array([1, 0, 2, 2])], [3, 3], 4)
    columns = WoeColumns.build(rows, 3, [(5, -3, 5), None])
    assert columns.levels == ((-3, 5),)
    assert columns.values().tolist() == [[5], [-3], [5]]
    assert WoeColumns.build(rows, 3, [None, None]).values().shape == (3, 0)
