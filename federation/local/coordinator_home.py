"""A coordinator's new directory: its own keys and the federation's authority, and nobody else's anything.

party.key             signing, sealing                            0600
log.key, log.pub      the log's own key; witnesses.txt: none yet  0600
tls/authority.key     issues the parties' certificates            0600
tls/key.pem           the streams' server key                     0600
tls/enrolment.key     the enrolment service's key                 0600
cards/                the roster that it will sign
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Final

from federation.audit import create_log_signer, write_log_keys
from federation.local.layout import COORDINATOR
from federation.relay.authority import SERVER_NAME, create_authority, create_server_key, issue
from nodes.keystore import create_party, write_cards, write_private
from protocols.channel.identity import PartyCard, PartyRole
from protocols.transparency.checkpoints import LogKeys

_SETTINGS: Final = """\
# The coordinator: what `credfed coordinator run` reads. Paths are relative to this directory.
listen: '{listen}'          # where enrolled parties dial: the streams
enrolment: '{enrolment}'    # where invited parties ask to be enrolled; '' closes it
http: '{http}'              # health and metrics, for this machine alone
cards: cards                # the roster that it signs
key_bits: {key_bits}        # length of every Paillier key
certificate_seconds: 2592000  # 30 days; parties renew at two thirds of it by themselves
overlap_seconds: 86400      # how long a certificate is still good after the next one
desk: desk.sock             # where Flower's ServerApp asks for routing
flower: superlink/home      # how this directory's own tools reach the SuperLink
revocations: revocations.jwt  # where the newest list of revoked consents is put
"""


def found_coordinator(home: Path, listen: str, enrolment: str, http: str, key_bits: int, log: str) -> PartyCard:
    """Draw the coordinator's keys into the new folder `home`, and return its card. Raises: OSError."""
    card = create_party(home, COORDINATOR, PartyRole.COORDINATOR, None)
    write_cards(home / "cards", [card])
    signer = create_log_signer(home, log)
    write_log_keys(home, LogKeys(signer.verifier, ()))
    now, tls = datetime.datetime.now(datetime.UTC), home / "tls"
    tls.mkdir(mode=0o700)
    authority, enrolling = create_authority(now), create_server_key(now)
    server = issue(authority, COORDINATOR, now, server_name=SERVER_NAME)
    for name, made in (("authority", authority), ("enrolment", enrolling)):
        (tls / f"{name}.pem").write_bytes(made.certificate)
        write_private(tls / f"{name}.key", made.key)
    (tls / "certificate.pem").write_bytes(server.certificate)
    write_private(tls / "key.pem", server.key)
    text = _SETTINGS.format(listen=listen, enrolment=enrolment, http=http, key_bits=key_bits)
    (home / "coordinator.yaml").write_text(text, encoding="utf-8")
    return card
