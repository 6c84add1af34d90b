"""The desk of training runs, and of the invitations with which banks begin one together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from federation.coordinator.leaves import Accepted, LeafWriter, Values
from federation.coordinator.site import CoordinatorSite
from protocols.boosting.admission import check_boosting
from protocols.boosting.messages import LEAKS as BOOSTING_LEAKS
from protocols.boosting.messages import BoostingSpec
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import decode
from protocols.consortium.messages import LEAKS as CONSORTIUM_LEAKS
from protocols.consortium.messages import ConsortiumSpec, Invitation
from protocols.consortium.relay import RelayConsortium, RelayInvitation
from protocols.errors import UnexpectedMessage, VerificationFailed
from protocols.scorecard.messages import LEAKS, LeakClass, RunSpec
from protocols.scorecard.policies import RunPolicies
from protocols.scorecard.relay import RelayTraining
from protocols.transparency.leaves import LeafKind

SPECS: dict[str, type[RunSpec]] = {
    "RunSpec": RunSpec,
    "BoostingSpec": BoostingSpec,
    "ConsortiumSpec": ConsortiumSpec,
}
ALL_LEAKS = BOOSTING_LEAKS | CONSORTIUM_LEAKS | LEAKS


@dataclass(frozen=True, slots=True)
class _Run:
    relay: RelayTraining | RelayConsortium
    policies: RunPolicies


def announced(envelopes: Sequence[Envelope]) -> list[PartyId]:
    """Return who takes part in the run, or the invitation, that a bank's first envelope announces; that bank first.

    Raises: MalformedMessage, UnexpectedMessage. Nothing is verified: it says whom to reach, not whom to believe.
    """
    if not envelopes:
        raise UnexpectedMessage("an empty parcel announces no run", code="NO_RUN")
    first = envelopes[0]
    if first.message == "Invitation":
        invitation = decode(first.body, Invitation)
        others = [PartyId(bank.party) for bank in invitation.banks]
        others += [PartyId(node.party) for node in invitation.nodes]
    elif first.message in SPECS:
        others = [PartyId(node.party) for node in decode(first.body, SPECS[first.message]).nodes]
    else:
        raise UnexpectedMessage(f"{first.message} announces no run", code="NO_RUN")
    return [PartyId(first.sender), *others]


class Trainings:
    """The runs and invitations that are open. `leaks` counts what messages have revealed, by class."""

    def __init__(self, site: CoordinatorSite, leaves: LeafWriter) -> None:
        self._site, self._leaves = site, leaves
        self._runs: dict[bytes, _Run] = {}
        self._invitations: dict[bytes, RelayInvitation] = {}
        self.leaks: dict[LeakClass, int] = {}

    def open(self, envelope: Envelope) -> None:
        """Open the run or the invitation that an envelope announces, if it announces one.

        Raises: MalformedMessage, VerificationFailed.
        """
        if envelope.message in SPECS:
            self._open_run(envelope, SPECS[envelope.message])
        elif envelope.message == "Invitation":
            self._open_invitation(envelope)

    def route(self, envelope: Envelope) -> Accepted | None:
        """Return who gets what, once it is logged; None if the envelope belongs to no run.

        Raises: MalformedMessage, UnexpectedMessage, VerificationFailed.
        """
        if envelope.transcript in self._invitations:
            return self._route_invitation(envelope, self._invitations[envelope.transcript])
        if envelope.transcript in self._runs:
            return self._route_training(envelope, self._runs[envelope.transcript])
        return None

    def _open_run(self, envelope: Envelope, kind: type[RunSpec]) -> None:
        spec = decode(envelope.body, kind)
        transcript = spec.transcript()
        channel = replace(self._site.channel(transcript), cards=dict(self._site.pins.cards))  # as they are now
        channel.unwrap(envelope, kind)
        if envelope.sender != spec.bank or transcript in self._runs:
            raise VerificationFailed("a run is announced once, by its bank")
        for node in spec.nodes:
            self._site.pins.card(PartyId(node.party), PartyRole.DATA_NODE)
        if isinstance(spec, BoostingSpec):
            check_boosting(spec, channel.cards)
        self._runs = {t: run for t, run in self._runs.items() if run.relay.spec.bank != spec.bank}  # one that broke off
        if isinstance(spec, ConsortiumSpec):
            keys = {PartyId(m.party): self._site.bank_key(m.party, spec.key_bits) for m in spec.members}
            relay: RelayTraining | RelayConsortium = RelayConsortium(spec, channel, keys)
        else:
            relay = RelayTraining(spec, channel, self._site.bank_key(spec.bank, spec.key_bits))
        self._runs[transcript] = _Run(relay, RunPolicies(PartyId(node.party) for node in spec.nodes))

    def _open_invitation(self, envelope: Envelope) -> None:
        invitation = decode(envelope.body, Invitation)
        channel = self._site.channel(invitation.transcript())
        channel.unwrap(envelope, Invitation)
        if envelope.sender != invitation.lead or channel.transcript in self._invitations:
            raise VerificationFailed("an invitation is sent once, by its lead")
        for bank in invitation.banks:
            self._site.pins.card(PartyId(bank.party), PartyRole.BANK)
        others = {t: relay for t, relay in self._invitations.items() if relay.invitation.lead != invitation.lead}
        self._invitations = others | {channel.transcript: RelayInvitation(invitation, channel)}

    def _route_invitation(self, envelope: Envelope, relay: RelayInvitation) -> Accepted:
        receivers = relay.route(envelope)
        self._log_step(envelope, relay.invitation.lead, relay.invitation.run)
        if relay.finished:
            del self._invitations[envelope.transcript]
        return [(party, envelope) for party in receivers]

    def _route_training(self, envelope: Envelope, run: _Run) -> Accepted:
        """Log what passes. What a node sends names its policy, the same in all of a run, which has its leaf before."""
        relay = run.relay
        produced = relay.receive(envelope)
        run.policies.check(envelope)
        if envelope.policy is not None:
            self._site.policies.note(envelope, envelope.policy)
        for passed in (envelope, *produced):
            self._log_step(passed, relay.spec.bank, relay.spec.run, passed.policy)
        if relay.finished is not None:
            del self._runs[envelope.transcript]
        routed: Accepted = [(party, envelope) for party in relay.audience(envelope)]
        routed += [(PartyId(reply.receiver), reply) for reply in produced]
        return routed

    def _log_step(self, envelope: Envelope, bank: str, run: bytes, policy: bytes | None = None) -> None:
        leak = ALL_LEAKS.get(envelope.message, LeakClass.NONE)
        if leak is not LeakClass.NONE:
            self.leaks[leak] = self.leaks.get(leak, 0) + 1
        kind = LeafKind.MANIFEST if envelope.message == "SignedManifest" else LeafKind.TRAIN_STEP
        values: Values = {
            "bank": bank,
            "step": envelope.message,
            "leak_class": leak.value,
            "bytes": len(envelope.body),
            "transcript_hash": envelope.transcript.hex(),
        }
        if policy is not None:
            values["policy_hash"] = policy.hex()
        self._leaves.write(kind, envelope.sender, run, values, evidence=envelope)
