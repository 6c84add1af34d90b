"""How the coordinator's own tools reach its SuperLink: by Flower's commands, in a folder that names the connection."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

BUNDLE: Final = Path(__file__).parent / "bundle"
CONNECTION_FILE: Final = "config.toml"
_SETTINGS: Final = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.25",
    "PYTHONUNBUFFERED": "1",
}


def environment(home: Path) -> dict[str, str]:
    """Return all that a Flower process gets of the environment: nothing of ours but the way to its tools."""
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    passed = {name: os.environ[name] for name in ("PYTHONPATH", "LANG") if name in os.environ}
    return passed | _SETTINGS | {"PATH": path, "HOME": str(home), "FLWR_HOME": str(home)}


def write_connection(home: Path, address: str, authority: Path) -> None:
    """Write into the folder `home` where the SuperLink is, and whose certificate it shows. Raises: OSError."""
    home.mkdir(parents=True, exist_ok=True)
    text = (
        f'[superlink]\ndefault = "federation"\n\n[superlink.federation]\naddress = "{address}"\n'
        f'root-certificates = "{authority}"\n'
    )
    (home / CONNECTION_FILE).write_text(text, encoding="utf-8")


def tool(*arguments: str) -> tuple[str, ...]:
    """Return one `flwr` command."""
    return (str(Path(sys.executable).parent / "flwr"), *arguments, "--format", "json")


def submit(home: Path, desk: Path, run: str) -> None:
    """Have the SuperLink carry a run: its ServerApp asks the desk. Raises: subprocess.CalledProcessError; OSError."""
    command = tool("run", str(BUNDLE), "--run-config", f'desk="{desk}" run="{run}"')
    subprocess.run(command, env=environment(home), capture_output=True, text=True, check=True)  # noqa: S603
