"""What the operator of a bank's API decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nodes.clock import system_clock

MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The limits and addresses of one bank's API.

    Units: sizes in bytes; `idle_seconds` between two looks for work that nobody has announced. `webhook_hosts` are the
    only ones that events are sent to, over HTTPS; `loopback_webhooks` allows plain HTTP to this machine, for trying
    out. `objections` is the bank's own notice on reports; "" for the usual one.
    """

    bank: str
    webhook_hosts: frozenset[str] = frozenset()
    loopback_webhooks: bool = False
    objections: str = ""
    max_body: int = 256 * 1024
    max_batch_body: int = 64 * MEBIBYTE
    idle_seconds: float = 2.0
    clock: Callable[[], int] = system_clock
