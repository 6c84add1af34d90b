"""The clock on the wall: the one that agents and commands are given, where tests give them another."""

from __future__ import annotations

import time


def system_clock() -> int:
    """Return the time in whole seconds since 1970, UTC."""
    return int(time.time())
