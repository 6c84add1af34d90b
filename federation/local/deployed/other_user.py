"""Runs a process as another user, who owns nothing else: on Linux, when root starts it.

Interpreter, project and the process's own folder may lie in folders that are closed to others, such as root's own. Then
the process gets a mount namespace in which those show them, and nothing else.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import federation

# $1 the user; then the closed folders, "--", the paths to show, "--", and the command.
_SCRIPT: Final = """
set -e
user=$1; shift
mount --make-rprivate /
stage=/mnt; mount -t tmpfs -o mode=0711 tmpfs "$stage"
folders=
while [ "$1" != -- ]; do folders="$folders
$1"; shift; done
shift
while [ "$1" != -- ]; do
  mkdir -p "$stage$1"; mount --rbind "$1" "$stage$1"; shift
done
shift
while read -r closed; do
  [ -z "$closed" ] || { mount --rbind "$stage$closed" "$closed"; chmod 0711 "$closed"; }
done <<END
$folders
END
exec setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""


def as_user(user: int, command: Sequence[str], home: Path) -> tuple[str, ...]:
    """Return the command that runs `command` as `user`, who may enter `home`. For root, with `can_change_user`."""
    setpriv = (
        *("setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"),
        *("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"),
    )
    needed = [Path(sys.base_prefix), Path(sys.prefix), Path(federation.__file__).parents[1], home]
    shut = {str(closed): closed for path in needed if (closed := _closed_folder(path)) is not None}
    if not shut:
        return (*setpriv, *command)
    shown = [str(p) for p in (path.resolve() for path in needed) if any(map(p.is_relative_to, shut.values()))]
    script = ("sh", "-c", _SCRIPT, "as-user", str(user), *shut, "--", *shown, "--")
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
