"""Output folders that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from federation.local import FEDERATION_FILE
from protocols.errors import ConfigurationError


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target` that takes its place at the end; on an error nothing is left.

    An earlier federation at `target` is replaced. Raises: ConfigurationError, code OUT_NOT_EMPTY, if something else
    is there; OUT_NOT_WRITABLE.
    """
    if target.exists() and not (target / FEDERATION_FILE).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{target} exists and holds no earlier federation", code="OUT_NOT_EMPTY")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise ConfigurationError(f"{target}: {error.strerror}", code="OUT_NOT_WRITABLE") from error
    try:
        yield partial
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
