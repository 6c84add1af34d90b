"""What a hostile bank or node can do in a boosting run, and where it is stopped."""

from __future__ import annotations

import secrets

import msgspec
import numpy as np
import pytest

from protocols.boosting import messages as b
from protocols.boosting.admission import check_boosting
from protocols.boosting.arithmetic import gradient_packing
from protocols.boosting.model import BoostingPlan
from protocols.boosting.partition import TurnPartition
from protocols.boosting.rows import Adjustment, PlainRows
from protocols.boosting.trees import Split, Tree
from protocols.channel.envelope import EVERYONE, Envelope
from protocols.channel.identity import PartyId
from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.paillier import CiphertextVector, OwnerEncryptor, decrypt
from protocols.scorecard import messages as m
from protocols.scorecard.model import BankRows

from .boosting_network import BoostingNetwork
from .network import BANK, KEY_BITS, economy

TRAINING, MINIMUM, TAX = 700, 40, "tax"
PLAN = BoostingPlan(trees=8, group=1, row_totals=2)
SPLIT = Split(0, (True,) * 4 + (False,) * 5)


def network(labels: list[int] | None = None) -> BoostingNetwork:
    rows, bad = economy(3, {"bank": 1, TAX: 2, "social": 1}, 0.9)
    made = BoostingNetwork(rows, BankRows(rows.pop("bank"), bad, TRAINING), PLAN, MINIMUM)
    if labels is not None:
        vector = OwnerEncryptor(made.paillier, secrets.token_bytes).encrypt(labels)
        made.relabel(m.EncryptedLabels(vector.to_bytes()))
    return made


def opened(made: BoostingNetwork) -> BoostingNetwork:
    """Bring the tax node to the point where trees may grow."""
    made.tell(TAX, made.labels, everyone=True)
    made.tell(TAX, made.cohorts()[PartyId(TAX)])
    return made


def test_crafted_labels_show_the_slots_bits_and_nothing_above_them() -> None:
    crafted = [1 << (20 * (i % 30)) for i in range(TRAINING)]
    seen = []
    for made in (network(crafted), network(crafted)):
        (reply,) = opened(made).tell(TAX, b.StepOpening(0, 0, 0, ((0,),)))
        message = made.channel(BANK).unwrap(reply, b.LeafHistograms)
        seen.append(decrypt(made.paillier, CiphertextVector.from_bytes(made.paillier.public_key, message.vector))[0])
        slots = 2 * (max(message.leaves[0].groups[0]) + 1)
    packing = gradient_packing(TRAINING, KEY_BITS)
    shown = (1 << (min(slots, packing.slots) * packing.slot_bits + 1)) - 1
    difference, n = seen[0] - seen[1], made.paillier.public_key.n
    assert any((difference + wrapped) & shown == 0 for wrapped in (-n, 0, n))  # crafted sums may pass the modulus
    assert abs(difference) > shown
    assert KEY_BITS - shown.bit_length() >= 80


def test_a_split_that_sets_few_enterprises_apart_is_refused() -> None:
    made = opened(network())
    made.tell(TAX, b.StepOpening(0, 0, 0, ((0, 1),)))
    rows = made.sites[PartyId(TAX)].rows.codes[:TRAINING]
    first = int(np.argsort(np.bincount(rows[:, 0], minlength=9))[0])
    rare = Split(0, tuple(code == first for code in range(9)))
    made.tell(TAX, b.Growth(0, 0, 1, ((rare,),)))
    again = Split(1, (True,) + (False,) * 8)
    with pytest.raises(VerificationFailed) as refused:
        made.tell(TAX, b.Growth(0, 0, 2, ((again, None),)))
    assert refused.value.code == "LEAF_TOO_SMALL"


def test_both_siblings_hold_k_enterprises_in_every_group_that_is_summed() -> None:
    rows, _ = economy(3, {TAX: 3}, 0.9)
    codes = rows[TAX].codes[:TRAINING].astype(np.int64)
    partition = TurnPartition(rows[TAX], TRAINING, 2, MINIMUM, first=True)
    partition.open_step([(0, 1, 2), (0,)], 0.0)
    left = SPLIT.left
    summary = partition.grow([(SPLIT,), (None,)])
    (shape,) = summary.shapes
    fitted = codes[1::2]
    sides = [fitted[np.asarray(left)[fitted[:, 0]]], fitted[~np.asarray(left)[fitted[:, 0]]]]
    for side in sides:
        for feature, groups in enumerate(shape.groups):
            counts = np.bincount(np.asarray(groups)[side[:, feature]], minlength=max(groups) + 1)
            assert all(count == 0 or count >= MINIMUM for count in counts)
    smaller = sides[0] if shape.left else sides[1]
    assert len(smaller) == min(map(len, sides)) == len(summary.cells[0].rows)
    ones = PlainRows(np.zeros(TRAINING, dtype=np.int64), np.ones(TRAINING, dtype=np.int64))
    zeros = np.zeros((2, TRAINING), dtype=np.int64)
    counted = ones.cells(summary.cells[0], Adjustment(1, zeros, zeros))
    assert counted[: max(shape.groups[0]) + 1, 1].sum() == len(smaller)


def test_totals_open_for_grown_trees_alone() -> None:
    made = opened(network())
    foreign = b.TreeTables(0, m.Rows.ALL, (m.FeaturePoints((0, 9)),), bytes(32), (Tree(((SPLIT,),)),))
    with pytest.raises(VerificationFailed) as refused:
        made.tell(TAX, foreign)
    assert refused.value.code == "FOREIGN_TREE"
    assert not [step for step, leak in made.sites[PartyId(TAX)].releases if leak is m.LeakClass.ROW_TOTALS]


