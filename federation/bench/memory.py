"""How much memory a piece of work takes at most, beyond what the process held before it."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_PROCESS = Path("/proc/self")
_FORGET_PEAK = "5"


class PeakMemory:
    """Watches this process while its `with` block runs; `size` is then the most bytes it held beyond those before.

    Linux forgets earlier peaks for each block; elsewhere only a block that needs more than all before it shows.
    """

    def __init__(self) -> None:
        self.size = 0
        self._before = 0

    def __enter__(self) -> PeakMemory:
        with suppress(OSError):
            (_PROCESS / "clear_refs").write_text(_FORGET_PEAK, encoding="ascii")
        self._before = _peak()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.size = max(0, _peak() - self._before)  # Linux counts pages in batches: a little may seem to be given back


def _peak() -> int:
    """Return the most bytes that this process has held in memory since its peak was last forgotten."""
    with suppress(OSError):
        for line in (_PROCESS / "status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
