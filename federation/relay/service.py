"""The coordinator as a long-lived process: log, desk, streams and witnesses, from one directory."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path

from federation.audit import AuditLog, read_log_keys, read_log_signer
from federation.audit.bodies.shredder import SHRED_FILE, Shredder
from federation.audit.log.references import FILE as REFERENCES_FILE
from federation.audit.log.references import References
from federation.audit.storage.location import log_location
from federation.audit.views.desk import ViewDesk
from federation.coordinator import Coordinator, CoordinatorSite
from federation.coordinator.consent_book import FILE as CONSENTS_FILE
from federation.coordinator.consent_book import ConsentBook
from federation.coordinator.consents import ConsentGate, ListFile, read_issuers
from federation.coordinator.policies import PolicyBook
from federation.enterprise import EnterpriseDesk
from federation.enterprise.http import serve_enterprises
from federation.flower.desk import RECORDS, TrainingDesk
from federation.flower.engine import submit
from federation.flower.intake import TrainingIntake
from federation.relay.daily import DailyRounds
from federation.relay.desk import RelayDesk
from federation.relay.enterprises import EnterpriseRelay
from federation.relay.membership import KeptRoster, Membership
from federation.relay.revocations import RevocationRounds
from federation.relay.server import RelayServer
from federation.relay.settings import CoordinatorSettings
from federation.relay.supernodes import SupernodeRounds
from federation.relay.switchboard import Switchboard
from federation.relay.upkeep import UpkeepDesk
from federation.relay.witnesses import WitnessRounds
from protocols.channel.envelope import Channel
from protocols.channel.identity import PartyId, PartyKeys, PartyRole
from protocols.channel.pins import Pins

logger = logging.getLogger(__name__)
_GRACE_SECONDS = 5.0


class CoordinatorService:
    """Everything that `credfed coordinator run` keeps alive. Made, it raises ConfigurationError, VerificationFailed."""

    def __init__(
        self, home: Path, settings: CoordinatorSettings, keys: PartyKeys, pins: Pins, kept: KeptRoster
    ) -> None:
        self._home, self._settings, self._pins = home, settings, pins
        log_keys = read_log_keys(home)
        self._log = AuditLog(log_location(home), read_log_signer(home), log_keys.witnesses)
        self._switchboard = Switchboard()
        self._membership = Membership(home, settings, keys, pins, self._log, kept, self._switchboard)
        self._keys = self._membership.keys
        self._revocations = ListFile(home / settings.revocations)
        gate = ConsentGate(read_issuers(home, pins), self._revocations)
        self._shredder = Shredder(home / SHRED_FILE)
        self._references = References(home / REFERENCES_FILE, self._log)
        self._policies = PolicyBook(self._log, self._references, _now_ms)
        self._book = ConsentBook(home / CONSENTS_FILE, self._log)
        site = CoordinatorSite(
            keys=self._keys,
            pins=pins,
            log=self._log,
            key_bits=settings.key_bits,
            clock_ms=_now_ms,
            consents=gate,
            shredder=self._shredder,
            policies=self._policies,
            book=self._book,
        )
        self._coordinator, self._trainer = Coordinator(site), Coordinator(site)
        self._enterprises = EnterpriseDesk(site, home, self._references)
        members = self._membership
        self._intake = TrainingIntake(
            home / RECORDS, partial(_submit, home, settings), members.may_train, members.rosters.newer
        )
        self._serving = False

    @property
    def ready(self) -> bool:
        """Whether streams are admitted, and those who were invited are heard."""
        return self._serving and self._membership.serving

    @property
    def connected(self) -> frozenset[PartyId]:
        """The parties whose streams are up."""
        return self._switchboard.connected

    def view_desk(self) -> ViewDesk:
        """Return the door at which auditors' views enter the log."""
        return ViewDesk(self._log, self._shredder, self._keys, self._pins.cards, _now_ms)

    def training_desk(self) -> TrainingDesk:
        """Return the desk that routes training, with a thread of its own."""
        return TrainingDesk(self._home, self._trainer)

    async def run(self) -> None:
        """Serve until cancelled. Raises: ConfigurationError; VerificationFailed if the log is proven to be forked."""
        members = self._membership
        desk = RelayDesk(self._coordinator, self._switchboard, members.may_ask, self._settings.node_seconds)
        lists = RevocationRounds(
            self._revocations,
            self._channel,
            self._keys.party,
            lambda: members.parties(PartyRole.DATA_NODE),
            desk,
            self._switchboard,
        )
        relay = RelayServer(
            self._home,
            self._settings,
            members.admission,
            self._switchboard,
            desk,
            members.rosters,
            UpkeepDesk(members.registrar, members.rosters, self._policies, self._channel, members.witnesses),
            self._intake.serve,
        )
        server = await relay.start()
        logger.info("serving", extra={"address": self._settings.listen, "leaves": self._log.size})
        self._serving = True
        daily = DailyRounds(self._home, self._settings.daily_audit)
        works = [self._witness_rounds().run(), members.run(), lists.run(), daily.run(), *self._enterprise_work()]
        if self._settings.flower:
            flower = self._home / self._settings.flower
            works.append(SupernodeRounds(self._home, flower, lambda: members.registrar.roster.roster).run())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            self._serving = False
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.shield(server.stop(_GRACE_SECONDS))
            await desk.close()
            await asyncio.to_thread(self._intake.close)
            self._enterprises.close()
            self._references.close()
            self._book.close()
            self._log.close()

    def _enterprise_work(self) -> list[Coroutine[None, None, None]]:
        """Return what serves enterprises: the rounds that bring objections about, and their door if it is open."""
        options, settings = self._settings.enterprises, self._settings
        relay = EnterpriseRelay(self._enterprises, self._switchboard, settings.node_seconds, settings.objection_seconds)
        doors = [serve_enterprises(self._home, options, relay.serve)] if options.listen else []
        return [relay.run(), *doors]

    def _channel(self, transcript: bytes) -> Channel:
        return Channel(self._keys, self._pins.cards, transcript, self._pins.signers)

    def _witness_rounds(self) -> WitnessRounds:
        return WitnessRounds(
            self._keys,
            self._pins,
            self._log,
            self._membership.witnesses,
            self._switchboard,
            self._settings.witness_seconds,
            self._membership.keep_witnesses,
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _submit(home: Path, settings: CoordinatorSettings, run: str) -> None:
    """Have Flower carry a run. Raises: subprocess.CalledProcessError; OSError where there is no engine."""
    if not settings.desk or not settings.flower:
        raise FileNotFoundError("no desk or no folder of Flower's is set")
    submit(home / settings.flower, (home / settings.desk).resolve(), run)
