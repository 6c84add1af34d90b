"""The files for administrators: units that systemd accepts and that shut the process in, an image without an index."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federation.cli.main import app

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
HARDENING = (
    "NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "ProtectHome=yes", "PrivateDevices=yes",
    "PrivateTmp=yes", "RestrictNamespaces=yes", "MemoryDenyWriteExecute=yes", "SystemCallFilter=@system-service",
    "UMask=0077", "LimitCORE=0",
)  # fmt: skip
MOST_EXPOSED = 2.0


def test_there_is_a_unit_for_every_process() -> None:
    names = {"coordinator", "superlink", "node@", "supernode@", "bank"}
    assert {unit.stem.removeprefix("credfed-") for unit in UNITS} == names


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_shuts_its_process_in(unit: Path) -> None:
    lines = unit.read_text(encoding="utf-8").splitlines()
    assert not [setting for setting in HARDENING if setting not in lines]
    assert not [line for line in lines if line.startswith("User=root")]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_a_unit_starts_is_there_and_knows_its_options(unit: Path) -> None:
    started = [line.split("=", 1)[1] for line in unit.read_text(encoding="utf-8").splitlines() if "/opt/" in line]
    commands = [line.split()[1:] for line in started if line.startswith("/opt/credfed/bin/credfed ")]
    for group, name, folder, *options in commands:
        shown = CliRunner().invoke(app, [group, name, "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0, (group, name)
        assert folder.startswith("/var/lib/credfed/")
        assert not [option for option in options if option.startswith("--") and option not in shown.output]
    modules = [line.split()[2] for line in started if line.startswith("/opt/credfed/bin/python -m ")]
    assert all(map(importlib.util.find_spec, modules))
    assert commands or modules


@pytest.mark.parametrize("name", ["node@", "supernode@"])
def test_a_data_owners_unit_may_listen_on_no_port(name: str) -> None:
    assert "SocketBindDeny=any" in (DEPLOY / "systemd" / f"credfed-{name}.service").read_text(encoding="utf-8")


def test_a_supernode_is_another_user_and_does_not_see_its_partys_folder() -> None:
    supernode = (DEPLOY / "systemd" / "credfed-supernode@.service").read_text(encoding="utf-8")
    node = (DEPLOY / "systemd" / "credfed-node@.service").read_text(encoding="utf-8")
    assert "User=credfed-supernode" in supernode
    assert "User=credfed-node" in node
    assert "InaccessiblePaths=-/var/lib/credfed " in supernode


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_accepts_a_unit_and_finds_it_hardly_exposed(unit: Path) -> None:
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    said = [line for line in verified.stderr.splitlines() if unit.stem.rstrip("@") in line]
    assert not [line for line in said if "not executable" not in line and "No such file" not in line]
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={round(10 * MOST_EXPOSED)}", str(unit)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in judged.stderr:
        pytest.skip("this systemd-analyze cannot judge a file that is not installed")
    assert judged.returncode == 0, judged.stdout[-300:]


@pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not on this machine")
def test_the_firewall_is_one_that_nft_accepts() -> None:
    checked = subprocess.run(
        ["nft", "-c", "-f", str(DEPLOY / "firewall.nft")], capture_output=True, text=True, check=False
    )
    if "Operation not permitted" in checked.stderr:
        pytest.skip("nft may not look at this system's tables")
    assert checked.returncode == 0, checked.stderr


def test_the_image_is_built_without_an_index() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8")
    assert "--no-index --find-links /wheels" in text
    assert "USER 10001" in text
