"""Which SuperNode keys the SuperLink lets in now: one file, written by the coordinator, read for each request.

Flower registers a key for good: one that was unregistered is never taken again. So a suspended party's SuperNode is
shut out here, from its next request on, and let in again when the suspension ends; only replaced keys are unregistered.

    <party> <SHA-256 of the key>        one line a key; a party's earlier key stays until it is unregistered
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from protocols.channel.identity import PartyId

ADMITTED_FILE: Final = "admitted"


def digest_of(line: str) -> str:
    """Return what stands for an OpenSSH public key: the hash of the PEM that Flower's requests carry."""
    key = load_ssh_public_key(line.encode("ascii"))
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def read_admitted(home: Path) -> dict[str, PartyId] | None:
    """Return each admitted key's party, None if nothing was ever said of it. Raises: OSError."""
    try:
        lines = (home / ADMITTED_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    return {digest: PartyId(party) for party, _, digest in (line.rpartition(" ") for line in lines)}


def admit(home: Path, files: Mapping[PartyId, Path]) -> None:
    """Admit these parties' SuperNodes, by the keys in their files, and by earlier ones still in use; nobody else.

    Raises: OSError.
    """
    known = read_admitted(home) or {}
    kept = {digest: party for digest, party in known.items() if party in files}
    _write(home, kept | {digest_of(path.read_text(encoding="ascii")): party for party, path in files.items()})


def forget(home: Path, digests: Collection[str]) -> None:
    """Admit these keys no more. Raises: OSError."""
    known = read_admitted(home) or {}
    _write(home, {digest: party for digest, party in known.items() if digest not in digests})


def _write(home: Path, admitted: Mapping[str, PartyId]) -> None:
    partial = home / f".{ADMITTED_FILE}.{os.getpid()}"
    partial.write_text("".join(f"{party} {digest}\n" for digest, party in admitted.items()), encoding="utf-8")
    partial.replace(home / ADMITTED_FILE)
