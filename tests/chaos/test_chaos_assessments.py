"""Things break while a bank asks without end: no wrong answer, no lost release, and how long until answers come again.

One federation is broken in turn in every way. At the end, log, ledgers and what the bank got are held against one
another: whatever was interrupted lacks its end, and nothing else.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.audit import verify_directory
from federation.audit.reconciliation.reconcile import reconcile
from federation.cli.audit.ledgers import open_ledgers, own_entries
from federation.cli.audit.logs import open_log
from federation.local.consents import ConsentService
from federation.local.federation import LocalFederation
from federation.local.layout import BANK, CONSENT_SERVICE, COORDINATOR, read_federation
from nodes.bank.store import api_keys
from nodes.bank.store.api_keys import Scope
from nodes.bank.store.database import DATABASE_FILE, Database
from nodes.clock import system_clock
from nodes.keystore import read_cards
from nodes.policy import Quota, TrainingRules, usual_policy
from protocols.channel.identity import PartyId
from protocols.transparency.leaves import LeafKind
from tests.chaos.breaking import Breakable, breakable, small_disks
from tests.chaos.conftest import Row
from tests.chaos.load import Answered, Load, asking, wrong_answers
from tests.postgres_server import PostgresServer, postgres_server
from tests.small_federation import (
    KEY_BITS,
    MINIMUM_BIN,
    NODES,
    PLAN,
    codes,
    default_split,
    make_federation,
    quick_keys,
)

pytestmark = [pytest.mark.slow, pytest.mark.chaos]

TAX = PartyId("tax")
QUIET_SECONDS = 3.0
CUT_SECONDS = 12.0
ASKED_ABOUT = 40
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
RULES = TrainingRules(minimum_bin=MINIMUM_BIN, minimum_key_bits=KEY_BITS)
POLICY = usual_policy((BANK,), training=RULES, quota=Quota(per_day=10_000_000, per_subject=1_000_000))
INTERRUPTED = {
    "RELEASE_MISSING", "RESULT_MISSING", "ACK_MISSING", "RELEASE_NOT_LOGGED", "REQUEST_NOT_LOGGED", "ACK_NOT_LOGGED",
    "DENY_NOT_LOGGED",
}  # fmt: skip
"""What a query that was broken off may lack. Never: an answer without its row, or two answers, or another one."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A federation under load, and what the answers must be."""

    federation: Breakable
    load: Load
    expected: dict[str, Answered]
    postgres: PostgresServer | None


def lasting_key(home: Path) -> str:
    """An API key that is good for a day."""
    now = int(time.time())
    with closing(Database(home / DATABASE_FILE)) as database:
        scopes, ends = frozenset({Scope.ASSESS}), now + 86_400
        return database.do(lambda connection: api_keys.create(connection, "chaos", scopes, now, ends))[1]


@contextmanager
def possibly_postgres() -> Iterator[PostgresServer | None]:
    """A PostgreSQL server, or none where there is none."""
    if shutil.which("initdb") is None:
        yield None
        return
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """A trained federation under load; housing's ledger is in PostgreSQL, two parties have small disks of their own."""
    outer = Path("/tmp") / f"credfed-chaos-{os.getpid()}"  # noqa: S108 - pytest's own folders are closed to other users
    outer.mkdir(mode=0o711)
    with ExitStack() as held:
        held.callback(shutil.rmtree, outer)
        postgres = held.enter_context(possibly_postgres())
        with quick_keys():
            folder = make_federation(outer / "federation", POLICY)
        if postgres is not None:
            (folder / "housing" / "ledger.url").write_text(postgres.new_database(), encoding="utf-8")
        with LocalFederation(folder) as embedded:
            embedded.train(default_split(embedded), PLAN, MINIMUM_BIN)
        held.enter_context(small_disks(folder, (COORDINATOR, TAX)))
        federation = held.enter_context(breakable(folder))
        pins = read_cards(folder / "cards")
        service = ConsentService(folder / CONSENT_SERVICE, read_federation(folder).domains, pins, system_clock)
        consents = {enterprise: service.of_enterprise(enterprise, BANK) for enterprise in codes(ASKED_ABOUT)}
        load = held.enter_context(asking(federation, lasting_key(folder / BANK), consents))
        yield Scene(federation, load, first_answers(load, len(consents)), postgres)


def first_answers(load: Load, enterprises: int) -> dict[str, Answered]:
    """What each enterprise's answer is while nothing is broken."""
    limit = time.monotonic() + 120
    found: dict[str, Answered] = {}
    while len(found) < enterprises:
        assert time.monotonic() < limit, load.codes(0, limit)
        time.sleep(0.2)
        found = {answer.enterprise: answer.result for answer in list(load.answers) if not answer.code and answer.result}
    return found


Break = Callable[[Scene], AbstractContextManager[None]]


def killing(name: str) -> Break:
    """`kill -9`; whoever watches over the process starts it again."""

    @contextmanager
    def broken(scene: Scene) -> Iterator[None]:
        scene.federation.kill(name)
        yield

    return broken


def restarting_postgres(scene: Scene) -> AbstractContextManager[None]:
    """End PostgreSQL as a power cut would, and start it again."""
    if scene.postgres is None:
        pytest.skip("PostgreSQL is not installed on this machine")
    return _restarted(scene.postgres)


@contextmanager
def _restarted(postgres: PostgresServer) -> Iterator[None]:
    postgres.restart()
    yield


@dataclass(frozen=True, slots=True)
class Case:
    """What is broken, for how many seconds, and which codes users may see meanwhile."""

    name: str
    broken: Break
    seconds: float
    codes: frozenset[str] = frozenset()


