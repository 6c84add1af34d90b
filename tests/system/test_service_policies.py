"""Nodes announce their policies over their streams: the log has each before anything is answered under it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from federation.audit.reading.log_view import StoredLog
from federation.local.layout import BANK
from federation.local.processes import running
from nodes.policy import POLICY_FILE, NodePolicy, Quota, usual_policy, write_policy
from protocols.consent import Purpose
from protocols.errors import PeerRefused
from protocols.transparency.leaves import LeafCommitment, LeafKind
from tests.system.service_federation import ServiceFederation, prepare

pytestmark = pytest.mark.slow
PATIENCE = 90.0
BUSY, CALM = (usual_policy((BANK,), quota=Quota(per_day=per_day)) for per_day in (5000, 50))


@pytest.fixture
def federation(federation_folder: Path) -> ServiceFederation:
    return prepare(federation_folder)


def leaves(folder: Path, start: int = 0) -> list[LeafCommitment]:
    with closing(StoredLog(folder)) as log:
        return [leaf.commitment() for leaf in log.leaves(start)]


def policies_of_tax(folder: Path, start: int) -> list[object]:
    found = (leaf for leaf in leaves(folder, start) if leaf.kind is LeafKind.POLICY and leaf.actor == "tax")
    return [dict(leaf.attributes)["policy_hash"] for leaf in found]


def wait_for(condition: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < PATIENCE
        time.sleep(0.2)


def adopt(folder: Path, policy: NodePolicy) -> str:
    write_policy(folder / "tax" / POLICY_FILE, policy)
    return policy.digest().hex()


def test_a_policy_changed_while_the_coordinator_is_down_is_logged_before_anything_is_answered_under_it(
    federation: ServiceFederation,
) -> None:
    folder, start = federation.folder, len(leaves(federation.folder))

    async def ask() -> None:
        """Ask until every node is back."""
        enterprise, deadline = federation.ids[0], time.monotonic() + PATIENCE
        async with federation.bank() as bank:
            while True:
                try:
                    told = await bank.assess(enterprise, federation.consent(enterprise), Purpose.ASSESSMENT)
                except PeerRefused:
                    if time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(0.5)
                else:
                    assert told.status == "ok"
                    return

    with federation.consents.publishing(), running([federation.coordinator, *federation.nodes.values()]):
        changed = adopt(folder, BUSY)
        wait_for(lambda: policies_of_tax(folder, start) == [changed])  # nobody has asked anything
        assert federation.coordinator.stop() == 0
        again = adopt(folder, CALM)
        federation.coordinator.start()
        federation.coordinator.wait_until_ready()
        wait_for(lambda: policies_of_tax(folder, start) == [changed, again])
        asyncio.run(ask())
    told = [leaf for leaf in leaves(folder, start) if leaf.actor == "tax"]
    assert [leaf.kind for leaf in told[:2]] == [LeafKind.POLICY] * 2
    assert {leaf.kind for leaf in told[2:]} == {LeafKind.RELEASE}
    assert {dict(leaf.attributes)["policy_hash"] for leaf in told[2:]} == {again}
    others = [leaf.actor for leaf in leaves(folder, start) if leaf.kind is LeafKind.POLICY and leaf.actor != "tax"]
    assert others == []  # whose policies the log has known since they trained
