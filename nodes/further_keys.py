"""A party's keys beside its card, replaced while it runs: the one under which it cosigns the log, and its SuperNode's.

The owner's command draws `witness.key.next` or `supernode.key.next`. The running process rests as a witness, states the
next keys under its card, a witness's with the word of the present one, and takes them into use when the roster names
them: by then the coordinator and every party know them. A crash in between changes nothing of that.

A SuperNode's key is in the party's own directory, and its SuperNode has a copy in the folder of the party's door; where
one hand runs all parties it is in that folder alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from nodes.keyring import Keyring
from nodes.keystore import WITNESS_FILE, cosigner_pem, draw_cosigner, read_cosigner, read_roster, replace_file
from nodes.log_witness import LogWitness
from protocols.channel.identity import PartyId
from protocols.enrolment.roster import OtherKeys, sign_other_keys
from protocols.enrolment.upkeep import KeysNotice
from protocols.errors import ConfigurationError
from protocols.transparency.succession import KeySuccession, name_successor

SUPERNODE_KEY: Final = "supernode.key"
SUPERNODE_PUBLIC: Final = "supernode.pub"
NEXT: Final = ".next"
REFUSED_FILE: Final = "further-keys.refused"


def draw_witness_key(home: Path) -> None:
    """Draw a party's next key as a witness. Raises: ConfigurationError, codes NO_WITNESS, ROTATION_PENDING; OSError."""
    if not (home / WITNESS_FILE).exists():
        raise ConfigurationError(f"{home}: no {WITNESS_FILE}", code="NO_WITNESS")
    _require_none(home / f"{WITNESS_FILE}{NEXT}")
    replace_file(home / f"{WITNESS_FILE}{NEXT}", cosigner_pem(draw_cosigner()))


def draw_supernode_key(folder: Path) -> None:
    """Draw a SuperNode's next key into its folder. Raises: ConfigurationError, NO_SUPERNODE, ROTATION_PENDING."""
    present = folder / SUPERNODE_KEY
    if not present.exists():
        raise ConfigurationError(f"{folder}: no {SUPERNODE_KEY}", code="NO_SUPERNODE")
    _require_none(folder / f"{SUPERNODE_KEY}{NEXT}")
    private, public = supernode_pair()
    replace_file(folder / f"{SUPERNODE_PUBLIC}{NEXT}", public, 0o644)
    replace_file(folder / f"{SUPERNODE_KEY}{NEXT}", private)
    owner = present.stat()
    os.chown(folder / f"{SUPERNODE_KEY}{NEXT}", owner.st_uid, owner.st_gid)


def supernode_pair() -> tuple[bytes, bytes]:
    """Return a new key such as a SuperNode takes, and its public line."""
    key = ec.generate_private_key(ec.SECP384R1())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), public + b"\n"


def supernode_folder(home: Path, door: str) -> Path:
    """Return where a party's SuperNode has its key; `door` is the party's setting."""
    return home if (home / SUPERNODE_KEY).exists() or not door else (home / door).parent


