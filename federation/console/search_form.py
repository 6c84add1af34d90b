"""What a visitor asked of the timeline, checked field by field: whatever is wrong is said beside its field."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from federation.console.wanted import Place, Wanted
from protocols.transparency.hashing import HASH_SIZE
from protocols.transparency.leaves import LeafKind

FIELDS: Final = ("since", "until", "kind", "bank", "actor", "purpose", "decision", "code", "model", "tag", "consent")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:/@-]{0,127}")
_HEX: Final = re.compile(r"[0-9a-f]{1,64}")
_PLACE: Final = re.compile(r"([0-9]{1,16})\.([0-9]{1,16})")
_DAY: Final = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SearchForm:
    """The fields as they were sent, what they ask for, and the fields that cannot be understood."""

    fields: Mapping[str, str]
    wanted: Wanted
    wrong: frozenset[str]
    before: Place | None = None
    after: Place | None = None

    def link(self, **changes: str) -> str:
        """Return the address of the timeline with these fields changed."""
        values = {name: value for name, value in {**self.fields, **changes}.items() if value}
        return f"/timeline?{urlencode(values)}" if values else "/timeline"

    @property
    def empty(self) -> bool:
        """Whether nothing was asked."""
        return not any(self.fields.values())


def read_form(sent: Mapping[str, str]) -> SearchForm:
    """Return what was asked; fields that are not known are passed over, as an address may carry foreign ones."""
    fields = {name: sent.get(name, "").strip()[:200] for name in FIELDS}
    wrong = set[str]()
    since = _moment(fields["since"], wrong, "since")
    until = _moment(fields["until"], wrong, "until", end=True)
    facets = []
    for name in ("kind", "bank", "actor", "purpose", "decision", "code"):
        value = fields[name]
        if not value:
            continue
        if not _NAME.fullmatch(value) or (name == "kind" and value not in LeafKind.__members__):
            wrong.add(name)
        else:
            facets.append((name, value))
    model = fields["model"].lower()
    if model and not _HEX.fullmatch(model):
        wrong.add("model")
        model = ""
    subject, consent = _hash(fields["tag"], wrong, "tag"), _hash(fields["consent"], wrong, "consent")
    wanted = Wanted(since, until, tuple(facets), model, subject, consent)
    return SearchForm(fields, wanted, frozenset(wrong), _place(sent, "before", wrong), _place(sent, "after", wrong))


def _moment(text: str, wrong: set[str], name: str, *, end: bool = False) -> int | None:
    """Return a moment in UTC; a day alone is its beginning, or as an `end` that of the next day."""
    if not text:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        if end and len(text) == len("2026-03-01"):
            moment += _DAY
        found = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        wrong.add(name)
        return None
    return max(found, 0)


def _hash(text: str, wrong: set[str], name: str) -> bytes:
    """Return a whole hash, or b"" if nothing is asked."""
    text = text.lower()
    if _HEX.fullmatch(text) and len(text) == 2 * HASH_SIZE:
        return bytes.fromhex(text)
    if text:
        wrong.add(name)
    return b""


def _place(sent: Mapping[str, str], name: str, wrong: set[str]) -> Place | None:
    text = sent.get(name, "")
    found = _PLACE.fullmatch(text)
    if text and found is None:
        wrong.add(name)
    return Place(int(found[1]), int(found[2])) if found else None
