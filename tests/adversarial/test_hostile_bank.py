"""A bank that trains against the nodes: crafted ciphertexts, two faces, one release too many, false manifests.

Each attack is driven message by message against an honest node, under the bank's own signature; the attacker holds the
bank's private key and sees all that the node answers.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nodes.ledger import open_node_ledger
from protocols.assessment.manifest import Manifest, PartEntry, Theme, sign_manifest
from protocols.channel.envelope import Channel
from protocols.channel.identity import PartyId
from protocols.channel.wire import digest
from protocols.credit.woe import WOE_LIMIT
from protocols.errors import (
    BudgetExceeded,
    CreditFederationError,
    MalformedMessage,
    UnexpectedMessage,
    VerificationFailed,
)
from protocols.paillier import CiphertextVector, OwnerEncryptor, decrypt
from protocols.scorecard import messages as m
from protocols.scorecard.admission import check_spec, column_limit
from protocols.scorecard.arithmetic import (
    TOTAL_BITS,
    Masking,
    gradient_packing,
    histogram_packing,
    masking,
    product_packing,
    total_packing,
)
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.node import NodeTraining
from protocols.scorecard.products import open_products
from protocols.scorecard.rows import BinnedRows
from protocols.scorecard.themes import BAND_POINTS
from tests.protocol.network import BANK, Network, binned, small_network

ROWS = 400
TAX = PartyId("tax")


def two_bins(rows: int = ROWS, minimum_bin: int = 50) -> tuple[Network, NDArray[np.int64]]:
    """A network whose tax node has one feature of two bins: the secret is one bit a row."""
    secret = np.random.default_rng(secrets.randbits(63)).integers(0, 2, rows)
    parts = {"tax": binned([secret], [2], rows), "social": binned([secret[::-1].copy()], [2], rows)}
    empty = BinnedRows((), np.empty((rows, 0), dtype=np.uint16))
    plan = TrainingPlan(refinements=1)
    return Network(parts, BankRows(empty, np.arange(rows) % 2, rows), plan, minimum_bin), secret


def with_labels(network: Network, plaintexts: list[int]) -> Network:
    """The same network, after the bank committed to a vector of its own making."""
    vector = OwnerEncryptor(network.paillier[BANK], secrets.token_bytes).encrypt(plaintexts)
    network.labels = m.EncryptedLabels(vector.to_bytes())
    return with_spec(network, msgspec.structs.replace(network.spec, labels=digest(network.labels)))


def with_spec(network: Network, spec: m.RunSpec) -> Network:
    network.spec = spec
    network.nodes = {
        name: NodeTraining(
            spec, network.channel(name), network.paillier[name], network.public, site, secrets.token_bytes
        )
        for name, site in network.sites.items()
    }
    return network


def opened(network: Network, vector: bytes) -> list[int]:
    key = network.paillier[BANK]
    return decrypt(key, CiphertextVector.from_bytes(key.public_key, vector))


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


# ---- two faces


def told_two_cohorts() -> Network:
    """All nodes but one are given another cohort: enterprises whose points the bank knows."""
    network = small_network(refinements=0)
    other = m.Cohort(tuple(f"x{i}" for i in range(network.spec.rows)), "")
    cohorts = {name: cohort if name == TAX else other for name, cohort in network.cohorts().items()}
    network.start = lambda: network.bank.start(network.labels, cohorts)  # type: ignore[method-assign]
    return network


def test_a_cohort_told_differently_to_one_node_opens_no_totals() -> None:
    network = told_two_cohorts()
    with pytest.raises(VerificationFailed):
        network.run()
    assert network.bank.result is None


def test_without_the_cohort_in_the_masks_two_faces_open_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.scorecard.node_role.cohort_subject", lambda ids: "")
    network = told_two_cohorts()
    network.run()
    assert network.bank.result is not None


def test_a_run_opened_twice_would_show_one_nodes_totals_so_the_ledger_refuses_it(tmp_path: Path) -> None:
    """Masks are fixed by the run. Two tables under one mask differ by one node's own totals, row by row."""
    network, secret = two_bins()
    masked = []
    for points in ((0, 0), (0, 1)):
        with_spec(network, network.spec)
        network.open_run(TAX)
        network.tell(TAX, network.woe(TAX, ((0, 1),)))
        (reply,) = network.tell(TAX, m.PointTables(1, m.Rows.ALL, (m.FeaturePoints(points),), bytes(32)))
        masked.append(opened(network, network.channel(BANK).read_open(reply, m.MaskedTotals).vector))
    packing, n = total_packing(network.public[BANK].bits), network.public[BANK].n
    difference = [(b - a) % n for a, b in zip(*masked, strict=True)]
    assert packing.unpack(difference, ROWS) == secret.tolist()
    ledger = open_node_ledger(tmp_path / "ledger.sqlite")
    transcript = network.spec.transcript()
    ledger.runs.open(transcript, BANK, 1)
    with pytest.raises(VerificationFailed) as caught:
        ledger.runs.open(transcript, BANK, 1)
    assert caught.value.code == "RUN_REPLAYED"
    ledger.close()


