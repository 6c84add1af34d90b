"""Flower's SuperNode as a party runs it: it listens on no port, and its app processes start without a wait.

    python -m nodes.flower_node SOCKET <the arguments of flower-supernode>

The SuperNode is the stock command's own main function, in process isolation: what it calls its Runtime API is here at
SOCKET, a Unix socket, instead of a port. Beside it, a process that has loaded Flower once takes its tasks and forks an
app process for each, where Flower's own would start a new interpreter: 1.5 s of processor time a message.

What this needs of flwr's insides is in this module alone, and holds for the pinned version. Where SuperNodes are
started by `flower-supernode` itself, everything works as well: slower, and with a port of loopback.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final

import httpx
import uvicorn
from flwr.proto.runtime_pb2 import AcquireTaskRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.inflatable.inflatable_utils import pull_and_inflate_object_from_tree, pull_objects
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.protobuf.client import ProtobufClientInterceptor
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supernode import start_client_internal as flower_loop
from flwr.supernode.cli.flower_supernode import flower_supernode
from flwr.supernode.runtime import run_clientapp as flower_app

from nodes import flower_relay

KEY_OPTION: Final = "--auth-supernode-private-key"
ADDRESS: Final = "localhost"
"""What Flower calls the Runtime API's address; nobody resolves it."""

TASK_SECONDS: Final = 0.1
IDLE_SECONDS: Final = 3.0
RESTING_SECONDS: Final = 60.0
TOLD_BYTES: Final = 1 << 16
REPLY_SECONDS: Final = 0.1
SOONEST_SECONDS: Final = 0.2
SHARE: Final = 8
REQUEST_SECONDS: Final = 60.0
AGAIN_SECONDS: Final = 0.05
AGAIN_LIMIT_SECONDS: Final = 1.0
"""After how long, at first and at most, a part of a message is asked for again that is still on its way; Flower's own
first wait is a second, and a SuperNode that is quick meets it in each message."""


class SocketClient(RuntimeHttpClient):
    """Flower's client of the Runtime API, over the Unix socket `path`."""

    path = Path()

    def __init__(
        self,
        base_url: str,
        *,
        interceptors: Sequence[ProtobufClientInterceptor] = (),
        verify: object = False,
        timeout: float = REQUEST_SECONDS,
        retry_invoker: object = None,
    ) -> None:
        super().__init__(base_url, interceptors=interceptors, verify=False, retry_invoker=None)
        self._client = httpx.Client(transport=httpx.HTTPTransport(uds=str(self.path)), timeout=timeout)


class Pace:
    """Stands for the module `time` in the SuperNode's loop: how long it waits before it asks the SuperLink again.

    Flower waits 3 s whenever there was no message. Here the wait is an eighth of the time since the last message, up to
    Flower's own, less what the SuperLink has taken to answer: one that holds the question until there is a message is
    asked again at once, and an idle node asks no more often than Flower's own. `work` is called as long as a message is
    worked on, `rest` again and again while there was none for a minute.
    """

    def __init__(self, work: Callable[[], None], rest: Callable[[], None]) -> None:
        self._work, self._rest = work, rest
        self._since = self._asked = time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait, at most `seconds`, which are fewer than one while a message is being worked on."""
        now = time.monotonic()
        if seconds < 1:
            self._work()
            self._since = now
            time.sleep(min(seconds, REPLY_SECONDS))
        else:
            if now - self._since > RESTING_SECONDS:
                self._rest()
            pause = min(max((now - self._since) / SHARE, SOONEST_SECONDS), seconds)
            time.sleep(max(pause - (now - self._asked), 0.0))
        self._asked = time.monotonic()


class Wakening:
    """Tells the process that executes tasks, over a pipe, that there is one; it need not ask again and again."""

    def __init__(self) -> None:
        self._heard, self._told = os.pipe()
        os.set_blocking(self._told, False)
        os.set_blocking(self._heard, False)

    def tell(self) -> None:
        """Wake it, now or when it next waits."""
        with suppress(BlockingIOError):  # it has been told often enough
            os.write(self._told, b".")

    def wait(self, seconds: float) -> None:
        """Return once told, or after `seconds`."""
        if select.select([self._heard], [], [], seconds)[0]:
            os.read(self._heard, TOLD_BYTES)


def ends_when_replaced(key: Path) -> Callable[[], None]:
    """Return what ends this SuperNode once its key's file is another: whoever watches over it starts it under that."""
    before = key.stat().st_mtime_ns

    def check() -> None:
        if key.exists() and key.stat().st_mtime_ns != before:
            signal.raise_signal(signal.SIGTERM)

    return check


def execute(supernode: int, wakening: Wakening) -> None:
    """Start an app process for each task, for as long as the SuperNode, this process's parent, lives."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a task that has ended is forgotten
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the SuperNode ends first, in its own way
    client = SocketClient(f"http://{ADDRESS}", interceptors=[RuntimeVersionHttpInterceptor(component_name="SuperExec")])
    wanted = AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP])
    while os.getppid() == supernode:
        try:
            found = client.AcquireTask(wanted)
        except httpx.HTTPError:  # the SuperNode is not there yet, or ends
            time.sleep(TASK_SECONDS)
            continue
        if found.token and os.fork() == 0:
            _run_app(found.token)
        wakening.wait(IDLE_SECONDS)


def _run_app(token: str) -> None:
    """Run one task's app in this process, and end it."""
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        flower_app.run_clientapp(
            runtime_api_address=ADDRESS,
            token=token,
            insecure=True,
            parent_pid=os.getppid(),
            runtime_dependency_install=False,
        )
    finally:
        os._exit(0)  # whatever came of it was reported: this process must not go on to take tasks


def main(socket: Path, arguments: Sequence[str]) -> None:
    """Run a SuperNode, and beside it what executes its tasks."""
    SocketClient.path, wakening = socket, Wakening()
    key = Path(arguments[arguments.index(KEY_OPTION) + 1])
    part = partial(pull_objects, initial_backoff=AGAIN_SECONDS, backoff_cap=AGAIN_LIMIT_SECONDS)
    whole = pull_and_inflate_object_from_tree
    message = partial(whole, initial_backoff=AGAIN_SECONDS, backoff_cap=AGAIN_LIMIT_SECONDS)
    ours: tuple[tuple[ModuleType, str, object], ...] = (
        (flower_app, "RuntimeHttpClient", SocketClient),
        (flower_loop, "time", Pace(wakening.tell, ends_when_replaced(key))),
        (flower_loop, "pull_objects", part),
        (flower_app, "pull_and_inflate_object_from_tree", message),
        (uvicorn, "Config", partial(uvicorn.Config, uds=str(socket))),
    )
    for module, name, replacement in ours:
        setattr(module, name, replacement)
    supernode = os.getpid()
    executor = os.fork()  # before either has a thread or a connection
    if executor == 0:
        execute(supernode, wakening)
        os._exit(0)

    def child_ended(*_: object) -> None:
        if os.waitpid(executor, os.WNOHANG)[0]:  # nobody would take tasks: whoever watches over us starts both anew
            signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGCHLD, child_ended)
    sys.argv = ["flower-supernode", *arguments, "--isolation", "process"]
    flower_supernode()


if __name__ == "__main__":
    flower_relay.make_socket_app()  # what a task's app needs is loaded before the first one
    main(Path(sys.argv[1]), sys.argv[2:])
