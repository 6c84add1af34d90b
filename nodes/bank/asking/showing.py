"""Whose a consent is, stated for the log's leaf of it, with every question until the log is known to have that leaf."""

from __future__ import annotations

from collections.abc import Mapping

from nodes.bank.site import BankSite
from nodes.statements import About, StatementWriter
from protocols.assessment.batch.messages import BatchQuery
from protocols.assessment.messages import Query
from protocols.channel.envelope import Channel, Envelope

LACKING = "BODY_MISSING"
"""The coordinator's word that the log has no leaf of a consent that came without a statement."""


class ConsentStatements:
    """States one bank's consents; without a ledger, it states each with every question."""

    def __init__(self, site: BankSite, statements: StatementWriter) -> None:
        self._site, self._statements = site, statements

    def write(
        self, query: Query | BatchQuery, consents: Mapping[bytes, About], channel: Channel, at: int
    ) -> list[Envelope]:
        """Return the statements of the consents, by handle, that the log may not have; b"" names none."""
        shown = None if self._site.ledger is None else self._site.ledger.shown
        return [
            self._statements.consent(handle, query, about, channel, at)
            for handle, about in consents.items()
            if handle and (shown is None or handle not in shown)
        ]

    def learn(self, codes: Mapping[bytes, str]) -> None:
        """Take the coordinator's word on consents, by handle: "" is that it has passed the question on."""
        if self._site.ledger is None:
            return
        shown = self._site.ledger.shown
        passed = [handle for handle, code in codes.items() if handle and not code and handle not in shown]
        lacking = [handle for handle, code in codes.items() if code == LACKING]
        if passed or lacking:
            with self._site.ledger.group():
                shown.add(passed)
                shown.discard(lacking)
