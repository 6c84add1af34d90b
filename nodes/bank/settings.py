"""What `bank.yaml` says: where records, model and the federation's cards are, whom to dial, how long to wait."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from nodes.stream.settings import StreamSettings

BANK_FILE: Final = "bank.yaml"


class ApiOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The bank's REST API. `listen` is `127.0.0.1:port`, empty for nowhere; beyond this machine it needs a certificate.

    `certificate` and `key` are PEM files, `objections` is one with the bank's own notice for credit reports;
    `webhook_hosts` are the only ones that events are sent to.
    """

    listen: str = ""
    certificate: str = ""
    key: str = ""
    webhook_hosts: tuple[str, ...] = ()
    objections: str = ""


class BankSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bank's configuration. Paths are relative to its directory. Units: seconds; queries.

    `data` is the folder with `domains.json`, `bank` this bank's name there (empty: the first one's); `uscc` says
    whether enterprises go by unified social credit codes; `http` is where health and metrics are served:
    `127.0.0.1:port`, `unix:path`, or empty for nowhere. `door` is the socket at which the agent takes what the bank's
    SuperNode relays while a run lasts; empty means that it trains nothing over Flower.
    """

    coordinator: StreamSettings
    bank: str = ""
    data: str = "data"
    cards: str = "../cards"
    model: str = "model.json"
    witness: str = ""
    door: str = ""
    uscc: bool = True
    http: str = "127.0.0.1:9444"
    api: ApiOptions = ApiOptions()
    query_seconds: Annotated[float, Meta(gt=0, le=300)] = 10.0
    batch_seconds: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    open_queries: Annotated[int, Meta(ge=1, le=4096)] = 256
