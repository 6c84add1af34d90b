"""Runs a process as another user, who owns nothing else: on Linux, when root starts it.

The interpreter may lie in a folder that is closed to others, such as root's own. Then the process gets a mount
namespace in which that folder shows the interpreter, this project and the process's own folder, and nothing else.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import federation

# $1 the closed folder, $2 user; then the paths to show, "--", and the command. The last path shown belongs to the user.
_SCRIPT: Final = """
set -e
closed=$1 user=$2; shift 2
mount --make-rprivate /
stage=/mnt; mount -t tmpfs -o mode=0711 tmpfs "$stage"
while [ "$1" != -- ]; do
  mkdir -p "$stage$1"; mount --rbind "$1" "$stage$1"; shift
done
shift
mount --rbind "$stage$closed" "$closed"
chmod 0711 "$closed"
exec setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""


def as_user(user: int, command: Sequence[str], home: Path) -> tuple[str, ...]:
    """Return the command that runs `command` as `user`, who may enter `home`. For root, with `can_change_user`."""
    setpriv = (
        *("setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"),
        *("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"),
    )
    needed = [Path(sys.base_prefix), Path(sys.prefix), Path(federation.__file__).parents[1], home]
    shut = next((closed for path in needed if (closed := _closed_folder(path)) is not None), None)
    if shut is None:
        return (*setpriv, *command)
    shown = [str(path.resolve()) for path in needed if path.resolve().is_relative_to(shut)]
    script = ("sh", "-c", _SCRIPT, "as-user", str(shut), str(user), *shown, "--")
    return ("unshare", "--mount", *script, *command)


def can_change_user() -> bool:
    """Tell whether processes can be given users of their own here."""
    return os.geteuid() == 0 and all(shutil.which(tool) for tool in ("setpriv", "unshare", "mount"))


def _closed_folder(path: Path) -> Path | None:
    """Return the outermost folder on the way to `path` that others cannot enter, or None."""
    for folder in reversed(path.resolve().parents):
        if not folder.stat().st_mode & 0o001:
            return folder
    return None
