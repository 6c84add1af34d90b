"""Fetches an enterprise's record, page by page, and holds the pages together; files its objections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from protocols.channel.envelope import Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId, Randomness
from protocols.enterprise.asking import Grievance, Identity, ObjectionRole, Page, RecordRole, Trust
from protocols.enterprise.messages import CLOCK_SKEW, HeldObjection, HeldRepair, ObjectionFiled, RecordEntry
from protocols.enterprise.verifying import Discrepancy, Finding, Span, VerifiedLeaf, compare, untold
from protocols.errors import PeerRefused

NOTHING_FILED: Final[Mapping[bytes, int]] = {}
Reach = Callable[[bytes], bytes]
"""Takes a parcel to the coordinator and returns its reply. Raises: TransportError."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole record: what each node lists, the leaves by their place, what does not fit."""

    span: Span
    entries: dict[PartyId, list[RecordEntry]] = field(repr=False)
    leaves: dict[int, VerifiedLeaf] = field(repr=False)
    objections: dict[PartyId, tuple[HeldObjection, ...]] = field(repr=False)
    repairs: dict[PartyId, tuple[HeldRepair, ...]] = field(repr=False)
    discrepancies: list[Discrepancy]


class EnterpriseClient:
    """One enterprise's client. `clock` gives seconds since 1970."""

    def __init__(
        self, identity: Identity, trust: Trust, reach: Reach, clock: Callable[[], int], randomness: Randomness
    ) -> None:
        self._identity, self._trust, self._reach = identity, trust, reach
        self._clock, self._randomness = clock, randomness

    def fetch(
        self, filed: Mapping[bytes, int] = NOTHING_FILED, on_page: Callable[[int], None] = lambda leaves: None
    ) -> Fetched:
        """Return all that there is about the enterprise, verified; `on_page` is told how many leaves so far.

        `filed` says when each objection was logged that the enterprise has a receipt of.

        Raises: PeerRefused with the coordinator's code; TransportError; MalformedMessage, UnexpectedMessage,
        VerificationFailed for an answer that does not verify.
        """
        span = Span(0, self._clock() + CLOCK_SKEW)
        found = Fetched(span, {}, {}, {}, {}, [])
        begin: int | None = span.since
        while begin is not None:
            page = self._page(Span(begin, span.until))
            self._keep(page, found)
            on_page(len(found.leaves))
            begin = page.following(begin)
        found.discrepancies.extend(compare(found.entries, found.leaves.values(), span, self._identity.enterprise))
        found.discrepancies.extend(untold(found.objections, filed, span))
        return found

    def _page(self, span: Span) -> Page:
        role = RecordRole(self._identity, self._trust, span, self._clock(), self._randomness)
        return role.receive(_opened(self._reach(pack_parcel(role.start()))))

    def _keep(self, page: Page, found: Fetched) -> None:
        """Add a page; a node that does not answer it is noted once."""
        found.leaves.update({leaf.index: leaf for leaf in page.leaves})
        for node, answer in page.answers.items():
            known = found.entries.setdefault(node, [])
            listed = {entry.reference for entry in known}
            known += [entry for entry in answer.entries if entry.reference not in listed]
            found.objections[node], found.repairs[node] = answer.objections, answer.repairs
        for node in self._trust.nodes:
            if node not in page.answers:
                code = page.refusals.get(node, "")
                missing = Discrepancy(Finding.REFUSED if code else Finding.NO_ANSWER, node, code=code)
                found.discrepancies.extend([missing] if missing not in found.discrepancies else [])

    def object(self, grievance: Grievance) -> ObjectionFiled:
        """File an objection and return the log's receipt. Raises: as `fetch`; ValueError for a wrong node."""
        role = ObjectionRole(self._identity, self._trust, grievance, self._clock(), self._randomness)
        return role.receive(_opened(self._reach(pack_parcel(role.start()))))


def _opened(reply: bytes) -> tuple[Envelope, ...]:
    try:
        return open_parcel(reply)
    except PeerRefused as refusal:
        raise PeerRefused(f"the coordinator refused: {refusal.code}", code=refusal.code) from None
