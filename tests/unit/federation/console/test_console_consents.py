"""The timeline of one consent: its own entries and those of every question that showed it, alone or in a batch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from federation.audit.reading.log_view import LoggedLeaf, StoredLog
from federation.audit.reading.search import Criteria, search
from federation.console import accounts as rules
from federation.console.accounts import Role
from federation.console.index import Index
from federation.console.wanted import Wanted
from federation.local.federation import LocalFederation
from tests.conftest import TrainedFederation
from tests.small_federation import NOW
from tests.unit.federation.console.conftest import Door, open_door

BATCH = 3


@pytest.fixture
def door(
    federation_folder: Path, trained: TrainedFederation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Door]:
    """A console over a log in which one consent is shown alone, in a batch, and beside others that are not."""
    monkeypatch.setattr(rules, "_COST", 1 << 8)
    monkeypatch.setattr("federation.local.federation.BATCH_FROM", BATCH)
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        given = [(one, federation.consent_of(one)) for one in trained.ids[:BATCH]]
        federation.assess_with(given[:1])
        federation.assess_with(given)
        federation.assess_with(given[1:2])
        federation.assess(trained.ids[BATCH : BATCH + 2])
    (tmp_path / "home").mkdir()
    opened = open_door(federation_folder, tmp_path / "home")
    yield opened
    opened.accounts.close()
    opened.console.index.close()


def shown(folder: Path) -> tuple[list[str], list[LoggedLeaf]]:
    """The handles of the consents of a log, in the order of their entries, and all its entries."""
    with closing(StoredLog(folder)) as log:
        leaves = list(log.leaves())
    found = [leaf.commitment() for leaf in leaves]
    return [leaf.reference.hex() for leaf in found if leaf.kind.value == "CONSENT"], leaves


def entries(browser: TestClient, address: str) -> list[int]:
    """The entries of a timeline's page, from the oldest."""
    return sorted(map(int, re.findall(r'<td class="num"><a href="/entries/(\d+)">', browser.get(address).text)))


def test_the_timeline_under_a_consent_is_what_the_search_finds(door: Door, federation_folder: Path) -> None:
    handles, leaves = shown(federation_folder)
    browser = door.enter(Role.AUDITOR)
    assert len(handles) == BATCH + 2
    for handle in handles:
        expected = [leaf.index for leaf in search(leaves, Criteria(consent=handle))]
        assert entries(browser, f"/timeline?consent={handle}") == expected
        assert door.console.index.count(Wanted(consent=bytes.fromhex(handle))) == len(expected)
    kinds = {leaves[index].commitment().kind.value for index in entries(browser, f"/timeline?consent={handles[0]}")}
    assert kinds == {"CONSENT", "REQUEST", "RELEASE", "RESULT", "ACK"}
    assert entries(browser, f"/timeline?consent={'0' * 64}") == []


def test_a_consent_and_other_filters_are_one_question(door: Door, federation_folder: Path) -> None:
    handles, leaves = shown(federation_folder)
    browser = door.enter(Role.AUDITOR)
    tags = [leaf.commitment().subject for leaf in leaves if leaf.commitment().kind.value == "CONSENT"]
    both = search(leaves, Criteria(consent=handles[0], tag=tags[0]))
    assert entries(browser, f"/timeline?consent={handles[0]}&tag={tags[0].hex()}") == [leaf.index for leaf in both]
    (batch,) = [leaf for leaf in search(leaves, Criteria(consent=handles[2])) if leaf.commitment().kind == "REQUEST"]
    assert entries(browser, f"/timeline?consent={handles[2]}&kind=REQUEST") == [batch.index]
    assert entries(browser, f"/timeline?consent={handles[0]}&tag={tags[3].hex()}") == []


def test_an_entry_that_names_a_consent_leads_to_all_under_it_and_the_look_is_recorded(
    door: Door, federation_folder: Path
) -> None:
    handles, leaves = shown(federation_folder)
    browser = door.enter(Role.AUDITOR)
    single = next(leaf for leaf in search(leaves, Criteria(consent=handles[0])) if leaf.commitment().kind == "REQUEST")
    link = f"/timeline?consent={handles[0]}"
    assert f'href="{link}"' in browser.get(f"/entries/{single.index}").text
    door.book.looks.clear()
    assert "授权标识" in browser.get(link, headers={"accept-language": "zh-CN"}).text
    assert [(look.page, look.selection) for look in door.book.looks] == [("timeline", {"consent": handles[0]})]


def test_what_is_no_handle_is_said_beside_its_field(door: Door) -> None:
    answer = door.enter(Role.AUDITOR).get("/timeline?consent=abc")
    assert answer.status_code == 422
    assert entries(door.enter(Role.AUDITOR), "/timeline?consent=abc") == []
    assert "Consent&#39;s handle</p>" in answer.text.replace("\n", "")


def test_an_index_of_an_earlier_version_is_made_anew(door: Door, federation_folder: Path) -> None:
    handles, _ = shown(federation_folder)
    path = door.sources.home / "index.sqlite"
    door.enter(Role.AUDITOR).get("/timeline")
    wanted = Wanted(consent=bytes.fromhex(handles[0]))
    before = door.console.index.count(wanted)
    door.console.index._work.executescript("PRAGMA user_version = 2; DROP TABLE shown;")
    door.console.index.close()
    with closing(Index(path)) as index, closing(StoredLog(federation_folder)) as log:
        assert index.covered() is None
        index.follow(log)
        assert index.count(wanted) == before > 0
