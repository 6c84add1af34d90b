"""Each party in a network namespace of its own: a data node listens nowhere, and reaches nothing but what it may."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.local.deployed.members import namespaces_of
from federation.local.deployed.namespaces import Namespaces, names
from federation.local.deployed.status import Status, read_status
from federation.local.layout import BANK, COORDINATOR
from protocols.channel.identity import PartyId
from tests.small_federation import NODES, make_federation, quick_keys

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(not all(map(shutil.which, ("ip", "ss", "nsenter"))), reason="iproute2 is not installed"),
]
PORT = 7440
UP_SECONDS = 300


def credfed(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "federation.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=UP_SECONDS, check=False)


def host_network() -> str:
    shown = [subprocess.run(["ip", what], capture_output=True, text=True, check=True) for what in ("addr", "route")]
    return "".join(done.stdout for done in shown)


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespaces]:
    """A federation whose parties are up in namespaces of their own."""
    outer = Path("/tmp") / f"credfed-apart-{os.getpid()}"  # noqa: S108 - pytest's own folders are closed to other users
    outer.mkdir(mode=0o711)
    with quick_keys():
        folder = make_federation(outer / "federation")
    try:
        done = credfed("up", str(folder), "--namespaces", "--json")
        if "NAMESPACES_UNAVAILABLE" in done.stderr + done.stdout:
            pytest.skip("this system gives no network namespaces")
        assert done.returncode == 0, done.stderr
        yield namespaces_of(folder)
    finally:
        credfed("down", str(folder))
        shutil.rmtree(outer)


def sockets_in(place: str, *options: str) -> list[str]:
    """The listening sockets that `ss` sees in a namespace."""
    command = ["ip", "netns", "exec", place, "ss", "-Hln", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def up(folder: Path) -> Status:
    status = read_status(folder)
    assert status is not None
    return status


def test_no_data_node_listens_on_any_port(apart: Namespaces) -> None:
    assert {process.place for process in up(apart.folder).processes} == {apart.name(p) for p in apart.parties}
    for node in NODES:
        assert sockets_in(apart.name(PartyId(node)), "-t", "-u", "-w") == []
    assert sockets_in(apart.name(COORDINATOR), "-t"), "the coordinator is dialled: ss must have seen that"
    assert all("127.0.0.1:" in line for line in sockets_in(apart.name(BANK), "-t"))


def test_status_shows_where_each_party_listens(apart: Namespaces) -> None:
    shown = credfed("status", str(apart.folder)).stdout
    assert "network namespace" in shown
    assert f"{apart.coordinator}:{PORT}" in shown


def test_a_data_node_reaches_the_fleet_api_of_the_superlink_alone(apart: Namespaces) -> None:
    trusting = ssl.create_default_context(cafile=str(apart.folder / "flower" / "tax" / "authority.pem"))

    def ask(party: PartyId, address: str, path: str) -> int:
        with apart.inside(party):
            connection = http.client.HTTPSConnection(address, PORT + 1, timeout=30, context=trusting)
            connection.request("POST", path, body=b"")
            try:
                return connection.getresponse().status
            finally:
                connection.close()

    for path in ("/v1/control/list-runs", "/v1/runtime/acquire-task", "/docs", "/v1/fleet/../control/list-runs"):
        assert ask(PartyId("tax"), apart.coordinator, path) == http.client.NOT_FOUND
    assert ask(PartyId("tax"), apart.coordinator, "/v1/fleet/activate-node") != http.client.NOT_FOUND
    assert ask(COORDINATOR, "127.0.0.1", "/v1/control/list-runs") != http.client.NOT_FOUND


def test_nobody_reaches_a_data_node(apart: Namespaces) -> None:
    for place, party in ((COORDINATOR, "tax"), (PartyId("social"), "tax"), (COORDINATOR, "social")):
        with apart.inside(place):
            for port in (22, 80, 443, 9094, PORT, PORT + 1, PORT + 100):
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection((apart.address(PartyId(party)), port), 30)


def test_the_machines_own_network_is_not_touched_and_a_killed_supervisor_leaves_nothing(apart: Namespaces) -> None:
    """The last one: it takes the federation down."""
    assert apart.coordinator not in host_network()
    before, status = host_network(), up(apart.folder)
    os.kill(status.supervisor, signal.SIGKILL)
    limit = time.monotonic() + 60
    while read_status(apart.folder) is not None:
        assert time.monotonic() < limit
        time.sleep(0.1)
    assert json.loads(credfed("down", str(apart.folder), "--json").stdout) == {"stopped": True}
    assert names(apart.folder) == []
    assert not [process.pid for process in status.processes if Path(f"/proc/{process.pid}").exists()]
    assert host_network() == before
