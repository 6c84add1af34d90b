"""Hostile nodes and a hostile coordinator in a consortium; well-signed nonsense at every role."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from protocols.channel.envelope import EVERYONE, Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import Message
from protocols.consortium import messages as c
from protocols.errors import CreditFederationError
from protocols.paillier import CiphertextVector, rerandomise
from protocols.scorecard import messages as m
from protocols.scorecard.model import TrainingPlan
from tests.protocol.consortium_network import COORDINATOR, ConsortiumNetwork, PoolSite, pooled_economy
from tests.protocol.fuzzing import message_of
from tests.protocol.network import binned

FEATURES = {"social": 1, "tax": 2}
TWO = {"bank_a": (90, 20), "bank_b": (80, 20)}
A, B = map(PartyId, TWO)
TAX = PartyId("tax")


def network(minimum_bin: int = 1) -> ConsortiumNetwork:
    economy = pooled_economy(TWO, FEATURES, strength=2.0)
    return ConsortiumNetwork(economy, TrainingPlan(refinements=1), minimum_bin)


def no_part_is_kept(ran: ConsortiumNetwork) -> bool:
    return not any(site.parts for site in ran.sites.values())


@pytest.mark.parametrize("kind", ["HistogramShare", "GradientPoolShare", "OwnProductShare", "MaskedTotals"])
def test_a_node_that_leaves_one_banks_share_out_yields_no_model(kind: str) -> None:
    ran = network()
    ran.on_path = lambda e: [] if (e.message, e.sender, e.receiver) == (kind, TAX, B) else [e]
    ran.run()
    assert all(role.result is None for role in ran.bank_roles.values())
    assert no_part_is_kept(ran)


def shifted(ran: ConsortiumNetwork, message: Message, amount: int) -> Message:
    """The same share with a number added to each of its plaintexts: masks that do not cancel."""
    key = ran.public[B]
    vector = CiphertextVector.from_bytes(key, message.vector)  # type: ignore[attr-defined]
    moved = rerandomise(vector.add_plain([amount] * len(vector)), lambda n: bytes([1]) * n)
    return msgspec.structs.replace(message, vector=moved.to_bytes())


KINDS = {
    "HistogramShare": c.HistogramShare,
    "GradientPoolShare": c.GradientPoolShare,
    "OwnProductShare": c.OwnProductShare,
}


@pytest.mark.parametrize("kind", KINDS)
def test_masks_of_a_node_that_do_not_cancel_are_detected(kind: str) -> None:
    ran = network()

    def on_path(envelope: Envelope) -> list[Envelope]:
        if (envelope.message, envelope.sender, envelope.receiver) != (kind, TAX, B):
            return [envelope]
        message = ran.channel(B).unwrap(envelope, KINDS[kind])
        return [ran.channel(TAX).wrap(B, shifted(ran, message, 0x5A5A5A5A5A5A5A5A5A5A))]

    ran.on_path = on_path
    with pytest.raises(CreditFederationError):
        ran.run()
    assert no_part_is_kept(ran)


def test_a_node_that_describes_its_features_differently_to_two_banks_is_detected() -> None:
    ran = network()

    def on_path(envelope: Envelope) -> list[Envelope]:
        if (envelope.message, envelope.sender, envelope.receiver) != ("HistogramShare", TAX, B):
            return [envelope]
        message = ran.channel(B).unwrap(envelope, c.HistogramShare)
        features = tuple(msgspec.structs.replace(f, name=f"{f.name}x") for f in message.features)
        return [ran.channel(TAX).wrap(B, msgspec.structs.replace(message, features=features))]

    ran.on_path = on_path
    with pytest.raises(CreditFederationError):
        ran.run()
    assert no_part_is_kept(ran)


def test_a_coordinator_that_swaps_two_banks_totals_is_detected() -> None:
    ran = network()
    held: list[Envelope] = []

    def on_path(envelope: Envelope) -> list[Envelope]:
        if envelope.message != "CombinedTotals":
            return [envelope]
        held.append(envelope)
        if len(held) < 2:
            return []
        first, second = held
        products = [ran.channel(PartyId(e.receiver)).unwrap(e, m.CombinedTotals) for e in (first, second)]
        return [
            ran.channel(COORDINATOR).wrap(PartyId(e.receiver), product, sealed=False)
            for e, product in zip((second, first), products, strict=True)
        ]

    ran.on_path = on_path
    with pytest.raises(CreditFederationError):
        ran.run()
    assert no_part_is_kept(ran)


def test_an_enterprise_of_two_banks_counts_once_towards_k() -> None:
    """Thirty rows of one bin are fifteen enterprises where each stands in both banks' cohorts: fewer than twenty."""
    ran = network(minimum_bin=20)
    codes = np.zeros(ran.spec.rows, dtype=np.int64)
    twice = np.concatenate([ran.layout.training[A][:15], ran.layout.training[B][:15]])
    codes[twice] = 1
    rows = binned([codes], [2], ran.spec.training_rows)
    ran.node_roles[TAX]._site = PoolSite(rows)
    same = {bank: tuple(f"e{i}" for i in range(len(ran.layout.rows(bank)))) for bank in (A, B)}
    ran.ids = same.__getitem__  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="fewer than 20 enterprises"):
        ran.run()


