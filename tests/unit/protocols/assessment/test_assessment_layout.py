"""The plaintext of an answer: what nodes lay out is what the bank reads, and everything else is refused."""

from __future__ import annotations

import dataclasses
from contextlib import suppress

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.assessment.evaluation import Evaluation, plain_shares
from protocols.assessment.layout import Coverage, band, lay_out, layout_bits, read
from protocols.assessment.manifest import Manifest, PartEntry, Theme
from protocols.errors import VerificationFailed
from protocols.scorecard.messages import FeaturePoints


def manifest(nodes: int, themes: int, maximum: int = 5000, total_bits: int = 20) -> Manifest:
    entries = tuple(PartEntry(f"n{i:02}", f"d{i}", "0" * 64, bytes(32)) for i in range(nodes))
    codes = tuple(Theme(f"t{i}", 2, (150, 400, 800)) for i in range(themes))
    return Manifest(bytes(32), "bank", "assessment", entries, total_bits, maximum, codes, 0)


@given(st.data(), st.integers(1, 6), st.integers(0, 5))
def test_the_sum_of_what_nodes_lay_out_reads_back(data: st.DataObject, nodes: int, themes: int) -> None:
    model = manifest(nodes, themes)
    totals = data.draw(st.lists(st.integers(0, 5000 // nodes), min_size=nodes, max_size=nodes))
    bands = data.draw(
        st.lists(st.lists(st.integers(0, 3), min_size=themes, max_size=themes), min_size=nodes, max_size=nodes)
    )
    states = data.draw(st.lists(st.sampled_from(Coverage), min_size=nodes, max_size=nodes))
    value = sum(lay_out(model, i, t, b, s) for i, (t, b, s) in enumerate(zip(totals, bands, states, strict=True)))
    assert value.bit_length() <= layout_bits(model)
    opened = read(model, value)
    assert opened.total == sum(totals)
    assert opened.themes == tuple(map(sum, zip(*bands, strict=True))) if themes else opened.themes == ()
    assert opened.coverage == tuple(states)


@given(st.integers(0, 1 << 700))
def test_any_number_is_read_or_refused(value: int) -> None:
    model = manifest(4, 2)
    with suppress(VerificationFailed):
        assert read(model, value).total <= 5000
        assert value < 1 << layout_bits(model)


def test_a_node_that_knows_nothing_says_so_in_its_own_bits() -> None:
    model = manifest(4, 1)
    assert read(model, 1 << 32).coverage == (Coverage.ABSENT, Coverage.OK, Coverage.OK, Coverage.OK)


PART = (FeaturePoints((0, 900, 300), 0), FeaturePoints((700, 0, 200)))


@pytest.mark.parametrize("who", ["north", "south", "nobody"])
def test_two_districts_add_up_to_what_one_office_would_say(who: str) -> None:
    """Whoever of them knows the enterprise; and the other one says the same of it as of nobody."""
    model = manifest(3, 1)
    entries = tuple(msgspec.structs.replace(e, domain="tax") for e in model.nodes[:2])
    model = msgspec.structs.replace(model, nodes=(*entries, model.nodes[2]))
    known, absent = np.array([[0, 1]]), np.array([2, 2])

    def says(node: int, knows: bool) -> int:
        state = Coverage.OK if knows else Coverage.ABSENT
        found = Evaluation(known if knows else absent[None, :], [state], ("e",), absent)
        return plain_shares(model, node, PART, found)[0]

    north, south = says(0, who == "north"), says(1, who == "south")
    alone = says(0, who != "nobody")
    assert north + south == alone
    opened = read(model, north + south)
    assert opened.coverage == (Coverage.ABSENT if who == "nobody" else Coverage.OK, Coverage.OK)
    assert opened.total == (500 if who == "nobody" else 0)
    if who != "south":
        assert south == 0


@pytest.mark.parametrize("marking", range(5))
def test_an_objection_is_marked_whoever_of_the_nodes_knows_of_it_and_changes_nothing_else(marking: int) -> None:
    model = manifest(4, 1)
    rows = np.array([[0, 1], [1, 2]])

    def says(node: int, objected: tuple[bool, ...]) -> list[int]:
        states = [Coverage.OK, Coverage.ABSENT]
        return plain_shares(model, node, PART, Evaluation(rows, states, ("a", "b"), objected=objected))

    sums = [sum(v) for v in zip(*(says(n, (False, n < marking)) for n in range(4)), strict=True)]
    plain = [sum(v) for v in zip(*(says(n, ()) for n in range(4)), strict=True)]
    first, second = (read(model, value) for value in sums)
    assert (first.objected, second.objected) == (False, marking > 0)
    assert sums[0] == plain[0]
    assert dataclasses.replace(second, objected=False) == read(model, plain[1])


def test_a_district_marks_an_objection_like_any_node() -> None:
    model = manifest(3, 1)
    entries = tuple(msgspec.structs.replace(e, domain="tax") for e in model.nodes[:2])
    model = msgspec.structs.replace(model, nodes=(*entries, model.nodes[2]))
    absent = np.array([2, 2])
    nobody = Evaluation(absent[None, :], [Coverage.ABSENT], ("e",), absent, (True,))
    sums = sum(plain_shares(model, node, PART, nobody)[0] for node in (0, 1, 2))
    assert read(model, sums).objected
    assert sums >> (layout_bits(model) - 11) == 3


def test_an_enterprise_that_two_districts_know_is_refused() -> None:
    model = manifest(2, 1)
    model = msgspec.structs.replace(model, nodes=tuple(msgspec.structs.replace(e, domain="tax") for e in model.nodes))
    absent = np.array([2, 2])
    both = Evaluation(np.array([[1, 0]]), [Coverage.OK], ("e",), absent)
    with pytest.raises(VerificationFailed):
        read(model, sum(plain_shares(model, node, PART, both)[0] for node in (0, 1)))


@pytest.mark.parametrize("value", [5001, 13 << 20, 3 << 32, 5 << 40, 1 << 51, 1 << 600])
def test_what_honest_nodes_cannot_add_up_to_is_refused(value: int) -> None:
    with pytest.raises(VerificationFailed) as caught:
        read(manifest(4, 1), value)
    assert caught.value.code == "RESULT_OUT_OF_RANGE"


@pytest.mark.parametrize(("total", "themes"), [(-1, (0,)), (5001, (0,)), (0, ()), (0, (4,)), (0, (-1,)), (0, (0, 0))])
def test_a_share_that_does_not_fit_is_not_laid_out(total: int, themes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"fit|band"):
        lay_out(manifest(4, 1), 0, total, themes, Coverage.OK)


def test_bands_rise_with_the_points_lost() -> None:
    theme = Theme("t", 2, (150, 400, 800))
    assert [band(theme, lost) for lost in (0, 149, 150, 399, 400, 799, 800, 10**6)] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_model_is_named_by_all_that_it_states() -> None:
    model = manifest(3, 1)
    changes = [
        {"bank": "other"},
        {"purpose": "x"},
        {"maximum_total": 1},
        {"themes": ()},
        {"nodes": model.nodes[:2]},
        {"created": 1},
        {"run": b"\1" * 32},
        {"total_bits": 21},
    ]
    names = {msgspec.structs.replace(model, **change).model_hash() for change in changes} | {model.model_hash()}
    assert len(names) == len(changes) + 1
