"""Consents as the log has them: a CONSENT when a question first shows one that holds, a REVOKE once it is withdrawn."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from federation.coordinator.bodies import BodyDesk
from federation.coordinator.consents import Shown
from federation.coordinator.leaves import LeafWriter, Values
from federation.coordinator.site import CoordinatorSite
from protocols.assessment.batch.messages import BatchQuery
from protocols.assessment.messages import Query
from protocols.consent import RevocationList, Slip
from protocols.transparency.leaves import Leaf, LeafKind
from protocols.transparency.shredding import decode_body
from protocols.transparency.statements import Addressees, Statement, auditor_keys, seal_statements


class Showings:
    """Writes each consent's leaves, once in the life of the log."""

    def __init__(self, site: CoordinatorSite, leaves: LeafWriter, bodies: BodyDesk) -> None:
        self._site, self._leaves, self._bodies = site, leaves, bodies
        self._withdrawn: set[bytes] = set()
        self._heard: tuple[RevocationList, ...] = ()

    def code(self, query: Query, shown: Shown) -> str:
        """Return why a question is refused, "" if it is not; a consent that it is the first to show is then logged."""
        self.revoke()
        return self._first(query, query.query, shown, query.slip, query.subject_tag)

    def codes(self, query: BatchQuery, shown: Sequence[Shown], slips: Sequence[str]) -> tuple[str, ...]:
        """Return the same for each enterprise of a batch."""
        self.revoke()
        each = zip(shown, slips, query.subject_tags, strict=True)
        return tuple(self._first(query, query.batch, one, slip, tag) for one, slip, tag in each)

    def _first(self, query: Query | BatchQuery, reference: bytes, shown: Shown, text: str, tag: bytes) -> str:
        """Log a consent that was never shown before. Without a body nothing of it is logged, or goes on to nodes."""
        if shown.code or shown.slip is None:
            return shown.code
        book, handle = self._site.book, shown.slip.handle
        sealed = self._bodies.of_consent(handle, query.bank)
        if sealed is None:
            return "BODY_MISSING" if book.lacks(LeafKind.CONSENT, handle) else ""
        if book.claim(LeafKind.CONSENT, handle):
            self._leaves.write(
                LeafKind.CONSENT,
                query.bank,
                handle,
                _terms(shown.slip) | {"bank": query.bank, "entry": reference.hex()},
                purpose=query.purpose,
                subject=tag,
                evidence=text,
                body=self._bodies.cover_consent(sealed, tag, self._site.clock_ms()),
            )
        return ""

    def revoke(self) -> None:
        """Log what the newest lists revoke and the log does not say yet."""
        lists = self._site.consents.lists
        if lists == self._heard:
            return
        missing = [(found, handle) for found in lists for handle in sorted(found.revoked - self._withdrawn)]
        for found, handle in missing:
            if self._site.book.claimed(LeafKind.CONSENT, handle):
                continue  # whose it is will be known once that leaf is durable
            if self._site.book.claim(LeafKind.REVOKE, handle):
                self._withdraw(found, handle)
            else:
                self._withdrawn.add(handle)
        if not missing:  # what is written now is durable by the next time, or written then
            self._heard = lists

    def _withdraw(self, found: RevocationList, handle: bytes) -> None:
        """Write the leaf of a consent that a list withdraws, as the coordinator's own word; the list is its evidence.

        Its body is for the auditors and, by the reply key of the consent's first showing, for its enterprise.
        """
        site, consent = self._site, self._site.book.shown(handle)
        values: Values = {"consent_hash": handle.hex(), "issuer": found.issuer}
        if consent is not None:
            values["bank"] = consent.actor
        statement = Statement(
            enterprise="",
            leaf=LeafKind.REVOKE,
            party=site.keys.party,
            bank="" if consent is None else consent.actor,
            reference=handle,
            purpose="",
            decision="REVOKED",
            at=site.clock_ms() // 1000,
            rule=f"{found.issuer} list {found.sequence}",
        )
        to = Addressees(auditor_keys(site.pins.cards), (_reply_key(consent),))
        sealed = seal_statements([statement], to, site.keys, handle, secrets.token_bytes)
        subject = b"" if consent is None else consent.subject
        self._leaves.write(
            LeafKind.REVOKE,
            site.keys.party,
            handle,
            values,
            subject=subject,
            evidence=site.consents.signed_list(found.issuer),
            body=site.shredder.cover(sealed, (subject or handle,), site.clock_ms()),
        )


def _reply_key(consent: Leaf | None) -> bytes:
    """Return to whom the later statements of a consent are sealed, b"" if it was never shown or its body is gone."""
    return decode_body(consent.body).head.reply if consent is not None and consent.body else b""


def _terms(slip: Slip) -> Values:
    return {
        "consent_hash": slip.handle.hex(),
        "issuer": slip.issuer,
        "scope_hash": slip.scope.hex(),
        "valid_from_ms": slip.not_before * 1000,
        "valid_until_ms": slip.expires * 1000,
    }