AWAY = frozenset({"NODE_UNAVAILABLE"})
COORDINATOR_AWAY = frozenset({"COORDINATOR_UNAVAILABLE", "NODE_UNAVAILABLE"})
BANK_AWAY = frozenset({"NO_CONNECTION", "COORDINATOR_UNAVAILABLE"})
SLOW = frozenset({"TIMEOUT", "NODE_UNAVAILABLE", "COORDINATOR_UNAVAILABLE"})
"""What a machine that has other work to do may always answer."""
AHEAD = frozenset({"QUERY_EXPIRED", "CONSENT_LIST_STALE"})
CASES = [
    Case("SuperLink killed", killing("superlink"), 0.0),
    Case("a SuperNode killed", killing("supernode-tax"), 0.0),
    Case("a data node killed", killing("tax"), 0.0, AWAY),
    Case("the data node on PostgreSQL killed", killing("housing"), 0.0, AWAY),
    Case("the coordinator killed", killing("coordinator"), 0.0, COORDINATOR_AWAY),
    Case("the bank killed", killing("bank"), 0.0, BANK_AWAY),
    Case("a data node cut off", lambda scene: scene.federation.cut(TAX), CUT_SECONDS, AWAY),
    Case("the bank cut off", lambda scene: scene.federation.cut(BANK), CUT_SECONDS, COORDINATOR_AWAY),
    Case("the coordinator cut off", lambda scene: scene.federation.cut(COORDINATOR), CUT_SECONDS, COORDINATOR_AWAY),
    Case(
        "a data node's line: 200 ms more each way, 5 % of frames lost",
        lambda scene: scene.federation.lossy(TAX, 200, 5), CUT_SECONDS, AWAY,
    ),
    Case(
        "a data node's disk full",
        lambda scene: scene.federation.full_disk(TAX), QUIET_SECONDS, frozenset({"LEDGER_FAILED", "INTERNAL_ERROR"}),
    ),
    Case(
        "the coordinator's disk full",
        lambda scene: scene.federation.full_disk(COORDINATOR), QUIET_SECONDS, frozenset({"LOG_NOT_WRITABLE"}),
    ),
    Case("PostgreSQL restarted under a data node", restarting_postgres, 0.0, frozenset({"LEDGER_FAILED"})),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_answers_come_again_and_none_was_wrong(scene: Scene, table: list[Row], case: Case) -> None:
    began = time.monotonic()
    with case.broken(scene):
        time.sleep(case.seconds)
        healed = time.monotonic() if case.seconds else began
    healed = max(healed, time.monotonic()) if case.seconds else began
    recovery = scene.load.await_recovery(healed)
    scene.federation.await_ready()
    time.sleep(QUIET_SECONDS)
    conclude(scene, table, case.name, began, healed, recovery, case.codes)


@pytest.mark.parametrize("name", ["tax", "bank", "coordinator"])
@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed on this machine")
def test_a_clock_that_is_moved_makes_no_wrong_answer(scene: Scene, table: list[Row], name: str) -> None:
    with scene.federation.movable_clock(name, str(FAKETIME)) as clock:
        scene.load.await_recovery(time.monotonic())
        began = time.monotonic()
        clock.write_text("+10m\n", encoding="ascii")
        time.sleep(2 * QUIET_SECONDS)
        clock.write_text("+0\n", encoding="ascii")
        healed = time.monotonic()
        recovery = scene.load.await_recovery(healed)
        conclude(scene, table, f"the clock of {name} 10 minutes ahead", began, healed, recovery, AHEAD)
    scene.load.await_recovery(time.monotonic())


def conclude(
    scene: Scene, table: list[Row], broken: str, began: float, healed: float, recovery: float, codes: frozenset[str]
) -> None:
    """Write down what users saw while something was broken, and hold it against what they may see."""
    seen = scene.load.codes(began, healed + recovery)
    wrong = wrong_answers(scene.load.answers, scene.expected)
    table.append(Row("assessments", broken, described(seen), f"{recovery:.1f} s", "WRONG" if wrong else "nothing"))
    assert not wrong
    assert set(seen) - {""} <= codes | SLOW


def described(seen: Counter[str]) -> str:
    """Return what users saw, in a few words."""
    answered = seen.get("", 0)
    codes = ", ".join(f"{count} × `{code}`" for code, count in sorted(seen.items()) if code)
    return f"{answered} answered" + (f"; {codes}" if codes else "")


def test_nothing_was_lost_and_nobody_answered_off_the_record(scene: Scene) -> None:
    """The last one: it stops everything."""
    scene.federation.stop()
    folder, answers = scene.federation.folder, [answer for answer in scene.load.answers if not answer.code]
    assert verify_directory(folder).ok
    with open_log(folder) as log, open_ledgers(folder) as readers:
        leaves = list(log.leaves())
        found = reconcile(leaves, {party: own_entries(reader) for party, reader in readers.items()})
        released = {node: [row.query for row in readers[node].answers()] for node in NODES}
    assert {discrepancy.code for discrepancy in found.discrepancies} <= INTERRUPTED
    results = {
        leaf.index: leaf.commitment().reference.hex() for leaf in leaves if leaf.commitment().kind is LeafKind.RESULT
    }
    for node in NODES:
        assert len(released[node]) == len(set(released[node]))
    for answer in answers:
        assert answer.receipt is not None
        assert results[answer.receipt] == answer.request
        assert all(bytes.fromhex(answer.request) in released[node] for node in NODES)
