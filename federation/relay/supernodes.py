"""Keeps the SuperLink's door in step with the roster: whose SuperNode may come, under which key.

A suspended party's SuperNode is shut out at its next request, and a lifted one let in, as soon as the roster says so; a
new key is registered, and the replaced one unregistered once its SuperNode has come with the new one.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from federation.enrolment.supernodes import SUPERNODES, write_supernode_keys
from federation.flower.admitted import admit, forget
from federation.flower.engine import environment
from federation.flower.keeping import register_command
from protocols.channel.identity import PartyId
from protocols.enrolment.roster import Roster

logger = logging.getLogger(__name__)
_POLL_SECONDS: Final = 0.5
_AGAIN_SECONDS: Final = 10.0


class _Registered(msgspec.Struct, frozen=True):
    """What was done: for whom, which keys (as `admitted.py` tells them) are gone, who still uses an earlier one."""

    registered: tuple[str, ...]
    unregistered: tuple[str, ...]
    waited: tuple[str, ...]


class SupernodeRounds:
    """Follows the roster of the coordinator in `home`; `flower` is the folder that says where the SuperLink is."""

    def __init__(self, home: Path, flower: Path, roster: Callable[[], Roster]) -> None:
        self._keys, self._flower, self._roster = home / SUPERNODES, flower, roster
        self._settled: dict[str, str] | None = None

    async def run(self) -> None:
        """Follow for ever; what fails is tried again."""
        while True:
            pause = _POLL_SECONDS
            try:
                if not await asyncio.to_thread(self._follow):
                    pause = _AGAIN_SECONDS
            except (OSError, subprocess.CalledProcessError) as error:
                logger.warning("SuperNodes are not registered", extra={"error": type(error).__name__})
                pause = _AGAIN_SECONDS
            await asyncio.sleep(pause)

    def _follow(self) -> bool:
        """Bring the SuperLink to what the roster says; tell whether nobody uses a replaced key any more.

        Raises: OSError, subprocess.CalledProcessError.
        """
        roster = self._roster()
        stated = {str(e.party): e.keys.supernode for e in roster.entries if e.keys is not None and not e.suspended}
        if stated == self._settled:
            return True
        files = write_supernode_keys(self._keys, roster)
        admit(self._flower, files)
        done = self._register(files)
        forget(self._flower, done.unregistered)
        logger.info("SuperNodes registered", extra={"new": len(done.registered), "gone": len(done.unregistered)})
        self._settled = None if done.waited else stated
        return not done.waited

    def _register(self, files: Mapping[PartyId, Path]) -> _Registered:
        command = register_command([f"{party}={path}" for party, path in files.items()])
        done = subprocess.run(command, env=environment(self._flower), capture_output=True, text=True, check=True)  # noqa: S603
        return msgspec.json.decode(done.stdout.splitlines()[-1], type=_Registered)