def test_a_cohort_that_differs_between_nodes_opens_no_total() -> None:
    ran = network()

    def on_path(envelope: Envelope) -> list[Envelope]:
        if (envelope.message, envelope.sender, envelope.receiver) != ("Cohort", A, TAX):
            return [envelope]
        cohort = ran.channel(TAX).unwrap(envelope, m.Cohort)
        other = msgspec.structs.replace(cohort, ids=("somebody else", *cohort.ids[1:]))
        return [ran.channel(A).wrap(TAX, other)]

    ran.on_path = on_path
    with pytest.raises(CreditFederationError):
        ran.run()
    assert no_part_is_kept(ran)


# ---- well-signed nonsense


SPLICED: tuple[type[Message], ...] = (
    c.BankCut,
    c.HistogramShare,
    c.OwnProductShare,
    c.GradientPoolShare,
    c.PoolShare,
    c.ModelAgreement,
    m.WoeTables,
    m.PointTables,
    m.LocalGram,
    m.MaskShare,
    m.ProductShare,
    m.EncryptedColumns,
    m.EncryptedResiduals,
    m.CombinedTotals,
    m.ManifestSignature,
)


@settings(max_examples=4, deadline=None, phases=[Phase.generate])
@given(data=st.data())
def test_nonsense_of_any_party_raises_nothing_but_the_federations_errors(data: st.DataObject) -> None:
    """Before each tenth or so envelope of a run, somebody sends its receiver a message of its own making."""
    ran = network()
    deliver: Callable[[Envelope], list[Envelope]] = ran.deliver
    parties = [*ran.bank_roles, *ran.node_roles, COORDINATOR]
    count = data.draw(st.integers(1, 12))

    def on_path(envelope: Envelope) -> list[Envelope]:
        nonlocal count
        count -= 1
        if count == 0:
            count = data.draw(st.integers(4, 12))
            kind = data.draw(st.sampled_from(SPLICED))
            sender = data.draw(st.sampled_from(parties))
            broadcast = [EVERYONE] if sender != COORDINATOR else []
            receiver = data.draw(st.sampled_from([*broadcast, *(p for p in parties[:-1] if p != sender)]))
            message = data.draw(message_of(kind))
            sealed = not (kind.OPEN and receiver == EVERYONE)
            spliced = ran.channel(sender).wrap(receiver, message, sealed=sealed)
            with contextlib.suppress(CreditFederationError):
                deliver(spliced)
        return [envelope]

    ran.on_path = on_path
    with contextlib.suppress(CreditFederationError):
        ran.run()
