"""A party's new directory: every key drawn here, on its own machine, each for one use, and none ever sent.

party.key      signing (Ed25519), sealing and masks (X25519)     0600
paillier.pem   Paillier key, encrypted                           0600
witness.key    cosignatures over the coordinator's log           0600
supernode.key  the SuperNode's (EC P-384, OpenSSH)               0600
tls/key.pem    the stream's (EC P-256)                           0600
supernode/     what the SuperNode may see: later its key, and the socket of the agent
cards/         public cards: the party's own, later everybody's
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Final

from nodes.further_keys import SUPERNODE_KEY, SUPERNODE_PUBLIC, supernode_pair
from nodes.keystore import create_party, create_witness_key, write_cards, write_private
from protocols.channel.identity import PartyCard, PartyId, PartyRole
from protocols.enrolment.certificates import draw_tls_key
from protocols.enrolment.token import check_name
from protocols.errors import ConfigurationError

TLS_KEY: Final = "tls/key.pem"
CARDS: Final = "cards"
SUPERNODE: Final = "supernode"
"""The folder of the SuperNode, which holds nothing else of its party's than what it needs."""


@contextmanager
def new_directory(home: Path) -> Iterator[Path]:
    """Yield a folder that becomes `home` at the end, whole; on an error nothing is left.

    Raises: ConfigurationError, codes NOT_EMPTY, NOT_WRITABLE.
    """
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise ConfigurationError(f"{home}: something is there already", code="NOT_EMPTY")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    except OSError as error:
        raise ConfigurationError(f"{home}: {error.strerror}", code="NOT_WRITABLE") from error
    try:
        yield partial / "made"
        (partial / "made").replace(home)
    finally:
        rmtree(partial, ignore_errors=True)


def found_party(home: Path, party: PartyId, role: PartyRole, key_bits: int, witness: str) -> PartyCard:
    """Draw every key of a party into the new folder `home`, and return its card. Takes from seconds to a minute.

    `witness` is the name under which it will cosign the log. Raises: ConfigurationError, BAD_NAME, KEY_LENGTH; OSError.
    """
    check_name(party)
    if key_bits % 64:
        raise ConfigurationError(f"a key of {key_bits} bits: the length is a multiple of 64", code="KEY_LENGTH")
    card = create_party(home, party, role, key_bits)
    write_cards(home / CARDS, [card])
    create_witness_key(home, witness)
    for folder in ((home / TLS_KEY).parent, home / SUPERNODE):
        folder.mkdir(mode=0o700)
    write_private(home / TLS_KEY, draw_tls_key())
    private, public = supernode_pair()
    write_private(home / SUPERNODE_KEY, private)
    (home / SUPERNODE_PUBLIC).write_bytes(public)
    return card
