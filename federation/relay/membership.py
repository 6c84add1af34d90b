"""Everything of the coordinator's process that is about who takes part: registrar, rosters, enrolment, certificates."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from federation.audit import AuditLog
from federation.audit.log.keys import add_succession, read_successions, write_witnesses
from federation.enrolment.auditors import auditor_cards
from federation.enrolment.registrar import Registrar, RegistrarSite
from federation.enrolment.registry import Registry
from federation.enrolment.service import EnrolmentService
from federation.enrolment.supernodes import read_statement
from federation.relay.admission import Admission
from federation.relay.authority import Issued
from federation.relay.certificate import AUTHORITY_KEY_FILE, renew_certificate
from federation.relay.log_rotation import LogRotation
from federation.relay.rosters import RosterRounds
from federation.relay.settings import CoordinatorSettings
from federation.relay.switchboard import Switchboard
from federation.relay.witnesses import witnesses_by_party
from protocols.channel.envelope import Channel
from protocols.channel.identity import PartyId, PartyKeys, PartyRole
from protocols.channel.pins import Pins
from protocols.channel.succession import Lineage
from protocols.enrolment.roster import RosterEntry, SignedRoster
from protocols.enrolment.upkeep import CardNotice
from protocols.errors import ConfigurationError, CreditFederationError
from protocols.transparency.leaves import Leaf, LeafKind, attributes
from protocols.transparency.notes import VerifierKey, parse_vkey
from protocols.transparency.succession import follow

logger = logging.getLogger(__name__)
_POLL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class KeptRoster:
    """The roster as the coordinator keeps it: the newest, None before the first, and how a newer one is kept.

    `own_notice` is the coordinator's own next card, if one was drawn; `own_change` takes its keys into use.
    """

    newest: SignedRoster | None = field(repr=False)
    keep: Callable[[SignedRoster], None] = field(repr=False)
    own_notice: CardNotice | None = field(default=None, repr=False)
    own_change: Callable[[Pins], PartyKeys] | None = field(default=None, repr=False)


class Membership:
    """Who takes part, as the coordinator's process has it. Raises, when made: ConfigurationError."""

    def __init__(
        self,
        home: Path,
        settings: CoordinatorSettings,
        keys: PartyKeys,
        pins: Pins,
        log: AuditLog,
        kept: KeptRoster,
        switchboard: Switchboard,
    ) -> None:
        self._home, self._settings, self._keys, self._pins, self._log = home, settings, keys, pins, log
        self._configured = witnesses_by_party(settings.witnesses, log.keys.witnesses)
        registry = Registry(home)
        site = RegistrarSite(
            registry=registry,
            pins=pins,
            keys=keys,
            authority=_authority(home, settings),
            record=self._record,
            keep=kept.keep,
            log=log.keys.log.vkey(),
            key_bits=settings.key_bits,
            certificate_seconds=settings.certificate_seconds,
            clock=_now,
            auditors=lambda: auditor_cards(home),
            successions=lambda: read_successions(home),
            succeed=partial(add_succession, home),
        )
        cards = pins.cards.items()
        founders = {party: RosterEntry(Lineage(card), keys=read_statement(home, card)) for party, card in cards}
        self.registrar = Registrar(site, kept.newest, founders)
        if log.size == 0:
            self._record_founders()
        if kept.own_notice is not None and kept.own_change is not None:
            self.registrar.succeed(PartyId(keys.party), kept.own_notice)
            self._keys = keys = kept.own_change(pins)
            self.registrar.use(keys)
        self.rosters = RosterRounds(self.registrar, self._channel, keys.party, switchboard)
        self._log_rotation = LogRotation(home, keys.party, log, self.registrar, self._record)
        self.admission = Admission(pins, registry, settings.overlap_seconds, _now)
        self.serving = False
        """Whether those who were invited are heard, if anybody is."""

    @property
    def keys(self) -> PartyKeys:
        """The coordinator's own keys: the next ones, if it has just changed."""
        return self._keys

    # ---- who takes part now

    def parties(self, *roles: PartyRole) -> list[PartyId]:
        """Return the parties of some roles that are not suspended, by role and name."""
        found = [(roles.index(card.role), party) for party, card in self._pins.cards.items() if card.role in roles]
        return [party for _, party in sorted(found) if party not in self._pins.suspended]

    def may_ask(self, party: PartyId) -> bool:
        """Whether a party may ask questions: a bank, and this process, which brings lists of revocations."""
        return party == self._keys.party or party in self.parties(PartyRole.BANK)

    def may_train(self, party: PartyId) -> bool:
        """Whether a party may hand in a training run: banks may."""
        return party in self.parties(PartyRole.BANK)

    def witnesses(self) -> dict[PartyId, VerifierKey]:
        """Return the keys of the log's witnesses by party: those of the settings, and of the roster."""
        stated = {
            party: parse_vkey(entry.keys.witness)
            for party, entry in self.registrar.entries.items()
            if entry.keys is not None and entry.keys.witness
        }
        known = (self._configured | stated).items()
        return {p: follow(key, self._pins.successions) for p, key in known if p not in self._pins.suspended}

    def keep_witnesses(self) -> None:
        """Write down whom the log now counts on."""
        write_witnesses(self._home, self._log.keys)

    # ---- the running process

    async def run(self) -> None:
        """Serve enrolment, bring decisions into effect, and keep the server's own certificate fresh, for ever."""
        async with AsyncExitStack() as serving:
            if self._settings.enrolment:
                service = EnrolmentService(
                    (self._home / "tls" / "enrolment.pem", self._home / "tls" / "enrolment.key"),
                    Registry(self._home),
                    self.registrar,
                    lambda: self._pins.cards[self._keys.party],
                    int(self._settings.listen.rpartition(":")[2]),
                    _now,
                )
                await serving.enter_async_context(service.serving(self._settings.enrolment))
            self.serving = True
            works = (self.rosters.run(), self._keep_certificate(), self._log_rotation.run(self.rosters.tell_all))
            async with asyncio.TaskGroup() as tasks:
                for work in works:
                    tasks.create_task(work)

    async def _keep_certificate(self) -> None:
        while True:
            try:
                self.registrar.issue_from(await asyncio.to_thread(_authority, self._home, self._settings))
                if await asyncio.to_thread(renew_certificate, self._home, self._settings, self._keys.party, _moment()):
                    logger.info("certificate renewed", extra={"party": self._keys.party})
            except (CreditFederationError, OSError) as error:
                logger.error("certificate not renewed", extra={"error": type(error).__name__})
            self._pins.settle(_now())
            await asyncio.sleep(_POLL_SECONDS)

    def _channel(self, transcript: bytes) -> Channel:
        return Channel(self._keys, self._pins.cards, transcript, self._pins.signers)

    # ---- the log

    def _record(self, actor: str, values: dict[str, str | int]) -> None:
        at = time.time_ns() // 1_000_000
        self._log.append([Leaf(kind=LeafKind.KEY, timestamp_ms=at, actor=actor, attributes=attributes(values))])

    def _record_founders(self) -> None:
        """Begin a new log with everybody's keys."""
        for card in self._pins.cards.values():
            self._record(card.party, {"role": card.role.value, "key_hash": card.fingerprint()})
        for party, key in self._configured.items():
            told = hashlib.sha256(key.vkey().encode()).hexdigest()
            self._record(party, {"role": "witness", "key_hash": told})


def _authority(home: Path, settings: CoordinatorSettings) -> Issued | None:
    """Return what issues certificates, None if its key is kept elsewhere. Raises: ConfigurationError."""
    try:
        return Issued((home / settings.tls.authority).read_bytes(), (home / AUTHORITY_KEY_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{home / AUTHORITY_KEY_FILE}: {error.strerror}", code="MISSING_KEY") from error


def _now() -> int:
    return int(time.time())


def _moment() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