# ---- releases of totals


def tables(release: int, highest: int = 1, rows: m.Rows = m.Rows.ALL) -> m.PointTables:
    return m.PointTables(release, rows, (m.FeaturePoints((0,) * 8 + (highest,)),) * 2, bytes(32))


def started(refinements: int = 2) -> Network:
    """A run in which one node has its WOE tables, and has released the totals of its own start."""
    network = small_network(refinements=refinements)
    network.open_run(TAX)
    network.tell(TAX, network.woe(TAX, (tuple(range(9)),) * 2))
    return network


def row_totals(network: Network) -> list[str]:
    return [step for step, leak in network.sites[TAX].releases if leak is m.LeakClass.ROW_TOTALS]


def test_a_release_beyond_those_planned_is_refused() -> None:
    network = started()
    assert network.spec.row_totals == 3
    for release in (1, 2):
        assert len(network.tell(TAX, tables(release))) == 1
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, tables(3))
    assert row_totals(network) == ["MaskedTotals/0", "MaskedTotals/1", "MaskedTotals/2"]


def test_a_release_repeated_or_out_of_order_is_refused() -> None:
    network = started()
    for release in (0, 2):
        with pytest.raises(UnexpectedMessage):
            network.tell(TAX, tables(release))
    network.tell(TAX, tables(1))
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, tables(1, highest=2))


def test_no_release_before_the_bins_are_weighed_and_none_under_another_name() -> None:
    network = small_network(refinements=0)
    network.open_run(TAX)
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, tables(0))
    network = started()
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, tables(1, rows=m.Rows.NONE))
    assert row_totals(network) == ["MaskedTotals/0"]


def test_a_run_with_one_release_spends_it_on_the_model_alone() -> None:
    network = started(refinements=0)
    assert row_totals(network) == []
    network.tell(TAX, tables(0))
    assert row_totals(network) == ["MaskedTotals/0"]
    for message in (tables(0), tables(1)):
        with pytest.raises(UnexpectedMessage):
            network.tell(TAX, message)


def test_residuals_are_taken_once_after_each_release_but_the_last() -> None:
    network, key = started(refinements=1), small_network().paillier[BANK]

    def residuals() -> m.EncryptedResiduals:
        vector = OwnerEncryptor(key, secrets.token_bytes).encrypt([0] * network.spec.training_rows)
        return m.EncryptedResiduals(vector.to_bytes())

    assert [reply.message for reply in network.tell(TAX, residuals(), everyone=True)] == ["GradientShare"]
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, residuals(), everyone=True)
    network.tell(TAX, tables(1))
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, residuals(), everyone=True)


