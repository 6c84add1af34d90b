"""Output folders that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from federation.cli.endings import signals_raised
from federation.local.layout import FEDERATION_FILE
from protocols.errors import ConfigurationError


@contextmanager
def whole_folder(target: Path, needed: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder beside `target` that takes its place at the end; on an error or a signal nothing is left.

    An earlier federation at `target` is replaced, unless `needed`, which the new one reads, lies in it.
    Raises: ConfigurationError, code OUT_NOT_EMPTY, if something else is there; OUT_HOLDS_DATA; OUT_NOT_WRITABLE.
    """
    target = target.resolve()
    _check_replaceable(target, needed)
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        _remove_empty(missing)
        raise ConfigurationError(f"{target}: {error.strerror}", code="OUT_NOT_WRITABLE") from error
    try:
        with signals_raised():
            yield partial
            _take_place(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        _remove_empty(missing)


def _check_replaceable(target: Path, needed: Path | None) -> None:
    if target.exists() and not (target / FEDERATION_FILE).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{target} exists and holds no earlier federation", code="OUT_NOT_EMPTY")
    if needed is not None and needed.resolve().is_relative_to(target):
        raise ConfigurationError(f"{target} would be replaced, and holds the data", code="OUT_HOLDS_DATA")


def _take_place(partial: Path, target: Path) -> None:
    """Put `partial` where `target` is; what was there goes only once its successor is in place."""
    if not target.exists():
        partial.rename(target)
        return
    earlier = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    target.rename(earlier)
    try:
        partial.rename(target)
    except OSError:
        earlier.rename(target)
        raise
    shutil.rmtree(earlier)


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, innermost first, that this call had to make and left empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