@dataclass(slots=True)
class FurtherKeys:
    """One party's keys beside its card. `witness` is None of a party that is none."""

    home: Path
    cards: Path
    supernode: Path
    ring: Keyring = field(repr=False)
    witness: LogWitness | None = field(repr=False)
    copy: Path | None = None
    """Where the SuperNode has its own copy of the key, if it has one."""

    def __post_init__(self) -> None:
        if self.witness is not None and self._witness_drawn():
            self.witness.rest()

    def notice(self) -> KeysNotice | None:
        """Return what is to be announced, None if nothing is. Raises: ConfigurationError."""
        drawn = self._witness_drawn(), (self.supernode / f"{SUPERNODE_KEY}{NEXT}").exists()
        if not any(drawn) or (self.home / REFUSED_FILE).exists():
            return None
        word = self._word(self.witness) if drawn[0] and self.witness is not None else None
        stated = self._stated()
        witness = self._vkey(f"{WITNESS_FILE}{NEXT}" if drawn[0] else WITNESS_FILE)
        public = self.supernode / (f"{SUPERNODE_PUBLIC}{NEXT}" if drawn[1] else SUPERNODE_PUBLIC)
        supernode = _line(public) or (stated.supernode if stated is not None else "")
        return KeysNotice(sign_other_keys(self.ring.keys, witness, supernode), word)

    def settle(self) -> None:
        """Take into use what the roster names by now. Raises: ConfigurationError, OSError."""
        stated = self._stated()
        if stated is not None and self._witness_drawn() and self._vkey(f"{WITNESS_FILE}{NEXT}") == stated.witness:
            (self.home / f"{WITNESS_FILE}{NEXT}").replace(self.home / WITNESS_FILE)
            if self.witness is not None:
                self.witness.use(read_cosigner(self.home, self.witness.signer.name))
        following = self.supernode / f"{SUPERNODE_PUBLIC}{NEXT}"
        if stated is not None and following.exists() and _line(following) == stated.supernode:
            following.replace(self.supernode / SUPERNODE_PUBLIC)
            (self.supernode / f"{SUPERNODE_KEY}{NEXT}").replace(self.supernode / SUPERNODE_KEY)
            if self.copy is not None and self.copy != self.supernode and (self.copy / SUPERNODE_KEY).exists():
                owner = (self.copy / SUPERNODE_KEY).stat()
                replace_file(self.copy / SUPERNODE_KEY, (self.supernode / SUPERNODE_KEY).read_bytes())
                os.chown(self.copy / SUPERNODE_KEY, owner.st_uid, owner.st_gid)

    def refused(self, code: str) -> None:
        """Note that the coordinator does not take the next keys. Raises: OSError."""
        replace_file(self.home / REFUSED_FILE, code.encode())

    def _witness_drawn(self) -> bool:
        return self.witness is not None and (self.home / f"{WITNESS_FILE}{NEXT}").exists()

    def _word(self, witness: LogWitness) -> KeySuccession:
        """Return the word of the present witness key for the next one, after which it cosigns nothing."""
        present = read_cosigner(self.home, witness.signer.name)
        following = read_cosigner(self.home, present.name, f"{WITNESS_FILE}{NEXT}")
        verifier = present.verifier
        return name_successor(present.name, verifier.type, present.key, following.key, witness.rest())

    def _vkey(self, file: str) -> str:
        return "" if self.witness is None else read_cosigner(self.home, self.witness.signer.name, file).verifier.vkey()

    def _stated(self) -> OtherKeys | None:
        signed = read_roster(self.cards)
        entry = signed.roster.entry(PartyId(self.ring.keys.party)) if signed is not None else None
        return entry.keys if entry is not None else None


def further_keys(home: Path, cards: Path, door: str, ring: Keyring, witness: LogWitness | None) -> FurtherKeys:
    """Return the keys beside its card of the party in `home`; `door` is its setting. Raises: ConfigurationError."""
    copy = (home / door).parent if door else None
    return FurtherKeys(home, cards, supernode_folder(home, door), ring, witness, copy)


def pending(home: Path, supernode: Path) -> bool:
    """Tell whether keys were drawn that are not in use yet."""
    return (home / f"{WITNESS_FILE}{NEXT}").exists() or (supernode / f"{SUPERNODE_KEY}{NEXT}").exists()


def refusal(home: Path) -> str:
    """Return the code with which the coordinator has refused the next keys, "" if it has not."""
    path = home / REFUSED_FILE
    return path.read_text(encoding="ascii") if path.exists() else ""


def discard(home: Path, supernode: Path) -> None:
    """Delete next keys that the coordinator has refused; they were never used. Raises: OSError."""
    for path in (home / f"{WITNESS_FILE}{NEXT}", *(supernode / f"{name}{NEXT}" for name in _SUPERNODE)):
        path.unlink(missing_ok=True)
    (home / REFUSED_FILE).unlink(missing_ok=True)


_SUPERNODE: Final = (SUPERNODE_KEY, SUPERNODE_PUBLIC)


def _line(path: Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def _require_none(path: Path) -> None:
    if path.exists():
        raise ConfigurationError(f"{path}: a rotation is under way", code="ROTATION_PENDING")
