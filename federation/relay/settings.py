"""What `coordinator.yaml` says: where to listen, whom to know, how long to wait. All of it is optional."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocols.stream import StreamLimits, StreamTiming

COORDINATOR_FILE: Final = "coordinator.yaml"

Seconds = Annotated[float, Meta(gt=0, le=3600)]
Address = Annotated[str, Meta(pattern=r"^[^:\s]+:\d{1,5}\Z")]


class ServerTls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths of PEM files, relative to the directory: the server's certificate and key, and the parties' authority."""

    certificate: str = "tls/certificate.pem"
    key: str = "tls/key.pem"
    authority: str = "tls/authority.pem"


class StreamBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bounds of every party's stream. Units: seconds; bytes; requests in progress."""

    heartbeat_seconds: Seconds = 5.0
    silence_seconds: Seconds = 20.0
    slow_seconds: Seconds = 10.0
    frame_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 26)] = 4 << 20
    waiting_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 30)] = 16 << 20
    open_requests: Annotated[int, Meta(ge=1, le=1 << 16)] = 512

    @property
    def timing(self) -> StreamTiming:
        """The durations of a stream."""
        return StreamTiming(self.heartbeat_seconds, self.silence_seconds, self.slow_seconds)

    @property
    def limits(self) -> StreamLimits:
        """What the coordinator's end keeps at most."""
        return StreamLimits(self.frame_bytes, self.waiting_bytes, self.open_requests)


class EnterpriseOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where enterprises ask for their records, over HTTP; empty means nowhere. Paths of PEM files are relative."""

    listen: str = ""
    certificate: str = ""
    key: str = ""


class CoordinatorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The coordinator's configuration. Paths are relative to its directory.

    `http` is where health and metrics are served: `127.0.0.1:port`, `unix:path`, or empty for nowhere. `witnesses`
    maps a party to the name under which it cosigns the log. `revocations` is where the newest list of revoked consents
    lies; it is passed on to every node. `desk` is the socket at which Flower's ServerApp asks for routing, `flower` the
    folder that tells Flower's commands where the SuperLink is; without both nothing is trained here. `enterprises` is
    where those ask for their own records; `objection_seconds` is how
    often nodes are brought objections, and asked for decisions, while there are any. `log` is the URL of the PostgreSQL
    database that holds the audit log, which is the file log.sqlite otherwise. `daily_audit` is
    when, UTC and in quotes ("19:30"), the log is verified and held against the alarms every day; empty for never.
    `enrolment` is where invited parties ask
    to be enrolled; empty means that nobody can. Certificates are good for `certificate_seconds`, and are refused
    `overlap_seconds` after the party's next one.
    """

    listen: Address = "127.0.0.1:7443"
    http: str = "127.0.0.1:9443"
    cards: str = "../cards"
    key_bits: Annotated[int, Meta(ge=512, le=8192, multiple_of=64)] = 3072
    tls: ServerTls = ServerTls()
    stream: StreamBounds = StreamBounds()
    node_seconds: Seconds = 5.0
    witness_seconds: Seconds = 15.0
    enrolment: str = ""
    certificate_seconds: Annotated[float, Meta(ge=5, le=366 * 86_400)] = 30 * 86_400
    overlap_seconds: Annotated[float, Meta(ge=0, le=366 * 86_400)] = 86_400
    revocations: str = "revocations.jwt"
    witnesses: dict[str, str] = {}
    desk: str = ""
    flower: str = ""
    enterprises: EnterpriseOptions = EnterpriseOptions()
    objection_seconds: Seconds = 15.0
    daily_audit: Annotated[str, Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?\Z")] = "19:30"
    log: Annotated[str, Meta(pattern=r"^(postgres(ql)?://\S+)?\Z")] = ""
