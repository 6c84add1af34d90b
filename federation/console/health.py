"""How the federation stands, from what the coordinator itself can see: streams, certificates, lists of revocations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from federation.coordinator.consents import ListFile, read_issuers
from federation.process.asking import ask_http
from federation.process.settings import read_settings
from federation.relay.settings import COORDINATOR_FILE, CoordinatorSettings
from protocols.channel.identity import PartyRole
from protocols.channel.pins import Pins
from protocols.consent import RevocationView
from protocols.errors import ConfigurationError, PolicyDenied

_VERSION: Final = re.compile(r"[0-9A-Za-z.+-]{1,32}")


@dataclass(frozen=True, slots=True)
class PartyState:
    """One bank or data node. `connected` None: nobody could be asked. Units: seconds since 1970; None: not known."""

    party: str
    role: str
    connected: bool | None = None
    version: str = ""
    certificate_until: int | None = None


@dataclass(frozen=True, slots=True)
class ListState:
    """The list of revoked consents that lies at hand. `code` says why it does not count, "" if it does."""

    issuer: str
    sequence: int
    issued: int
    next_update: int
    revoked: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of the federation. `answering`: whether the coordinator's process answers. Units: seconds."""

    answering: bool
    software: str
    parties: tuple[PartyState, ...] = ()
    relay_until: int | None = None
    authority_until: int | None = None
    revocations: ListState | None = None


def software_version() -> str:
    """Return this installation's version."""
    try:
        return version("credit-federation")
    except PackageNotFoundError:
        return ""


def unknown_health() -> Health:
    """Return what can be said beside a copy of the log: nothing."""
    return Health(answering=False, software=software_version())


def coordinator_health(home: Path, pins: Pins, now: int) -> Health:
    """Return how the federation of a coordinator's folder stands. Raises: ConfigurationError for wrong settings."""
    settings = read_settings(home / COORDINATOR_FILE, CoordinatorSettings)
    seen = _metrics(settings.http, home)
    parties = tuple(
        _party(str(party), card.role, seen)
        for party, card in sorted(pins.cards.items())
        if card.role in (PartyRole.BANK, PartyRole.DATA_NODE)
    )
    return Health(
        answering=seen is not None,
        software=software_version(),
        parties=parties,
        relay_until=_expiry(home / settings.tls.certificate),
        authority_until=_expiry(home / settings.tls.authority),
        revocations=_revocations(home, settings.revocations, pins, now),
    )


Metrics = dict[str, dict[str, tuple[float, str]]]
"""By metric, then by party: the value, and the label `version` if there is one."""


def _metrics(address: str, home: Path) -> Metrics | None:
    """Return what the coordinator's process says of its streams, None if it does not answer."""
    try:
        status, text = ask_http(address, home, "/metrics")
        families = list(text_string_to_metric_families(text)) if status == 200 else None
    except (OSError, ValueError, ConfigurationError):
        return None
    if families is None:
        return None
    found: Metrics = {}
    for family in families:
        for sample in family.samples:
            if party := sample.labels.get("party"):
                found.setdefault(sample.name, {})[party] = (sample.value, sample.labels.get("version", ""))
    return found


def _party(party: str, role: PartyRole, seen: Metrics | None) -> PartyState:
    if seen is None:
        return PartyState(party, role.value)
    up = seen.get("credfed_streams", {}).get(party, (0.0, ""))[0] == 1
    until = seen.get("credfed_stream_certificate_until_seconds", {}).get(party)
    spoken = seen.get("credfed_stream_version_info", {}).get(party, (0.0, ""))[1]
    return PartyState(
        party=party,
        role=role.value,
        connected=up,
        version=spoken if _VERSION.fullmatch(spoken) else "",
        certificate_until=None if until is None else int(until[0]),
    )


def _expiry(path: Path) -> int | None:
    try:
        return int(x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp())
    except (OSError, ValueError):
        return None


def _revocations(home: Path, name: str, pins: Pins, now: int) -> ListState | None:
    """Return the state of the list that lies at hand, its issuer's signature verified; None if there is no list."""
    text = ListFile(home / name)()
    if not text:
        return None
    try:
        found = RevocationView(read_issuers(home, pins)).take(text)
    except PolicyDenied as error:
        return ListState("", 0, 0, 0, 0, error.code)
    if found is None:
        return None
    code = "" if now < found.next_update else "CONSENT_LIST_STALE"
    return ListState(found.issuer, found.sequence, found.issued, found.next_update, len(found.revoked), code)
