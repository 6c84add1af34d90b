"""A policy that its owner changes is in force from the next question on; a bad file changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.local.federation import LocalFederation
from federation.local.layout import BANK
from nodes.policy import POLICY_FILE, NodePolicy, PolicyInForce, Quota, usual_policy, write_policy
from nodes.policy.rules import Effect, Rule
from protocols.consent import Purpose
from protocols.transparency.leaves import LeafKind
from tests.conftest import TrainedFederation
from tests.small_federation import NOW, POLICY

STRICT = usual_policy((BANK,), quota=Quota(per_day=3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_policy(tmp_path / POLICY_FILE, POLICY)
    return tmp_path / POLICY_FILE


def test_a_changed_file_is_in_force_once_it_is_renewed_and_not_before(path: Path) -> None:
    rules = PolicyInForce.of_file(path)
    write_policy(path, STRICT)
    assert rules.current == POLICY
    rules.renew()
    assert rules.current == STRICT


SLIPS = ["version: 1\nrules: [", "version: 2\nrules: []", "", "version: 2024-99-99", "rules: !!timestamp x", "[" * 3000]


@pytest.mark.parametrize("text", [*SLIPS, None])
def test_a_file_with_a_slip_leaves_the_old_policy_and_says_so_once(
    path: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    rules = PolicyInForce.of_file(path)
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    for _ in range(3):
        rules.renew()
    assert rules.current == POLICY
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    write_policy(path, STRICT)
    rules.renew()
    assert rules.current == STRICT


def test_a_node_follows_its_file_without_a_restart_and_the_log_shows_the_change(
    federation_folder: Path, trained: TrainedFederation
) -> None:
    enterprise = trained.ids[0]
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        assert federation.assess([enterprise])[0].status == "ok"
        start = federation.log.size
        closed = NodePolicy(1, (Rule("closed", Effect.DENY, "any", (Purpose.ASSESSMENT,)),))
        write_policy(federation_folder / "tax" / POLICY_FILE, closed)
        (denied,) = federation.assess([enterprise])
        assert (denied.status, denied.denied_by) == ("denied", {"tax": "NODE_DENIED"})
        (federation_folder / "tax" / POLICY_FILE).write_text("nonsense", encoding="utf-8")
        assert federation.assess([enterprise])[0].code == "NODE_DENIED"
        leaves = [entry.leaf for entry in federation.log.entries(start)]
    changes = [leaf for leaf in leaves if leaf.kind is LeafKind.POLICY]
    assert [(leaf.actor, dict(leaf.attributes)) for leaf in changes] == [
        ("tax", {"policy_hash": closed.digest().hex()})
    ]
