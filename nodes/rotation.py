"""Replacing a party's keys: the next ones are drawn and signed for at rest, and taken into use once all know them.

    next/       party.key or paillier.pem, or both; `notice`: the next card under the signature of the present one
    earlier/N/  what was replaced, and `until`, after which it is deleted

Drawing costs seconds and is done by the owner's command; the running process finds `next/`, announces it over its
stream, and changes over when the roster names the card. Each file changes its place at once; a change that was cut
short is finished at the next start.
"""

from __future__ import annotations

import secrets
import shutil
import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from nodes.keystore import (
    EARLIER,
    KEY_FILE,
    PAILLIER_FILE,
    read_keys,
    replace_file,
    write_paillier,
    write_successor,
)
from protocols.channel.identity import PartyId, PartyKeys, make_card
from protocols.channel.pins import Pins, paillier_proof
from protocols.channel.succession import endorse
from protocols.channel.wire import decode, encode
from protocols.enrolment.upkeep import CardNotice
from protocols.errors import ConfigurationError, MalformedMessage
from protocols.paillier import PrivateKey

NEXT: Final = "next"
NOTICE_FILE: Final = "notice"
REFUSED_FILE: Final = "refused"
_UNTIL_FILE: Final = "until"
_GRACE_SECONDS: Final = 3600
"""How much longer than others may use them replaced keys are kept: clocks differ."""


class Rotated(StrEnum):
    """Which keys of a card are replaced; `masks` are the mask and the sealing key."""

    SIGNING = "signing"
    MASKS = "masks"
    PAILLIER = "paillier"


def prepare_rotation(home: Path, pins: Pins, which: frozenset[Rotated], overlap: int) -> CardNotice:
    """Draw a party's next keys into `next/`, and sign for them. Units: `overlap` in seconds from now.

    Raises: ConfigurationError, code ROTATION_PENDING, while an earlier one is not finished; NO_PAILLIER_KEY; OSError.
    """
    keys, folder = read_keys(home), home / NEXT
    card = pins.cards[keys.party]
    if folder.exists():
        raise ConfigurationError(f"{folder}: a rotation is under way", code="ROTATION_PENDING")
    if Rotated.PAILLIER in which and not card.paillier_key:
        raise ConfigurationError(f"{keys.party} has no Paillier key", code="NO_PAILLIER_KEY")
    partial = home / f".{NEXT}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    following = _draw(keys, which)
    if which & {Rotated.SIGNING, Rotated.MASKS}:
        write_successor(home, partial, following)
    paillier, proof = card.paillier_key, card.paillier_proof
    if Rotated.PAILLIER in which:
        drawn = PrivateKey.generate(len(card.paillier_key) * 8, secrets.token_bytes)
        write_paillier(home, partial, drawn)
        paillier, proof = drawn.public_key.to_bytes(), paillier_proof(keys.party, drawn, secrets.token_bytes)
    successor = make_card(following, card.role, paillier, proof)
    notice = CardNotice(successor, endorse(keys, card, successor, int(time.time()) + overlap))
    replace_file(partial / NOTICE_FILE, encode(notice))
    partial.rename(folder)
    return notice


def pending_notice(home: Path) -> CardNotice | None:
    """Return the notice of a rotation that is under way, None if none is. Raises: ConfigurationError."""
    path = home / NEXT / NOTICE_FILE
    try:
        return decode(path.read_bytes(), CardNotice)
    except FileNotFoundError:
        return None
    except (OSError, MalformedMessage) as error:
        raise ConfigurationError(f"{path}: cannot be read", code="MISSING_KEY") from error


def following_keys(home: Path, present: PartyKeys) -> PartyKeys:
    """Return the keys of the next card: those drawn, or the present ones where only the Paillier key changes.

    Raises: ConfigurationError.
    """
    return read_keys(home / NEXT) if (home / NEXT / KEY_FILE).exists() else present


def finish_rotation(home: Path, pins: Pins) -> bool:
    """Take the next keys into use if the pins name their card; return whether they did. Expired ones are deleted.

    Raises: ConfigurationError, OSError.
    """
    _delete_expired(home)
    notice = pending_notice(home)
    if notice is None or notice.card not in pins.lineage(PartyId(notice.card.party)):
        return False
    kept = home / EARLIER / f"{notice.replaced.until:012d}-{notice.replaced.card.fingerprint()[:16]}"
    kept.mkdir(parents=True, mode=0o700, exist_ok=True)
    replace_file(kept / _UNTIL_FILE, str(notice.replaced.until).encode())
    for name in (KEY_FILE, PAILLIER_FILE):
        following = home / NEXT / name
        if following.exists():
            if not (kept / name).exists():
                replace_file(kept / name, (home / name).read_bytes())
            following.replace(home / name)
    shutil.rmtree(home / NEXT)
    return True


def _draw(keys: PartyKeys, which: frozenset[Rotated]) -> PartyKeys:
    following = replace(keys, earlier=())
    if Rotated.SIGNING in which:
        following = replace(following, signing=Ed25519PrivateKey.generate())
    if Rotated.MASKS in which:
        following = replace(following, sealing=X25519PrivateKey.generate(), mask=X25519PrivateKey.generate())
    return following


def _delete_expired(home: Path) -> None:
    now = time.time()
    for path in (home / EARLIER).glob(f"*/{_UNTIL_FILE}"):
        if int(path.read_text(encoding="ascii")) + _GRACE_SECONDS < now:
            shutil.rmtree(path.parent)


def refusal_code(home: Path) -> str:
    """Return the code with which the coordinator has refused the next card, "" if it has not."""
    path = home / NEXT / REFUSED_FILE
    return path.read_text(encoding="ascii") if path.exists() else ""


def discard_refused(home: Path) -> None:
    """Delete next keys that the coordinator has refused; they were never used."""
    if refusal_code(home):
        shutil.rmtree(home / NEXT)
