"""Runs a service until it is told to stop: SIGTERM and SIGINT let it finish what it has begun."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import uvloop

from federation.process.http import serve_health

logger = logging.getLogger(__name__)

_SWITCH_SECONDS: Final = 0.001
"""How long a thread keeps the interpreter while another waits: the event loop must not wait for arithmetic."""

Main = Coroutine[Any, Any, None]
R = TypeVar("R")


def run_service(main: Callable[[], Main], http: str, home: Path, ready: Callable[[], bool]) -> None:
    """Run until a signal comes or `main` ends, with health and metrics served meanwhile. Raises: what `main` raises."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    with serve_health(http, home, ready):
        run_on_loop(until_signal(main()))
    logger.info("stopped")


def run_on_loop(work: Coroutine[Any, Any, R]) -> R:
    """Return what `work` returns, at the least price: libuv's event loop carries frames for a seventh less.

    What was loaded before stays for as long as that takes, and is not searched for garbage again and again.
    """
    gc.freeze()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    finally:
        gc.unfreeze()


async def until_signal(main: Main) -> None:
    """Run `main` until it ends or a signal comes: it is cancelled, whatever the process was started to ignore."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(main)
    stopping = False

    def stop(name: str) -> None:
        nonlocal stopping
        stopping = True
        logger.info("stopping", extra={"signal": name})
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    try:
        await task
    except asyncio.CancelledError:
        if not stopping:
            raise
