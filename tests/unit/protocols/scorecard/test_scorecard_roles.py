"""Whatever a party of the run signs, in whatever order, no role raises anything but the federation's errors."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId
from protocols.errors import CreditFederationError, VerificationFailed
from protocols.scorecard.bank import BankTraining
from protocols.scorecard.node import NodeTraining
from protocols.scorecard.relay import RelayTraining
from tests.protocol.network import BANK, COORDINATOR
from tests.protocol.replays import fresh, hostile_envelope, tape

ROLES = [BANK, COORDINATOR, PartyId("social"), PartyId("tax")]
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


def play(party: BankTraining | NodeTraining | RelayTraining, honest: list[Envelope]) -> None:
    """Deliver what was recorded; a fresh bank salts its parts anew, and so awaits other signatures."""
    for envelope in honest:
        try:
            party.receive(envelope)
        except VerificationFailed:
            assert envelope.message == "ManifestSignature"


def splice(role: PartyId, data: st.DataObject) -> None:
    """Play the tape up to a point, then hostile envelopes between the honest ones, some of these lost or doubled."""
    party = fresh(role)
    honest = tape().to(role)
    start = data.draw(st.integers(0, len(honest)))
    play(party, honest[:start])
    rest = honest[start:]
    for _ in range(data.draw(st.integers(1, 3))):
        with suppress(CreditFederationError):
            party.receive(data.draw(hostile_envelope(role)))
        for envelope in rest[: data.draw(st.integers(0, 3))]:
            with suppress(CreditFederationError):
                party.receive(envelope)
        rest = data.draw(st.permutations(rest))


@pytest.mark.parametrize("role", ROLES)
@settings(max_examples=12, deadline=None, suppress_health_check=QUIET)
@given(data=st.data())
def test_a_role_raises_only_our_errors(role: PartyId, data: st.DataObject) -> None:
    splice(role, data)


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(data=st.data())
def test_a_role_raises_only_our_errors_at_length(role: PartyId, data: st.DataObject) -> None:
    splice(role, data)


@pytest.mark.parametrize("role", ROLES)
def test_the_tape_played_back_is_a_whole_run(role: PartyId) -> None:
    """Otherwise the tests above would splice into nothing."""
    honest = tape().to(role)
    play(fresh(role), honest)
    kinds = {envelope.message for envelope in honest}
    expected = {
        BANK: {"BinHistograms", "LocalGram", "MaskedProducts", "MaskShare", "ProductShare", "GradientShare"},
        COORDINATOR: {"MaskedTotals", "RunFinished"},
    }.get(role, {"EncryptedLabels", "Cohort", "WoeTables", "PointTables", "EncryptedResiduals", "Manifest"})
    assert expected <= kinds
