"""The index finds what a pass over the whole log finds, keeps up with the log, and is dropped when it does not fit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from federation.audit import AuditLog, verify_directory
from federation.audit.export.reading import ExportedLog
from federation.audit.export.writing import export_log
from federation.audit.reading.log_view import LoggedLeaf, StoredLog
from federation.audit.reading.search import Criteria, search
from federation.console.index import COUNTED, Index
from federation.console.wanted import Page, Wanted
from protocols.transparency import LeafKind, attributes
from protocols.transparency.leaves import Leaf
from tests.console_site import DAY_MS, NOW, SIGNER, history, make_site, question, reference

START = NOW * 1000


@pytest.fixture(scope="module")
def index(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    made = Index(tmp_path_factory.mktemp("index") / "index.sqlite")
    with closing(StoredLog(site)) as log:
        made.follow(log)
    return made


def found(index: Index, wanted: Wanted) -> list[int]:
    """All entries that match, page by page, from the oldest."""
    leaves, before = [], None
    while True:
        page = index.page(wanted, 7, before=before)
        leaves += [place.leaf for place in page.places]
        if not page.older:
            return sorted(leaves)
        before = page.places[-1]


@pytest.mark.parametrize("bank", [None, "bank_a", "bank_b", "nobody"])
@pytest.mark.parametrize("decision", [None, "DENY", "ACCEPTED"])
def test_it_finds_what_one_pass_over_the_log_finds(
    site: Path, index: Index, bank: str | None, decision: str | None
) -> None:
    with closing(StoredLog(site)) as log:
        for purpose, kind, days in itertools.product((None, "assessment"), (None, LeafKind.RELEASE), (None, 12)):
            since = None if days is None else START - days * DAY_MS
            until = None if days is None else START - (days - 4) * DAY_MS
            kinds = frozenset({kind} if kind else ())
            criteria = Criteria(since, until, kinds, None, bank, purpose, decision)
            asked = {"bank": bank, "decision": decision, "purpose": purpose, "kind": kind and kind.value}
            wanted = Wanted(since, until, tuple((name, value) for name, value in asked.items() if value))
            expected = [one.index for one in search(log.leaves(), criteria)]
            assert found(index, wanted) == expected
            assert index.count(wanted) == len(expected)


def test_a_model_is_found_by_the_beginning_of_its_hash_and_an_enterprise_by_its_tag(site: Path, index: Index) -> None:
    with closing(StoredLog(site)) as log:
        subjects = {}
        for one in log.leaves():
            subjects.setdefault(one.commitment().subject, []).append(one.index)
        for model in (*index.facet("model"), index.facet("model")[0][:5], "0000"):
            expected = [one.index for one in search(log.leaves(), Criteria(model=model))]
            assert found(index, Wanted(model=model)) == expected
    subjects.pop(b"")
    assert len(subjects) > 30
    for subject, leaves in subjects.items():
        assert found(index, Wanted(subject=subject)) == leaves


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(facets=(("bank", "bank_a"),)),
        Wanted(facets=(("kind", "DENY"), ("bank", "bank_a"))),
        Wanted(facets=(("code", "QUOTA"),)),
        Wanted(since_ms=START - DAY_MS, facets=(("decision", "DENIED"),)),
        Wanted(since_ms=START - DAY_MS, until_ms=START),
        Wanted(subject=bytes(32)),
        Wanted(model="a7937b64"),
    ],
)
def test_no_page_reads_the_whole_index_or_sorts_it(index: Index, wanted: Wanted) -> None:
    statements: list[str] = []
    index._work.set_trace_callback(statements.append)
    page = index.page(wanted, 50)
    index.page(wanted, 50, before=page.places[-1] if page.places else None)
    index.of_reference(reference(3), 10)
    index._work.set_trace_callback(None)
    looks = [statement for statement in statements if "FROM entry" in statement]
    assert len(looks) >= 3
    for statement in looks:
        plan = " ".join(row[3] for row in index._work.execute(f"EXPLAIN QUERY PLAN {statement}"))
        assert wanted.subject or "TEMP B-TREE" not in plan, (statement, plan)
        assert "SCAN" not in plan, (statement, plan)


def test_filters_that_match_nothing_together_read_nothing_of_what_each_matches(tmp_path: Path) -> None:
    """The banks close queries, and nodes do not: the two hundred of each are not gone through one by one."""
    index = Index(tmp_path / "index.sqlite")
    grow(index, make_site(tmp_path / "site"), [])
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    index._work.set_progress_handler(count, 1)
    wanted = Wanted(facets=(("decision", "ACCEPTED"), ("actor", "tax")))
    assert index.page(wanted, 50).places == ()
    assert index.count(wanted) == 0
    index._work.set_progress_handler(None, 1)
    assert index.count(Wanted(facets=(("decision", "ACCEPTED"),))) > 50
    assert steps < 1500


def test_it_keeps_up_with_a_log_that_grows_and_reads_only_what_is_new(tmp_path: Path) -> None:
    folder = make_site(tmp_path / "site")
    index = Index(tmp_path / "index.sqlite")
    grow(index, folder, [])
    assert index.count(Wanted()) == 446
    read = grow(index, folder, question(200, 0))
    assert read == list(range(446, 453))
    assert index.of_reference(reference(200), 99) == read
    again = Index(tmp_path / "index.sqlite")
    assert grow(again, folder, question(201, 0)) == list(range(453, 460))
    assert grow(again, folder, []) == []


def test_an_index_of_another_history_is_made_anew(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite")
    grow(index, make_site(tmp_path / "site"), [])
    shorter = make_site(tmp_path / "shorter", history()[:2], witnessed=1)
    grow(index, shorter, [])
    assert index.count(Wanted()) == sum(len(part) for part in history()[:2])
    other = history()
    other[0] = other[0][1:] + other[0][:1]
    grow(index, make_site(tmp_path / "other", other), [])
    assert found(index, Wanted(facets=(("kind", "KEY"),))) == [0, 1, 2, 13]


def test_an_export_is_indexed_and_read_as_its_log_is(site: Path, index: Index, tmp_path: Path) -> None:
    export_log(site, tmp_path / "export", verify_directory(site))
    exported, log = Index(tmp_path / "index.sqlite"), ExportedLog(tmp_path / "export")
    exported.follow(log)
    exported.follow(log)
    for wanted in (Wanted(), Wanted(facets=(("bank", "bank_b"),)), Wanted(facets=(("kind", "DENY"),))):
        assert exported.page(wanted, 50) == index.page(wanted, 50)


def test_entries_of_one_instant_and_of_a_clock_that_went_back_are_all_found(tmp_path: Path) -> None:
    times = [5, 5, 5, 3, 9, 9, 4, 5]
    leaves = [
        Leaf(kind=LeafKind.POLICY, actor="tax", timestamp_ms=at, attributes=attributes({"policy_hash": "0" * 64}))
        for at in times
    ]
    index = Index(tmp_path / "index.sqlite")
    grow(index, make_site(tmp_path / "site", [leaves], witnessed=0), [])
    places, before = [], None
    while True:
        page: Page = index.page(Wanted(), 2, before=before)
        places += page.places
        if not page.older:
            break
        before = page.places[-1]
    expected = sorted(((at, leaf) for leaf, at in enumerate(times)), reverse=True)
    assert [(place.at, place.leaf) for place in places] == expected
    back = index.page(Wanted(), 3, after=places[5])
    assert list(back.places) == places[2:5]
    assert found(index, Wanted(since_ms=4, until_ms=6)) == [0, 1, 2, 6, 7]


def test_counting_stops(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.console.index.COUNTED", 99)
    assert index.count(Wanted(since_ms=1)) == 100
    assert index.count(Wanted()) == 446
    assert COUNTED > 1000


def grow(index: Index, folder: Path, leaves: list[Leaf]) -> list[int]:
    """Append to a log, let the index follow, and return which leaves it read."""
    with AuditLog(folder / "coordinator" / "log.sqlite", SIGNER, StoredLog(folder).keys.witnesses) as log:
        log.append(leaves)
    read: list[int] = []
    with closing(_Watched(folder, read)) as watched:
        index.follow(watched)
    return read


class _Watched(StoredLog):
    """A log that notes which leaves are read."""

    def __init__(self, folder: Path, read: list[int]) -> None:
        super().__init__(folder)
        self._read = read

    def leaves(self, start: int = 0) -> Iterator[LoggedLeaf]:
        """Yield the leaves and note them."""
        for one in super().leaves(start):
            self._read.append(one.index)
            yield one
