"""Cohorts that nearly equal an earlier one are refused: their difference would show a few enterprises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.data_node.cohorts import check_difference, names_of, pack, unpack
from protocols.errors import PolicyDenied

FIRM = [f"firm {number}" for number in range(300)]


def test_a_cohort_less_one_enterprise_is_refused() -> None:
    with pytest.raises(PolicyDenied) as denied:
        check_difference(names_of(FIRM[:199]), names_of(FIRM), [names_of(FIRM[:200])], 50)
    assert denied.value.code == "COHORT_TOO_SIMILAR"


def test_a_difference_of_many_of_whom_the_node_knows_few_is_refused() -> None:
    known = names_of(FIRM[:101])
    with pytest.raises(PolicyDenied, match="by 1 enterprises"):
        check_difference(names_of(FIRM[:200]), known, [names_of(FIRM[:100])], 50)


def test_the_same_cohort_and_a_clearly_different_one_pass() -> None:
    earlier = [names_of(FIRM[:100])]
    check_difference(names_of(FIRM[:100]), names_of(FIRM), earlier, 50)
    check_difference(names_of(FIRM[:150]), names_of(FIRM), earlier, 50)


@given(st.sets(st.text(max_size=20), max_size=30))
def test_names_survive_the_ledger(ids: set[str]) -> None:
    assert unpack(pack(names_of(ids))) == names_of(ids)
