"""The coordinator's own server certificate, renewed from its own authority at two thirds of its life."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Final

from federation.relay.authority import SERVER_NAME, Issued, issue
from federation.relay.settings import CoordinatorSettings
from protocols.channel.identity import PartyId
from protocols.enrolment.certificates import renewal_due

AUTHORITY_KEY_FILE: Final = "tls/authority.key"
RENEW_FILE: Final = "tls/renew"


def renew_certificate(home: Path, settings: CoordinatorSettings, party: PartyId, now: datetime.datetime) -> bool:
    """Write a new server certificate if it is due or asked for, and the authority's key is here; tell whether it was.

    The server reads the files for each new connection; connections that are up go on.

    Raises: MalformedMessage if there is no certificate; OSError.
    """
    tls = settings.tls
    present = (home / tls.certificate).read_bytes()
    asked = home / RENEW_FILE
    if not (home / AUTHORITY_KEY_FILE).exists() or not (asked.exists() or renewal_due(present, now)):
        return False
    authority = Issued((home / tls.authority).read_bytes(), (home / AUTHORITY_KEY_FILE).read_bytes())
    renewed = issue(authority, party, now, settings.certificate_seconds / 86_400, SERVER_NAME)
    write_pair(home / tls.certificate, home / tls.key, renewed)
    asked.unlink(missing_ok=True)
    return True


def write_pair(certificate: Path, key: Path, issued: Issued) -> None:
    """Write a certificate and its key. Raises: OSError."""
    for path, data, mode in ((key, issued.key, 0o600), (certificate, issued.certificate, 0o644)):
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        partial.replace(path)
