"""Several cores, when the caller says so: processes for products, threads for exponentiations.

Products of ciphertexts hold the interpreter's lock, so they scale by processes; those are started with `spawn`, which
is safe beside threads, and read their input from shared memory. Exponentiations release the lock and scale by threads,
so that a private key never leaves its process.

    with Cores(4):
        ...             # vectors use four cores wherever the work is large enough to pay for it

Without it everything runs where it is called. One `Cores` is in use at a time, by the whole process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from types import ModuleType, TracebackType
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_in_use: list[Cores] = []


class Cores:
    """A fixed number of worker processes and threads, started at once and stopped by leaving the `with` block."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError("at least one core")
        self.count = count
        self._processes: ProcessPoolExecutor | None = None
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> Cores:
        if _in_use:
            raise RuntimeError("cores are already in use by this process")
        if self.count > 1:
            spawn = multiprocessing.get_context("spawn")
            self._processes = ProcessPoolExecutor(self.count, mp_context=spawn, initializer=_serve_the_parent)
            self._threads = ThreadPoolExecutor(self.count, thread_name_prefix="paillier")
        _in_use.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _in_use.remove(self)
        for executor in (self._processes, self._threads):
            if executor is not None:
                executor.shutdown(cancel_futures=True)

    def processes(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
        """Return the results in order; `function` and the tasks are pickled."""
        if self._processes is None:
            return [function(task) for task in tasks]
        with _no_main_module():
            results = self._processes.map(function, tasks)  # starts the processes it finds missing
        return list(results)

    def threads(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
        """Return the results in order; for a function that releases the interpreter's lock."""
        if self._threads is None:
            return [function(task) for task in tasks]
        return list(self._threads.map(function, tasks))


def _serve_the_parent() -> None:
    """In a new process: leave interrupts to the parent, and end when it does, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Let processes started meanwhile import what their tasks need, and not also the program that starts them."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores_in_use() -> Cores | None:
    """Return the cores to spread work over, or None to stay where one is."""
    return _in_use[0] if _in_use and _in_use[0].count > 1 else None


def spread_threads(function: Callable[[Sequence[Task]], list[Result]], values: Sequence[Task]) -> list[Result]:
    """Return function(values), in one thread per core; for values that take a millisecond or more each."""
    cores = cores_in_use()
    if cores is None or len(values) < 2:
        return function(values)
    size = -(-len(values) // cores.count)
    parts = cores.threads(function, [values[start : start + size] for start in range(0, len(values), size)])
    return [result for part in parts for result in part]