def test_totals_open_once_a_turn_and_no_more_than_the_run_states() -> None:
    made = opened(network())
    empty = [b.TreeTables(release, m.Rows.ALL, (), bytes(32), ()) for release in range(4)]
    made.tell(TAX, empty[0])
    for release in (0, 1):
        with pytest.raises(UnexpectedMessage):
            made.tell(TAX, empty[release])
    made.tell(TAX, gradients(made, 1), everyone=True)
    made.tell(TAX, empty[1])
    for message in (empty[2], b.TreeTables(2, m.Rows.ALL, (), bytes(32), ())):
        with pytest.raises(UnexpectedMessage):
            made.tell(TAX, message)


def gradients(made: BoostingNetwork, turn: int) -> b.Gradients:
    vector = OwnerEncryptor(made.paillier, secrets.token_bytes).encrypt([1] * TRAINING)
    return b.Gradients(turn, vector.to_bytes())


def test_gradients_come_once_a_turn_and_never_twice_the_same() -> None:
    made = opened(network())
    with pytest.raises(UnexpectedMessage):
        made.tell(TAX, gradients(made, 0), everyone=True)
    made.tell(TAX, b.TreeTables(0, m.Rows.ALL, (), bytes(32), ()))
    made.tell(TAX, gradients(made, 1), everyone=True)
    with pytest.raises(UnexpectedMessage):
        made.tell(TAX, gradients(made, 1), everyone=True)


def test_steps_and_levels_come_in_order_and_no_more_than_planned() -> None:
    made = opened(network())
    with pytest.raises(UnexpectedMessage):
        made.tell(TAX, b.StepOpening(0, 1, 0, ((0,),)))
    for features in (((0,), (1,)), ((2,),), ((1, 0),), ((),)):
        with pytest.raises(MalformedMessage):
            made.tell(TAX, b.StepOpening(0, 0, 0, features))
    for step in range(made.spec.steps[0]):
        made.tell(TAX, b.StepOpening(0, step, 0, ((0,),)))
        with pytest.raises(UnexpectedMessage):
            made.tell(TAX, b.Growth(0, step, 2, ((SPLIT,),)))
        with pytest.raises(MalformedMessage):
            made.tell(TAX, b.Growth(0, step, 1, ((None,),)))
        made.tell(TAX, b.StepClosing(0, step, ((SPLIT,),), ((5, -5),), ((0, 0),)))
    with pytest.raises(UnexpectedMessage):
        made.tell(TAX, b.StepOpening(0, made.spec.steps[0], 0, ((0,),)))


@pytest.mark.parametrize("field", ["vector", "leaves"])
def test_a_node_that_sends_other_sums_than_are_due_is_refused(field: str) -> None:
    made = network()

    def tamper(envelope: Envelope) -> list[Envelope]:
        if envelope.sender != TAX or envelope.message != "LeafHistograms":
            return [envelope]
        message = made.channel(BANK).unwrap(envelope, b.LeafHistograms)
        other = {"vector": message.vector * 2, "leaves": message.leaves * 2}[field]
        changed = msgspec.structs.replace(message, **{field: other})
        return [made.channel(PartyId(TAX)).wrap(BANK, changed)]

    made.on_path = tamper
    with pytest.raises(MalformedMessage):
        made.run()


def test_nodes_that_were_told_different_cohorts_do_not_add_up() -> None:
    made = network()
    others = m.Cohort(tuple(f"x{i}" for i in range(made.spec.rows)), "")

    def swap(envelope: Envelope) -> list[Envelope]:
        if envelope.message == "Cohort" and envelope.receiver == TAX:
            return [made.channel(BANK).wrap(PartyId(TAX), others)]
        return [envelope]

    made.on_path = swap
    with pytest.raises(VerificationFailed):
        made.run()


def test_nothing_but_ciphertexts_and_public_facts_travels_open() -> None:
    made = network()
    made.run()
    open_kinds = {envelope.message for envelope in made.sent if not envelope.sealed}
    assert open_kinds == {
        "BoostingSpec", "EncryptedLabels", "Gradients", "MaskedTotals", "CombinedTotals", "Manifest",
        "ManifestSignature", "SignedManifest", "RunFinished",
    }  # fmt: skip
    assert all(
        envelope.receiver == EVERYONE or envelope.sealed or "Totals" in envelope.message for envelope in made.sent
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"folds": 2}, "WRONG_FOLDS"), ({"group": 16, "folds": 16, "minimum_bin": 44}, "WRONG_ROWS")],
)
def test_folds_too_many_for_the_trees_or_for_k_are_not_taken_part_in(changes: dict[str, int], code: str) -> None:
    """A fold of fewer than k rows would be the difference of two roots."""
    made = network()
    made.spec = msgspec.structs.replace(made.spec, **changes)
    with pytest.raises(VerificationFailed) as refused:
        check_boosting(made.spec, made.cards)
    assert refused.value.code == code


def test_trees_of_one_fold_are_summed_without_its_rows() -> None:
    rows, _ = economy(3, {TAX: 2}, 0.9)
    partition = TurnPartition(rows[TAX], TRAINING, 2, MINIMUM, first=True)
    summary = partition.open_step([(0,), (0,)], 0.0)
    for fold, span in enumerate(summary.cells[0].spans):
        of_fold = np.arange(TRAINING) % 2 == fold
        inside = np.zeros(TRAINING, dtype=bool)
        for start in span.starts:
            codes = summary.cells[0].codes[:, span.column]
            inside |= (codes >= start) & (codes < start + span.length)
        np.testing.assert_array_equal(inside, ~of_fold)
