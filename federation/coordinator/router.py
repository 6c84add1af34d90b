"""Takes what parties send, verifies and logs it, and says who gets what next."""

from __future__ import annotations

from collections.abc import Sequence

from federation.coordinator.bodies import STATEMENTS, BodyDesk
from federation.coordinator.leaves import Accepted, LeafWriter, Values, with_receipts
from federation.coordinator.questions import Questions
from federation.coordinator.showings import Showings
from federation.coordinator.site import CoordinatorSite
from federation.coordinator.trainings import Trainings
from federation.traffic import Routed
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import decode
from protocols.consent.messages import RevocationNotice
from protocols.errors import CreditFederationError, UnexpectedMessage, VerificationFailed
from protocols.scorecard.messages import LeakClass
from protocols.transparency.leaves import LeafKind

CONSENT_BEARERS = (PartyRole.COORDINATOR, PartyRole.CONSENT_SERVICE)


class Coordinator:
    """Takes the envelopes of one party at a time; `route` returns who gets what next, all of it logged."""

    def __init__(self, site: CoordinatorSite) -> None:
        self._site = site
        self._leaves = LeafWriter(site)
        self._bodies = BodyDesk(site.pins.signers, site.shredder)
        self._trainings = Trainings(site, self._leaves)
        self._showings = Showings(site, self._leaves, self._bodies)
        self._questions = Questions(site, self._leaves, self._bodies, self._showings)

    @property
    def leaks(self) -> dict[LeakClass, int]:
        """What training messages have revealed since this was last cleared, by class."""
        return self._trainings.leaks

    def route(self, sender: PartyId, envelopes: Sequence[Envelope]) -> Routed:
        """Verify, log and route what a party has sent; nothing is returned before its leaf is durable.

        What was accepted before an envelope that is not stays in the log, although it goes no further.
        Raises: MalformedMessage, UnexpectedMessage, VerificationFailed.
        """
        (outcome,) = self.route_group([(sender, envelopes)])
        if isinstance(outcome, CreditFederationError):
            raise outcome
        return outcome

    def route_group(
        self, arrivals: Sequence[tuple[PartyId, Sequence[Envelope]]]
    ) -> list[Routed | CreditFederationError]:
        """Do for each party's envelopes what `route` does, with one commit for all; an error concerns its own alone.

        Raises: ConfigurationError if the log cannot be written; nothing of the group may then go on.
        """
        accepted = [self._accept(sender, envelopes) for sender, envelopes in arrivals]
        receipts = self._leaves.flush()
        return [
            outcome if isinstance(outcome, CreditFederationError) else with_receipts(outcome, receipts)
            for outcome in accepted
        ]

    def record(self, kind: LeafKind, actor: str, values: Values) -> None:
        """Append one leaf about the federation itself, such as a key or a policy."""
        self._leaves.write(kind, actor, b"", values)
        self._leaves.flush()

    def _accept(self, sender: PartyId, envelopes: Sequence[Envelope]) -> Accepted | CreditFederationError:
        accepted: Accepted = []
        self._bodies.clear()
        try:
            for envelope in envelopes:
                if envelope.sender != sender:
                    raise VerificationFailed(f"{sender} has sent an envelope in the name of {envelope.sender}")
                accepted += self._route_one(envelope)
        except CreditFederationError as error:
            return error
        return accepted

    def _route_one(self, envelope: Envelope) -> Accepted:
        if envelope.message == STATEMENTS:
            self._bodies.take(envelope)
            return []
        if envelope.message == RevocationNotice.__name__:
            return self._log_revocations(envelope)
        self._trainings.open(envelope)
        for desk in (self._trainings, self._questions):
            routed = desk.route(envelope)
            if routed is not None:
                return routed
        raise UnexpectedMessage(f"{envelope.message} from {envelope.sender} belongs to nothing that is open")

    def _log_revocations(self, envelope: Envelope) -> Accepted:
        """Take an issuer's list, whoever of the coordinator and the services brings it, and log what it newly revokes.

        Raises: MalformedMessage, VerificationFailed; PolicyDenied, CONSENT_LIST_INVALID or CONSENT_LIST_ROLLBACK.
        """
        passed = decode(envelope.body, RevocationNotice)
        self._site.channel(passed.transcript()).unwrap(envelope, RevocationNotice)
        if self._site.pins.cards[PartyId(envelope.sender)].role not in CONSENT_BEARERS:
            raise VerificationFailed("a list is brought by a party that keeps no consents")
        self._site.consents.take(passed.revocations)
        self._showings.revoke()
        return []
