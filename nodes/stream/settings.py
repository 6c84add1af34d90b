"""What a party's configuration says of its stream: whom it dials, with which certificate, how patiently."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import grpc
import msgspec
from msgspec import Meta

from protocols.errors import ConfigurationError
from protocols.stream import StreamLimits, StreamTiming

SERVER_NAME = "coordinator.credit-federation.internal"

Seconds = Annotated[float, Meta(gt=0, le=3600)]


class TlsFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths of PEM files, relative to the party's directory: its certificate and key, the federation's authority."""

    certificate: str = "tls/certificate.pem"
    key: str = "tls/key.pem"
    authority: str = "tls/authority.pem"

    def credentials(self, home: Path) -> grpc.ChannelCredentials:
        """Return what a channel authenticates with, as the files are now. Raises: ConfigurationError."""
        finish_renewal(home, self)
        authority, key, certificate = (_read(home / name) for name in (self.authority, self.key, self.certificate))
        return grpc.ssl_channel_credentials(authority, key, certificate)


def finish_renewal(home: Path, tls: TlsFiles) -> None:
    """Put a granted certificate and its key in the place of the present ones, whole, also after a crash half way."""
    granted, drawn = home / f"{tls.certificate}.next", home / f"{tls.key}.next"
    if granted.exists():
        if drawn.exists():
            drawn.replace(home / tls.key)
        granted.replace(home / tls.certificate)


class StreamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the coordinator is, by which name its certificate is known, and the stream's bounds.

    Units: seconds; bytes. A failed dial is tried again after `retry_seconds`, twice as long each time up to
    `retry_limit_seconds`, less a random half.
    """

    address: Annotated[str, Meta(pattern=r"^[^:\s]+:\d{1,5}\Z")]
    server_name: str = SERVER_NAME
    tls: TlsFiles = TlsFiles()
    heartbeat_seconds: Seconds = 5.0
    silence_seconds: Seconds = 20.0
    slow_seconds: Seconds = 10.0
    retry_seconds: Seconds = 0.5
    retry_limit_seconds: Seconds = 15.0
    frame_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 26)] = 4 << 20
    waiting_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 30)] = 16 << 20
    open_requests: Annotated[int, Meta(ge=1, le=1 << 16)] = 512

    @property
    def timing(self) -> StreamTiming:
        """The durations of a stream that is up."""
        return StreamTiming(self.heartbeat_seconds, self.silence_seconds, self.slow_seconds)

    @property
    def limits(self) -> StreamLimits:
        """What this end keeps at most."""
        return StreamLimits(self.frame_bytes, self.waiting_bytes, self.open_requests)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", code="MISSING_KEY") from error