def test_weights_of_a_start_never_exceed_the_slot_whatever_the_tables_say() -> None:
    """The bank chooses tables and gaps; the node shrinks what they lead to until totals fit."""
    network = small_network(refinements=1)
    network.open_run(TAX)
    woe = (tuple([-2047, 2047] * 4 + [0]),) * 2
    replies = network.tell(TAX, m.WoeTables(woe, network.plan(0, TAX, 2), (1 << 52, -(1 << 52)), (1 << 21, -(1 << 21))))
    assert [reply.message for reply in replies] == ["LocalGram", "MaskedTotals"]


@pytest.mark.parametrize("highest", [1 << (TOTAL_BITS - 2), (1 << 24) - 1])
def test_points_whose_totals_exceed_the_slot_are_refused(highest: int) -> None:
    network = started()
    with pytest.raises(MalformedMessage):
        network.tell(TAX, tables(1, highest))
    assert row_totals(network) == ["MaskedTotals/0"]


def test_points_for_other_bins_than_the_nodes_are_refused() -> None:
    network = started()
    for features in ((), (m.FeaturePoints((0,) * 9),), (m.FeaturePoints((0,) * 9), m.FeaturePoints((0,) * 8))):
        with pytest.raises(MalformedMessage):
            network.tell(TAX, m.PointTables(1, m.Rows.ALL, features, bytes(32)))


# ---- manifests


def final(network: Network) -> Manifest:
    """Give the node its final part, and return the manifest that an honest bank would have it sign."""
    network.open_run(TAX)
    network.tell(TAX, network.woe(TAX, (tuple(range(9)),) * 2))
    part = m.PointTables(1, m.Rows.ALL, (m.FeaturePoints((0,) * 8 + (90,), 0), m.FeaturePoints((0,) * 9)), bytes(32))
    network.tell(TAX, part)
    entries = tuple(PartEntry(n.party, n.domain, n.card, digest(part)) for n in network.spec.nodes)
    themes = (Theme("arrears", 2, BAND_POINTS),)
    return Manifest(
        network.spec.transcript(), BANK, "assessment", entries, TOTAL_BITS, 500, themes, 1, network.spec.row_totals
    )


def test_the_honest_manifest_is_signed_once() -> None:
    network = small_network()
    manifest = final(network)
    assert [reply.message for reply in network.tell(TAX, manifest, everyone=True)] == ["ManifestSignature"]
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, manifest, everyone=True)


FALSE_MANIFESTS = {
    "another run": lambda c: msgspec.structs.replace(c, run=bytes(32)),
    "another bank": lambda c: msgspec.structs.replace(c, bank="tax"),
    "another purpose": lambda c: msgspec.structs.replace(c, purpose="marketing"),
    "a node less": lambda c: msgspec.structs.replace(c, nodes=c.nodes[:-2] + c.nodes[-1:]),
    "a node twice": lambda c: msgspec.structs.replace(c, nodes=(*c.nodes, c.nodes[-1])),
    "nodes out of order": lambda c: msgspec.structs.replace(c, nodes=c.nodes[::-1]),
    "a range below the part's": lambda c: msgspec.structs.replace(c, maximum_total=89),
    "a range above the slot": lambda c: msgspec.structs.replace(c, maximum_total=1 << TOTAL_BITS),
    "no such theme": lambda c: msgspec.structs.replace(c, themes=()),
    "a theme cut fine": lambda c: msgspec.structs.replace(c, themes=(Theme("arrears", 2, (1, 2, 3)),)),
}


@pytest.mark.parametrize("name", [*FALSE_MANIFESTS, "a foreign part", "a foreign card", "an unpinned node"])
def test_a_false_manifest_is_not_signed(name: str) -> None:
    network = small_network()
    honest = final(network)
    entries = list(honest.nodes)
    place = [e.party for e in entries].index(TAX)
    if name == "a foreign part":
        entries[place] = msgspec.structs.replace(entries[place], part=bytes(32))
    elif name == "a foreign card":
        entries[0] = msgspec.structs.replace(entries[0], card="0" * 64)
    elif name == "an unpinned node":
        entries[0] = PartEntry("aaa", "x", "0" * 64, bytes(32))
    false = FALSE_MANIFESTS.get(name, lambda c: msgspec.structs.replace(c, nodes=tuple(entries)))(honest)
    with pytest.raises(VerificationFailed):
        network.tell(TAX, false, everyone=True)


