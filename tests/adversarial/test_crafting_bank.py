"""A bank that encrypts crafted numbers reads no more than the slots' own bits, and numbers that are none get nothing.

Each attack is driven message by message against an honest node, under the bank's own signature; the attacker holds the
bank's private key and sees all that the node answers.
"""

from __future__ import annotations

import secrets

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from one_bit_runs import ROWS, TAX, opened, two_bins, with_labels, with_spec

from protocols.channel.identity import PartyId
from protocols.channel.wire import digest
from protocols.credit.woe import WOE_LIMIT
from protocols.errors import (
    BudgetExceeded,
    MalformedMessage,
    UnexpectedMessage,
    VerificationFailed,
)
from protocols.paillier import OwnerEncryptor
from protocols.scorecard import messages as m
from protocols.scorecard.admission import column_limit
from protocols.scorecard.arithmetic import (
    Masking,
    gradient_packing,
    histogram_packing,
    masking,
    product_packing,
)
from protocols.scorecard.products import open_products
from tests.protocol.network import BANK, Network, small_network

# ---- crafted labels


def crafted_histogram(shift: int = 20) -> tuple[int, int, NDArray[np.int64]]:
    """What the bank decrypts when its labels are 2^(shift·i), the bits that a slot shows, and the node's secret."""
    network, secret = two_bins()
    top = network.public[BANK].bits - 24  # the plaintexts stay below n
    labels = [1 << (shift * i) if shift * i < top else 0 for i in range(ROWS)]
    (value,) = opened(network := with_labels(network, labels), network.open_run(TAX).vector)
    packing = histogram_packing(ROWS, network.public[BANK].bits)
    return value, packing.slot_bits, secret


def rows_read(value: int, slot: int, bits: int, shift: int = 20) -> list[int | None]:
    """Decode 2^(shift·i) in bin 0, or the same one slot higher in bin 1, as far as `bits` reach."""
    found: list[int | None] = []
    for i in range(ROWS):
        if shift * i + slot >= bits:
            return found
        low, high = value >> (shift * i) & 1, value >> (shift * i + slot) & 1
        found.append({(1, 0): 0, (0, 1): 1}.get((low, high)))
    return found


def test_labels_of_powers_of_two_read_no_more_than_the_slots_own_bits() -> None:
    value, slot, secret = crafted_histogram()
    shown = 2 * slot + 1
    assert rows_read(value, slot, shown) == secret[:1].tolist()  # one row; the second would need bit 31 of 23
    beyond = rows_read(value, slot, 740)[2:]
    assert beyond != secret[2 : 2 + len(beyond)].tolist()


def test_what_lies_above_the_slots_is_fresh_noise_each_time() -> None:
    network, _ = two_bins()
    network = with_labels(network, [1 << (20 * i) if i < 36 else 0 for i in range(ROWS)])
    seen = set()
    for _ in range(4):
        with_spec(network, network.spec)
        (value,) = opened(network, network.open_run(TAX).vector)
        seen.add(value)
    shown = 2 * histogram_packing(ROWS, network.public[BANK].bits).slot_bits + 1
    assert len({value & ((1 << shown) - 1) for value in seen}) == 1
    assert len({value >> shown for value in seen}) == 4


def test_without_the_mask_powers_of_two_read_one_row_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Masking, "upper", lambda self, randomness, addends: 0)
    value, slot, secret = crafted_histogram()
    read = rows_read(value, slot, 740)
    assert len(read) > 35
    assert read == secret[: len(read)].tolist()


def test_labels_other_than_the_committed_vector_are_refused() -> None:
    network = small_network()
    flipped = OwnerEncryptor(network.paillier[BANK], secrets.token_bytes).encrypt([1] * network.spec.training_rows)
    with pytest.raises(VerificationFailed):
        network.tell(TAX, m.EncryptedLabels(flipped.to_bytes()), everyone=True)
    network.open_run("social")
    with pytest.raises(UnexpectedMessage):
        network.tell("social", network.labels, everyone=True)  # nor the same vector again, on another cohort
    with pytest.raises(UnexpectedMessage):
        network.tell("social", network.cohorts()[PartyId("social")])


# ---- crafted columns and residuals


