"""Whatever a party of a query signs, in whatever order: the bank and the relay raise only the federation's errors."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.assessment.messages import CombinedScore, Query, ScoreShare
from protocols.channel.envelope import EVERYONE, Envelope
from protocols.errors import CreditFederationError
from tests.protocol.assessing import NODES, POLICY, AssessmentNetwork
from tests.protocol.fuzzing import any_message
from tests.protocol.network import BANK, COORDINATOR


@cache
def setting() -> tuple[AssessmentNetwork, Query, tuple[Envelope, ...]]:
    network = AssessmentNetwork()
    query = network.query()
    answers = network.answers(query)
    relay = network.relay(query)
    products = [reply for envelope in answers.values() for reply in relay.receive(envelope)]
    return network, query, (*answers.values(), *products)


@st.composite
def hostile(draw: st.DrawFn) -> Envelope:
    network, query, honest = setting()
    if draw(st.booleans()):
        return draw(st.sampled_from(honest))
    sender = draw(st.sampled_from([BANK, COORDINATOR, *NODES]))
    receiver = draw(st.sampled_from([BANK, COORDINATOR, EVERYONE, NODES[0]]))
    share = network.share(NODES[0], query).ciphertext
    vectors = st.binary(max_size=200) | st.sampled_from([share, share * 2, share[1:], bytes(len(share))])
    shares = st.builds(ScoreShare, vectors, st.just(POLICY)) | st.builds(CombinedScore, vectors)
    message = draw(shares | any_message())
    return network.channel(sender, query).wrap(receiver, message, sealed=draw(st.booleans()))


@pytest.mark.parametrize("role", ["bank", "relay"])
@settings(max_examples=50, deadline=None)
@given(envelopes=st.lists(hostile(), max_size=8))
def test_a_role_raises_only_our_errors_and_opens_only_the_honest_sum(role: str, envelopes: list[Envelope]) -> None:
    network, query, honest = setting()
    if role == "relay":
        relay = network.relay(query)
        for envelope in (*envelopes, *honest):
            with suppress(CreditFederationError):
                relay.receive(envelope)
            with suppress(CreditFederationError):
                relay.audience(envelope)
        return
    bank = network.bank(query)
    sent = []
    for envelope in (*envelopes, *honest):
        with suppress(CreditFederationError):
            sent += bank.receive(envelope)
    assert len(sent) <= 1
    opened = bank.opened.total if bank.opened else None
    assert opened in (None, 565)


def test_the_relay_passes_each_envelope_to_whom_it_is_for_and_to_nobody_else() -> None:
    network, query, honest = setting()
    relay = network.relay(query)
    bank = network.bank(query)
    assert relay.audience(bank.start()[0]) == list(NODES)
    assert [relay.audience(envelope) for envelope in bank.start()[1:]] == [[node] for node in NODES]
    assert [relay.audience(envelope) for envelope in honest[:4]] == [[BANK]] * 4
    for change in ({"sender": "stranger"}, {"receiver": NODES[1]}, {"receiver": "stranger"}, {"receiver": EVERYONE}):
        with pytest.raises(CreditFederationError):
            relay.audience(msgspec.structs.replace(honest[0], **change))