def test_a_manifest_before_a_part_is_not_signed() -> None:
    """Its own start is no part of a model; points that it was told are, for a bank may end after any refinement."""
    network = started()
    entries = tuple(PartEntry(n.party, n.domain, n.card, digest(tables(1))) for n in network.spec.nodes)
    manifest = Manifest(
        network.spec.transcript(), BANK, "assessment", entries, TOTAL_BITS, 500, (), 1, network.spec.row_totals
    )
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, manifest, everyone=True)


def signatures(network: Network, manifest: Manifest) -> dict[PartyId, m.ManifestSignature]:
    """What each of the other nodes says of a manifest."""
    others = [PartyId(n.party) for n in manifest.nodes if n.party != TAX]
    return {p: m.ManifestSignature(manifest.model_hash(), sign_manifest(manifest, network.keys[p])) for p in others}


@pytest.mark.parametrize("fault", ["one missing", "one forged", "another manifest", "one twice", "the bank's"])
def test_a_part_is_kept_only_under_all_signatures(fault: str) -> None:
    network = small_network()
    manifest = final(network)
    network.tell(TAX, manifest, everyone=True)
    signed = signatures(network, manifest)
    *honest, last = signed
    for node in honest:
        network.tell(TAX, signed[node], sender=node, everyone=True)
    other = msgspec.structs.replace(manifest, maximum_total=501)
    faults = {
        "one forged": (last, m.ManifestSignature(manifest.model_hash(), signed[honest[0]].signature)),
        "another manifest": (last, signatures(network, other)[last]),
        "one twice": (honest[0], signed[honest[0]]),
        "the bank's": (BANK, signed[last]),
    }
    if fault in faults:
        sender, message = faults[fault]
        with pytest.raises(VerificationFailed):
            network.tell(TAX, message, sender=sender, everyone=True)
    assert network.sites[TAX].part is None
    assert not network.nodes[TAX].finished
    network.tell(TAX, signed[last], sender=last, everyone=True)
    assert network.sites[TAX].part is not None
    assert network.nodes[TAX].finished


# ---- runs that cannot be


@pytest.mark.parametrize(
    "change",
    [
        {"training_rows": 261},
        {"training_rows": 0},
        {"rows": 0},
        {"bank_card": "0" * 64},
        {"bank": "tax"},
        {"bank": "nobody"},
        {"nodes": "one"},
        {"nodes": "twice"},
        {"nodes": "without me"},
        {"nodes": "with the bank"},
    ],
    ids=str,
)
def test_a_run_that_cannot_be_is_not_joined(change: dict[str, str | int]) -> None:
    network = small_network()
    entries = {n.party: n for n in network.spec.nodes}
    bank = m.NodeEntry(BANK, "bank", network.spec.bank_card)
    sets = {
        "one": (entries["tax"],),
        "twice": (entries["social"], entries["tax"], entries["tax"]),
        "without me": (entries["fund"], entries["social"]),
        "with the bank": (bank, *network.spec.nodes),
    }
    fields = {name: sets.get(str(value), value) if name == "nodes" else value for name, value in change.items()}
    spec = msgspec.structs.replace(network.spec, **fields)
    channel = Channel(network.keys[TAX], network.cards, spec.transcript())
    with pytest.raises(VerificationFailed):
        NodeTraining(spec, channel, network.paillier[TAX], network.public, network.sites[TAX], secrets.token_bytes)


def test_a_party_outside_the_pins_is_named() -> None:
    network = small_network()
    with pytest.raises(CreditFederationError) as caught:
        check_spec(network.spec, {})
    assert caught.value.code == "WRONG_NODE_SET"
