"""Which SuperNode key is whose: what the SuperLink registers comes from the roster, where each party has signed it.

So a Flower node id stands for a party by that party's own word, not by what a node says of itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from protocols.channel.identity import PartyCard, PartyId
from protocols.channel.wire import decode
from protocols.enrolment.roster import OtherKeys, Roster, verify_other_keys
from protocols.errors import MalformedMessage, VerificationFailed

STATEMENTS: Final = "statements"
"""Where parties whose keys are made by one hand leave what they state of their further keys."""
SUPERNODES: Final = "supernodes"
"""Where the coordinator keeps the SuperNode keys that its roster states, for the SuperLink."""


def write_supernode_keys(folder: Path, roster: Roster) -> dict[PartyId, Path]:
    """Write the SuperNode key of every party that has stated one and is not suspended; return the files by party.

    Keys of others are removed. Raises: OSError.
    """
    folder.mkdir(exist_ok=True)
    stated = {
        entry.party: entry.keys.supernode
        for entry in roster.entries
        if entry.keys is not None and entry.keys.supernode and not entry.suspended
    }
    for path in folder.glob("*.pub"):
        if path.stem not in stated:
            path.unlink(missing_ok=True)
    files = {party: folder / f"{party}.pub" for party in stated}
    for party, path in files.items():
        path.write_text(f"{stated[party]}\n", encoding="ascii")
    return files


def read_statement(home: Path, card: PartyCard) -> OtherKeys | None:
    """Return what a founding party has left of its further keys, None if nothing that it has signed."""
    try:
        stated = decode((home / STATEMENTS / card.party).read_bytes(), OtherKeys)
        verify_other_keys(stated, (card,))
    except (OSError, MalformedMessage, VerificationFailed):
        return None
    return stated
