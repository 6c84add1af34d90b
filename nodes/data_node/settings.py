"""What `node.yaml` says: which domain this is, where its records and the federation's cards are, whom to dial."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from nodes.stream.settings import StreamSettings

NODE_FILE: Final = "node.yaml"


class ManyBanksSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From how many banks on, within how many days, the log learns that many ask about one enterprise; not which."""

    banks: Annotated[int, Meta(ge=2, le=10_000)] = 5
    days: Annotated[int, Meta(ge=1, le=366)] = 30


class NodeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A data node's configuration. Paths are relative to its directory.

    `data` is the folder with `domains.json`; `http` is where health and metrics are served: `unix:path`,
    `127.0.0.1:port`, or empty for nowhere: a data node need not listen on any port. `shares_ahead` is how many
    encryptions are prepared for each bank, at 1.2 KB each. `revocations` is where the newest list of revoked consents
    may lie; the coordinator also passes lists on. `office` is the name of this node's records where its domain is split
    over several; else they go by the domain's.
    """

    domain: str
    office: str = ""
    coordinator: StreamSettings
    data: str = "data"
    cards: str = "../cards"
    witness: str = ""
    revocations: str = "revocations.jwt"
    http: str = "unix:health.sock"
    door: str = ""
    shares_ahead: Annotated[int, Meta(ge=1, le=65536)] = 512
    many_banks: ManyBanksSettings = ManyBanksSettings()

    @property
    def source(self) -> str:
        """The name of this node's own records in `domains.json`."""
        return self.office or self.domain
