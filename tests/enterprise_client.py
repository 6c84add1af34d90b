"""An enterprise with a key of its own, and its client of a federation in one process."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from federation.audit import read_log_keys
from federation.local.federation import LocalFederation
from federation.local.layout import COORDINATOR
from nodes.enterprise.fetching import EnterpriseClient, Fetched
from nodes.enterprise.record import EnterpriseRecord, describe
from protocols.channel.identity import PartyKeys
from protocols.consent import split_consent
from protocols.enterprise.asking import Identity, Trust
from protocols.enterprise.credential import draw_keys, make_enterprise_card


def identity_of(federation: LocalFederation, enterprise: str, keys: PartyKeys | None = None) -> Identity:
    """An enterprise with a fresh key, which the consent service vouches for."""
    keys = keys or draw_keys(secrets.token_bytes)
    card = make_enterprise_card(keys)
    token, slip = split_consent(federation.consents.vouch(enterprise, card))
    return Identity(enterprise, keys, card, token, slip, (federation.consents.record_key(enterprise),))


@dataclass
class Moving:
    """A clock that a test moves."""

    now: int

    def __call__(self) -> int:
        return self.now


@dataclass
class AtEnterprise:
    """One enterprise's client; `change` may alter what goes to the coordinator, `alter` what comes back.

    It has pinned what the federation has, unless `pinned` says otherwise.
    """

    federation: LocalFederation
    identity: Identity
    clock: Moving
    change: Callable[[bytes], bytes] = lambda parcel: parcel
    alter: Callable[[bytes], bytes] = lambda parcel: parcel
    sent: list[bytes] = field(default_factory=list)
    pinned: Trust | None = None

    def reach(self, parcel: bytes) -> bytes:
        self.sent.append(parcel)
        return self.alter(self.federation.serve_enterprise(self.change(parcel)))

    @property
    def trust(self) -> Trust:
        return self.pinned or Trust(self.federation.pins, read_log_keys(self.federation.folder / COORDINATOR))

    @property
    def client(self) -> EnterpriseClient:
        return EnterpriseClient(self.identity, self.trust, self.reach, self.clock, secrets.token_bytes)

    def fetch(self) -> Fetched:
        return self.client.fetch()

    def record(self) -> EnterpriseRecord:
        return describe(self.client.fetch(), self.identity.enterprise, self.clock())
