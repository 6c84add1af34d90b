"""Every protocol passes the wire auditor: what crosses the wire in an honest run shows an attacker nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from wire_runs import KEY_BITS, Site, Tape, found

from federation.cli.transcript import sampled_canaries
from protocols.wire_audit import Code, Terms, audit


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("wire"))


@pytest.fixture(scope="module")
def assessed(site: Site) -> Tape:
    return site.run(refinements=1, assessments=3)


def test_training_and_assessments_with_a_denial_show_nothing(site: Site, assessed: Tape) -> None:
    assert (assessed.error, assessed.statuses) == ("", ["ok", "ok", "denied"])
    report = assessed.judge(sampled_canaries(site.description))
    assert report.findings == ()
    assert report.ok
    assert report.observations == len(assessed.messages)
    assert report.ciphertexts > 4 * 168  # labels, columns of bank and two nodes, residuals
    training, *queries = report.accounts
    assert (training.opening, training.planned_row_totals) == ("RunSpec", 2)
    assert training.revealed["row_totals"] == 2
    assert [query.revealed for query in queries] == [{"row_totals": 1}, {"row_totals": 1}, {}]


@pytest.mark.parametrize("refinements", [0, 2])
def test_fewer_and_more_refinements_show_nothing(site: Site, refinements: int) -> None:
    tape = site.run(refinements=refinements)
    assert tape.error == ""
    report = tape.judge()
    assert report.findings == ()
    assert report.accounts[0].revealed["row_totals"] == refinements + 1


def test_a_bank_without_features_shows_nothing(tmp_path: Path) -> None:
    tape = Site(tmp_path, bank_columns=0).run(assessments=1)
    assert (tape.error, tape.statuses) == ("", ["ok"])
    assert tape.judge().findings == ()


def test_keys_under_2048_bits_fail_unless_a_test_allows_them(assessed: Tape) -> None:
    report = audit(assessed.cards, assessed.observations())
    assert {finding.code for finding in report.findings} == {Code.KEY_SHORT}
    cards, spec = report.findings[:4], report.findings[-1]
    assert {card.sender for card in cards} == {"bank", "electricity", "social", "tax"}
    assert (spec.message, spec.received_by) == ("RunSpec", ("coordinator", "electricity", "social", "tax"))
    assert audit(assessed.cards, assessed.observations(), Terms(KEY_BITS)).ok
    assert not audit(assessed.cards, assessed.observations(), Terms(KEY_BITS + 1)).ok


def test_the_terms_default_to_2048_bits() -> None:
    assert Terms().minimum_key_bits == 2048


def test_a_sender_without_a_card_is_a_stranger(assessed: Tape) -> None:
    cards = [card for card in assessed.cards if card.party != "tax"]
    report = assessed.judge(cards=cards)
    strangers = found(report, Code.SENDER_UNKNOWN)
    assert strangers
    assert {finding.sender for finding in strangers} == {"tax"}
    assert found(report, Code.CARD_INVALID, "RunSpec"), "the run names a party that nobody has pinned"