def crafted_columns(network: Network, columns: int) -> list[m.MaskedProducts | m.MaskShare]:
    """Row i of the secret at bit i of one product: the bank declares as many columns as that takes."""
    network.open_run(TAX)
    network.tell(TAX, network.woe(TAX, ((0, 1),), columns))
    packing = product_packing(ROWS, network.public[BANK].bits)
    groups = -(-columns // packing.slots)
    width = packing.slots * packing.slot_bits - 1
    plain = [1 << (i - g * width) if 0 <= i - g * width < width else 0 for g in range(groups) for i in range(ROWS)]
    vector = OwnerEncryptor(network.paillier[BANK], secrets.token_bytes).encrypt(plain)
    replies = network.tell(TAX, m.EncryptedColumns(vector.to_bytes()), everyone=True)
    kinds = {"MaskedProducts": m.MaskedProducts, "MaskShare": m.MaskShare}
    return [network.channel(BANK).unwrap(reply, kinds[reply.message]) for reply in replies]


def test_a_bank_with_a_column_for_every_row_is_refused() -> None:
    network, _ = two_bins()
    with pytest.raises(BudgetExceeded) as caught:
        crafted_columns(network, column_limit(ROWS, 50) + 1)
    assert caught.value.code == "TOO_MANY_COLUMNS"
    with pytest.raises(UnexpectedMessage):  # and the refused plan left nothing to go on with
        network.tell(TAX, m.EncryptedColumns(b""), everyone=True)


def test_without_the_limit_crafted_columns_read_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.scorecard.admission.column_limit", lambda rows, k: 1 << 16)
    network, secret = two_bins()
    columns = 2 * product_packing(ROWS, network.public[BANK].bits).slots
    products, masks = crafted_columns(network, columns)
    assert isinstance(products, m.MaskedProducts)
    assert isinstance(masks, m.MaskShare)
    shown = open_products(products.vector, columns, 1, ROWS, network.paillier[BANK], secrets.token_bytes)
    packing = product_packing(ROWS, network.public[BANK].bits)
    width, bits = packing.slots * packing.slot_bits - 1, packing.slots * packing.slot_bits + 1
    read = []
    for mine, hidden in zip(shown, masks.low_bits, strict=True):
        value = (int.from_bytes(mine) - int.from_bytes(hidden)) % (1 << bits)
        read += [value >> i & 1 for i in range(width)]
    assert read[:ROWS] == secret.tolist()


def test_crafted_columns_show_no_more_bits_than_honest_ones_fill() -> None:
    network, _ = two_bins()
    columns = column_limit(ROWS, 50)
    _, masks = crafted_columns(network, columns)
    assert isinstance(masks, m.MaskShare)
    slot = product_packing(ROWS, network.public[BANK].bits).slot_bits
    assert sum(map(len, masks.low_bits)) * 8 <= columns * slot + 8
    assert slot == (ROWS * WOE_LIMIT**2).bit_length() + 1


def test_crafted_residuals_read_no_more_than_the_slots_own_bits() -> None:
    network, secret = two_bins()
    network.open_run(TAX)
    network.tell(TAX, network.woe(TAX, ((0, 1),)))
    plain = [1 << i if i < 740 else 0 for i in range(ROWS)]
    vector = OwnerEncryptor(network.paillier[BANK], secrets.token_bytes).encrypt(plain)
    (reply,) = network.tell(TAX, m.EncryptedResiduals(vector.to_bytes()), everyone=True)
    share = network.channel(BANK).unwrap(reply, m.GradientShare)
    key = network.public[BANK]
    packing = gradient_packing(ROWS, key.bits)
    shown = masking(packing, 4, key).bits
    (value,) = opened(network, share.vector)
    # Σ w·m + Σ w²·m·2^(2 slots), with w = w²: the first 2 slots' bits are the rows' own, nothing above `shown` is
    read = [value >> i & 1 for i in range(2 * packing.slot_bits)]
    assert read == secret[: len(read)].tolist()
    above = [value >> i & 1 for i in range(shown, ROWS)]
    assert above != secret[shown:ROWS].tolist()


# ---- ciphertexts that are none


def not_ciphertexts(network: Network, owner: PartyId = BANK) -> dict[str, bytes]:
    key = network.paillier[owner]
    n, width = key.public_key.n, key.public_key.ciphertext_bytes
    bad = {"zero": 0, "n": n, "n^2": n * n, "multiple of p": int(key.p) * 12345, "above n^2": n * n + 1}
    return {name: value.to_bytes(width) for name, value in bad.items()}


@pytest.mark.parametrize("name", ["zero", "n", "n^2", "multiple of p", "above n^2"])
def test_numbers_that_are_no_ciphertexts_are_refused_wherever_they_come(name: str) -> None:
    network = small_network(rows=60, training_rows=50)
    bad, rows = not_ciphertexts(network)[name], network.spec.training_rows
    labels = m.EncryptedLabels(bad + network.labels.vector[len(bad) :])
    crafted = with_spec(network, msgspec.structs.replace(network.spec, labels=digest(labels)))
    crafted.tell(TAX, crafted.cohorts()[TAX])
    with pytest.raises(VerificationFailed):
        crafted.tell(TAX, labels, everyone=True)
    network = small_network(rows=60, training_rows=50)
    network.open_run(TAX)
    network.tell(TAX, network.woe(TAX, ((0,) * 9, tuple(range(9))), 1))
    with pytest.raises(VerificationFailed):
        network.tell(TAX, m.EncryptedColumns(bad * rows), everyone=True)
    with pytest.raises(VerificationFailed):
        network.tell(TAX, m.EncryptedResiduals(bad * rows), everyone=True)


@pytest.mark.parametrize("count", [0, 1, 49, 51])
def test_a_wrong_number_of_ciphertexts_is_refused(count: int) -> None:
    network = small_network(rows=60, training_rows=50)
    network.open_run(TAX)
    network.tell(TAX, network.woe(TAX, (None, tuple(range(9))), 1))
    vector = OwnerEncryptor(network.paillier[BANK], secrets.token_bytes).encrypt([0] * count).to_bytes()
    for message in (m.EncryptedColumns(vector), m.EncryptedResiduals(vector)):
        with pytest.raises(MalformedMessage):
            network.tell(TAX, message, everyone=True)
    crafted = with_labels(small_network(rows=60, training_rows=50), [0] * count)
    crafted.tell(TAX, crafted.cohorts()[TAX])
    with pytest.raises(MalformedMessage):
        crafted.tell(TAX, crafted.labels, everyone=True)
