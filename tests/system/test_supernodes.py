"""Whose SuperNode may come, in a deployed federation: a suspended party's not, and under a new key at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from federation.audit import verify_directory
from federation.flower.admitted import read_admitted
from federation.local.deployed.flower import flower_parties
from federation.local.deployed.training import DeployedBanks
from tests.small_federation import MINIMUM_BIN, PLAN, make_federation, quick_keys
from tests.system.deploying import UP_SECONDS, deployed_federation, open_banks, passable_folder, run_tool

pytestmark = pytest.mark.slow


def test_a_suspended_party_s_supernode_is_shut_out_and_a_replaced_key_is_unregistered() -> None:
    with passable_folder("supernodes") as outer:
        with quick_keys():
            folder = make_federation(outer / "federation")
        with deployed_federation(folder):
            suspend_and_lift(folder)
            replace_the_key(folder)
            with open_banks(folder) as sites:
                training = DeployedBanks(folder, sites, 0.3, 0).train(PLAN, MINIMUM_BIN, "deployed")
            assert training.model.model
            assert verify_directory(folder).ok


def suspend_and_lift(folder: Path) -> None:
    log, coordinator = folder / "run" / "federation.log", str(folder / "coordinator")
    (key,) = keys_of(folder, "tax")
    credfed("party", "suspend", "tax", "--home", coordinator)
    await_until(lambda: keys_of(folder, "tax") == [])
    await_until(lambda: '" 403' in log.read_text())  # what its SuperNode was told at the SuperLink
    credfed("party", "suspend", "tax", "--lift", "--home", coordinator)
    await_until(lambda: keys_of(folder, "tax") == [key])


def replace_the_key(folder: Path) -> None:
    (before,) = keys_of(folder, "tax")
    credfed("party", "rotate", "--home", str(folder / "tax"), "--key", "supernode", "--wait", "120")
    await_until(lambda: len(keys_of(folder, "tax")) == 1 and keys_of(folder, "tax") != [before])
    assert [status for status in statuses(folder) if status == "unregistered"] == ["unregistered"]
    await_until(lambda: statuses(folder).count("online") == len(flower_parties(folder)))


def keys_of(folder: Path, party: str) -> list[str]:
    """Return the SuperNode keys under which the SuperLink admits a party."""
    admitted = read_admitted(folder / "flower" / "superlink" / "home") or {}
    return [key for key, owner in admitted.items() if owner == party]


def statuses(folder: Path) -> list[str]:
    """Return how the SuperLink has each SuperNode that it ever knew."""
    return [node["status"] for node in json.loads(run_tool(folder, "supernode", "list"))["nodes"]]


def credfed(*arguments: str) -> None:
    """Run a command as an operator would."""
    subprocess.run([sys.executable, "-m", "federation.cli", *arguments], check=True, capture_output=True)


def await_until(done: Callable[[], bool]) -> None:
    """Return once something is so."""
    limit = time.monotonic() + UP_SECONDS
    while not done():
        assert time.monotonic() < limit
        time.sleep(0.5)
