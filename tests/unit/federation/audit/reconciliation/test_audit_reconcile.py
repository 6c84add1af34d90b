"""Reconciliation names exactly what is missing, on whichever side it is missing."""

from __future__ import annotations

import pytest
from stories import NODES, POLICY, leaf, logged, own, policy, query

from federation.audit.reconciliation.reconcile import OwnEntry, Reconciliation, reconcile
from protocols.transparency import Leaf, LeafKind

WHOLE = [*query(1), *query(2, denying=("tax",)), *query(3, denying=NODES)]
PARTIES = ("bank", *NODES)


def codes(found: Reconciliation) -> list[tuple[int, str, str]]:
    return [(int(one.query, 16), one.code, one.party) for one in found.discrepancies]


def test_whole_queries_reconcile() -> None:
    found = reconcile(logged(WHOLE), own(WHOLE, *PARTIES))
    assert (found.ok, found.queries, found.parties) == (True, 3, ("bank", "social", "tax"))
    assert reconcile(logged(WHOLE), {}).ok
    assert reconcile(iter(()), {}) == Reconciliation(0, ())


def without(*places: int) -> list[Leaf]:
    return [one for place, one in enumerate(WHOLE) if place not in places]


@pytest.mark.parametrize(
    ("leaves", "expected"),
    [
        (without(0), [(1, "REQUEST_MISSING", "")]),
        (without(2), [(1, "RELEASE_MISSING", ""), (1, "RESULT_UNEXPECTED", "")]),
        (without(3), [(1, "RESULT_MISSING", "")]),
        (without(4), [(1, "ACK_MISSING", "")]),
        (without(7), [(2, "RELEASE_MISSING", "")]),
        ([*WHOLE, WHOLE[0]], [(1, "REQUEST_REPEATED", "")]),
        ([*WHOLE, WHOLE[1]], [(1, "ANSWER_REPEATED", "")]),
        ([*WHOLE, WHOLE[3]], [(1, "RESULT_REPEATED", "")]),
        ([*WHOLE, WHOLE[4]], [(1, "ACK_REPEATED", "")]),
        ([*WHOLE, leaf(1, LeafKind.RELEASE, "stranger")], [(1, "ANSWER_UNASKED", "")]),
        ([*WHOLE, leaf(2, LeafKind.RESULT, "coordinator")], [(2, "RESULT_UNEXPECTED", "")]),
        ([*WHOLE, leaf(1, LeafKind.DENY, "social")], [(1, "ANSWER_REPEATED", ""), (1, "RESULT_UNEXPECTED", "")]),
    ],
)
def test_what_is_missing_or_repeated_in_the_log(leaves: list[Leaf], expected: list[tuple[int, str, str]]) -> None:
    assert codes(reconcile(logged(leaves), {})) == expected


KNOWN = [policy(node) for node in NODES]
UNDER = [*query(1, policy=POLICY), *query(2, denying=("tax",), policy=POLICY)]


def test_answers_under_policies_that_are_logged_reconcile() -> None:
    found = reconcile(logged([*KNOWN, *UNDER]), own(UNDER, *PARTIES))
    assert (found.ok, found.queries) == (True, 2)


@pytest.mark.parametrize(
    "leaves",
    [[KNOWN[0], *UNDER], [KNOWN[0], *UNDER, KNOWN[1]], [KNOWN[0], policy("tax", "b" * 64), *UNDER]],
    ids=["never", "too late", "another"],
)
def test_a_node_that_answers_under_a_policy_never_logged_before_is_named_once(leaves: list[Leaf]) -> None:
    (missing,) = reconcile(logged(leaves), {}).discrepancies
    assert (int(missing.query, 16), missing.code, missing.party) == (1, "POLICY_MISSING", "tax")
    assert "2 leaves" in missing.text
    assert POLICY[:12] in missing.text


def test_an_answer_on_record_whose_policy_the_log_never_had_is_found_also_if_its_leaf_names_none() -> None:
    hidden = query(1)
    found = reconcile(logged(hidden), own(query(1, policy=POLICY), "tax"))
    assert codes(found) == [(1, "POLICY_DIFFERS", "tax"), (1, "POLICY_NOT_LOGGED", "tax")]


def test_a_leaf_that_names_another_policy_than_the_message_on_record_is_found() -> None:
    other = "b" * 64
    leaves = [*KNOWN, *(policy(node, other) for node in NODES), *query(1, policy=other)]
    found = reconcile(logged(leaves), own(query(1, policy=POLICY), "social"))
    assert codes(found) == [(1, "POLICY_DIFFERS", "social")]


def test_a_query_that_the_coordinator_never_logged_shows_at_every_party() -> None:
    hidden = query(9)
    found = reconcile(logged(WHOLE), own([*WHOLE, *hidden], *PARTIES))
    assert codes(found) == [
        (9, "ACK_NOT_LOGGED", "bank"),
        (9, "RELEASE_NOT_LOGGED", "social"),
        (9, "RELEASE_NOT_LOGGED", "tax"),
        (9, "REQUEST_NOT_LOGGED", "bank"),
    ]


def test_a_query_that_the_coordinator_made_up_shows_at_every_party() -> None:
    found = reconcile(logged([*WHOLE, *query(9)]), own(WHOLE, *PARTIES))
    assert codes(found) == [
        (9, "ACK_NOT_ON_RECORD", "bank"),
        (9, "RELEASE_NOT_ON_RECORD", "social"),
        (9, "RELEASE_NOT_ON_RECORD", "tax"),
        (9, "REQUEST_NOT_ON_RECORD", "bank"),
    ]


def test_a_denial_logged_as_a_release_shows_both_ways() -> None:
    forged = [leaf(2, LeafKind.RELEASE, "tax") if one is WHOLE[7] else one for one in WHOLE]
    found = reconcile(logged(forged), own(WHOLE, "tax"))
    assert (2, "DENY_NOT_LOGGED", "tax") in codes(found)
    assert (2, "RELEASE_NOT_ON_RECORD", "tax") in codes(found)


def test_another_message_than_the_logged_one_shows() -> None:
    records = own(WHOLE, "tax")
    records["tax"][0] = OwnEntry(records["tax"][0].query, LeafKind.RELEASE, bytes(32))
    assert codes(reconcile(logged(WHOLE), records)) == [(1, "EVIDENCE_DIFFERS", "tax")]


def test_parties_whose_record_is_not_at_hand_are_not_held_to_it() -> None:
    assert reconcile(logged(WHOLE), own(WHOLE, "tax")).ok
    empty = reconcile(logged(WHOLE), {"tax": []})
    assert {party for _, _, party in codes(empty)} == {"tax"}
    assert len(empty.discrepancies) == 3


def test_no_more_than_hashes_and_ids_are_told() -> None:
    found = reconcile(logged([*WHOLE, *query(9)]), own(WHOLE, *PARTIES))
    assert all(len(one.query) == 32 and one.text.isascii() for one in found.discrepancies)
