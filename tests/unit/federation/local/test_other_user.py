"""A process as another user, whose own folder lies below one that is closed to others, as the interpreter may too."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from federation.local.deployed.other_user import as_user, can_change_user

USER = 61_234
SEES = """
import os, pathlib, federation
print(os.getuid(), pathlib.Path("own").read_text(), os.path.exists("../secret"), os.access(".", os.W_OK))
"""


@pytest.mark.skipif(not can_change_user(), reason="only root can give a process another user, with setpriv and mount")
def test_a_process_sees_its_own_folder_below_a_closed_one_and_nothing_beside_it() -> None:
    with tempfile.TemporaryDirectory() as outer:  # of mode 0700
        home = Path(outer) / "two words" / "home"
        home.mkdir(parents=True)
        (home / "own").write_text("mine")
        (home.parent / "secret").write_text("not mine")
        command = as_user(USER, ("env", "-C", str(home), sys.executable, "-c", SEES), home)
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert done.stdout.split() == [str(USER), "mine", "False", "False"], done.stderr
