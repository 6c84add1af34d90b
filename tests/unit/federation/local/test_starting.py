"""A folder's federation is brought up only where its sockets fit into the system's bounds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from federation.local.deployed.starting import LONGEST_SOCKET, prepare
from protocols.errors import ConfigurationError


def test_a_path_too_long_for_sockets_is_refused_before_anything_is_started(
    federation_folder: Path, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * LONGEST_SOCKET) / "federation"
    shutil.copytree(federation_folder, deep)
    with pytest.raises(ConfigurationError, match="too long") as refused:
        prepare(deep, 20_000)
    assert refused.value.code == "PATH_TOO_LONG"
    assert not (deep / "flower").exists()
