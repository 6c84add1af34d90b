"""A node takes part in a run under one policy, which each of its messages names."""

from __future__ import annotations

import pytest

from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId
from protocols.errors import VerificationFailed
from protocols.scorecard.policies import RunPolicies

ONE, OTHER = b"1" * 32, b"2" * 32


def sent(sender: str, policy: bytes | None) -> Envelope:
    return Envelope(bytes(32), sender, "bank", "BinHistograms", True, b"", bytes(64), policy)


def test_the_first_policy_of_each_node_is_the_one_of_the_run() -> None:
    policies = RunPolicies([PartyId("tax"), PartyId("social")])
    for envelope in (sent("tax", ONE), sent("social", OTHER), sent("tax", ONE), sent("bank", None)):
        policies.check(envelope)
    assert policies.named == {"social": OTHER.hex(), "tax": ONE.hex()}


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (sent("tax", None), "POLICY_MISSING"),
        (sent("tax", OTHER), "POLICY_CHANGED"),
        (sent("bank", ONE), "VERIFICATION_FAILED"),
    ],
)
def test_no_policy_another_one_or_a_banks_is_refused(envelope: Envelope, code: str) -> None:
    policies = RunPolicies([PartyId("tax")])
    policies.check(sent("tax", ONE))
    with pytest.raises(VerificationFailed) as refusal:
        policies.check(envelope)
    assert refusal.value.code == code
