"""Hostile and curious banks of a consortium: what they see of another bank, and what comes of a changed share."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import Message
from protocols.consortium import messages as c
from protocols.consortium import pool as pool_module
from protocols.consortium.bank import BankConsortium
from protocols.consortium.shares import Residues, open_share, sum_bits, unpack_sums
from protocols.errors import CreditFederationError, MalformedMessage, VerificationFailed
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import histogram_packing
from protocols.scorecard.model import TrainingPlan
from tests.protocol.consortium_network import ConsortiumNetwork, pooled_economy
from tests.protocol.network import KEY_BITS

FEATURES = {"social": 1, "tax": 2}
THREE = {"bank_a": (90, 20), "bank_b": (80, 20), "bank_c": (70, 20)}
A, B, C = map(PartyId, THREE)
TAX = PartyId("tax")


def network(banks: int = 3, refinements: int = 0) -> ConsortiumNetwork:
    sizes = dict(list(THREE.items())[:banks])
    return ConsortiumNetwork(pooled_economy(sizes, FEATURES, strength=2.0), TrainingPlan(refinements=refinements))


@pytest.fixture(scope="module")
def honest() -> ConsortiumNetwork:
    ran = network()
    ran.run()
    assert all(role.result is not None for role in ran.bank_roles.values())
    return ran


def true_counts(ran: ConsortiumNetwork, banks: tuple[PartyId, ...]) -> list[int]:
    """Defaults by bin at the tax node among the customers of some banks: what nobody may learn of one alone."""
    rows = np.concatenate([ran.layout.training[bank] for bank in banks])
    codes, bad = ran.economy.nodes["tax"].codes[rows], ran.economy.bad[rows]
    sizes = ran.economy.nodes["tax"].fine_bins()
    return [int(n) for i, size in enumerate(sizes) for n in np.bincount(codes[bad == 1, i], minlength=size)]


def received(ran: ConsortiumNetwork, party: PartyId, sender: PartyId, kind: type[Message]) -> list[Message]:
    """What one party got of another, opened with its own keys."""
    envelopes = [e for at, e in ran.seen if at == party and e.sender == sender and e.message == kind.__name__]
    return [ran.channel(party).unwrap(envelope, kind) for envelope in envelopes]


def own_share(ran: ConsortiumNetwork, bank: PartyId) -> int:
    """What a bank decrypts of the tax node's histograms: one packed number, at this size."""
    (message,) = received(ran, bank, TAX, c.HistogramShare)
    assert isinstance(message, c.HistogramShare)
    bits = sum_bits(len(true_counts(ran, (A,))), histogram_packing(ran.spec.training_rows, KEY_BITS))
    (value,) = open_share(message.vector, bits, ran.paillier[bank]).values
    return value


def unpacked(ran: ConsortiumNetwork, value: int) -> list[int] | None:
    """The counts that a number stands for, or None if it stands for none."""
    packing, count = histogram_packing(ran.spec.training_rows, KEY_BITS), len(true_counts(ran, (A,)))
    (bits,) = sum_bits(count, packing)
    try:
        found = unpack_sums(Residues((value % (1 << bits),), (bits,)), packing, count)
    except MalformedMessage:
        return None
    return found if all(0 <= n <= ran.spec.training_rows for n in found) else None


def sent_by(ran: ConsortiumNetwork, bank: PartyId, at: PartyId) -> int:
    """The tax node's part of what a bank sends another one for the pooled histograms."""
    shares = [s for s in received(ran, at, bank, c.PoolShare) if isinstance(s, c.PoolShare) and s.step == "histograms"]
    return int.from_bytes(shares[0].values[-1])


def test_one_banks_own_decryption_is_noise(honest: ConsortiumNetwork) -> None:
    assert unpacked(honest, sum(own_share(honest, bank) for bank in (A, B, C))) == true_counts(honest, (A, B, C))
    for bank in (A, B, C):
        assert unpacked(honest, own_share(honest, bank)) is None


def test_two_of_three_banks_learn_the_pool_and_nothing_of_the_third(honest: ConsortiumNetwork) -> None:
    """They hold two decryptions, the third bank's masked message, and the pooled counts that all learn.

    The pooled counts less their own part would be the third's; but their own part is behind the node's masks, and all
    that they can add and subtract are sums with at least one uniform number in it.
    """
    held = [own_share(honest, A), own_share(honest, B), sent_by(honest, C, A)]
    pooled = sum(own_share(honest, bank) for bank in (A, B, C))
    for signs in np.ndindex(3, 3, 3, 2):
        combination = sum((sign - 1) * value for sign, value in zip(signs, (*held, pooled), strict=True)) + pooled
        found = unpacked(honest, combination)
        assert found in (None, true_counts(honest, (A, B, C)), [0] * len(true_counts(honest, (A,))))
        assert found != true_counts(honest, (C,))


def node_masks(ran: ConsortiumNetwork, bank: PartyId) -> int:
    """The mask that the tax node added for a bank: what a bank that conspires with the node is told."""
    slot = histogram_packing(ran.spec.training_rows, KEY_BITS).slot_bits
    return own_share(ran, bank) - sum(count << (slot * place) for place, count in enumerate(true_counts(ran, (bank,))))


def test_a_bank_and_a_node_learn_the_sum_over_the_other_banks_alone(honest: ConsortiumNetwork) -> None:
    """The node tells its masks: of one other bank the pool's own masks still hide all; of both together they cannot."""
    for other in (B, C):
        assert unpacked(honest, sent_by(honest, other, A) - node_masks(honest, other)) is None
    both = sum(sent_by(honest, other, A) - node_masks(honest, other) for other in (B, C))
    assert unpacked(honest, both) is None, "bank A's own pool mask still stands: it knows it, so"
    pooled = sum(own_share(honest, bank) for bank in (A, B, C))
    own = own_share(honest, A) - node_masks(honest, A)
    assert unpacked(honest, pooled - own) == true_counts(honest, (B, C))


def test_without_the_pools_masks_a_bank_and_a_node_would_read_one_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "zero_sum_masks", lambda own, key, peers, salt, count, modulus: [0] * count)
    open_pool = network()
    open_pool.run()
    for other in (B, C):
        attacked = sent_by(open_pool, other, A) - node_masks(open_pool, other)
        assert unpacked(open_pool, attacked) == true_counts(open_pool, (other,))


# ---- shares left out, changed, or told differently


Change = Callable[[c.PoolShare], c.PoolShare]


def tampering(ran: ConsortiumNetwork, bank: PartyId, step: str, change: Change, only_to: PartyId | None = None) -> None:
    """Let one bank send another share than it should; it signs and seals it itself."""

    def on_path(envelope: Envelope) -> list[Envelope]:
        if envelope.sender != bank or envelope.message != "PoolShare" or only_to not in (None, envelope.receiver):
            return [envelope]
        receiver = PartyId(envelope.receiver)
        share = ran.channel(receiver).unwrap(envelope, c.PoolShare)
        if not share.step.startswith(step):
            return [envelope]
        return [ran.channel(bank).wrap(receiver, change(share))]

    ran.on_path = on_path


def added_at(place: int, amount: int) -> Change:
    def change(share: c.PoolShare) -> c.PoolShare:
        values = list(share.values)
        width = len(values[place])
        values[place] = ((int.from_bytes(values[place]) + amount) % (1 << (8 * width))).to_bytes(width)
        return msgspec.structs.replace(share, values=tuple(values))

    return change


def noise(share: c.PoolShare) -> c.PoolShare:
    return msgspec.structs.replace(share, values=tuple(secrets.token_bytes(len(value)) for value in share.values))


def no_model(ran: ConsortiumNetwork) -> None:
    assert all(role.result is None for role in ran.bank_roles.values())
    assert all(not site.parts for site in ran.sites.values())


@pytest.mark.parametrize("step", ["histograms", "gram", "moments", "fit", "gradient", "bands"])
def test_a_share_left_out_yields_no_model(step: str) -> None:
    ran = network(banks=2, refinements=1)
    keep = ran.on_path

    def on_path(envelope: Envelope) -> list[Envelope]:
        if envelope.sender == B and envelope.message == "PoolShare":
            share = ran.channel(A).unwrap(envelope, c.PoolShare)
            return [] if share.step.startswith(step) else keep(envelope)
        return keep(envelope)

    ran.on_path = on_path
    ran.run()
    assert ran.bank_roles[A].result is None
    assert not ran.relay.finished
    if step != "bands":  # before it, no node has been asked to sign either
        no_model(ran)


CHANGED: dict[str, tuple[str, Change]] = {
    "noise for histograms": ("histograms", noise),
    "one default more in one bin": ("histograms", added_at(-1, 1)),
    "one default more in all": ("histograms", added_at(0, 1)),
    "noise for the Gram matrix": ("gram", noise),
    "one more in its diagonal": ("gram", added_at(0, 1)),
    "noise for moments": ("moments", noise),
    "noise for the fit": ("fit", noise),
    "noise for the gradient": ("gradient", noise),
    "noise for the bands": ("bands", noise),
    "one test row more": ("bands", added_at(0, 1)),
}


@pytest.mark.parametrize(("step", "change"), CHANGED.values(), ids=CHANGED.keys())
def test_a_changed_share_is_detected(step: str, change: Change) -> None:
    ran = network(banks=2, refinements=1)
    tampering(ran, B, step, change)
    with pytest.raises(CreditFederationError) as caught:
        ran.run()
    assert caught.value.code in (
        "MALFORMED_MESSAGE",
        "VERIFICATION_FAILED",
        "WRONG_HISTOGRAM",
        "WRONG_GRAM",
        "WRONG_BANDS",
        "FIT_DIVERGED",
        "WRONG_FIT",
        "CONSORTIUM_DISAGREES",
    )
    assert ran.bank_roles[A].result is None
    assert not any(site.parts for site in ran.sites.values())


def test_a_bank_that_tells_two_banks_different_shares_gets_no_model() -> None:
    """Small enough to pass every range check: then the banks compute different models, and no node acts on either."""
    ran = network(banks=3, refinements=1)
    tampering(ran, C, "gradient", added_at(0, 1 << 12), only_to=B)
    with pytest.raises(VerificationFailed) as caught:
        ran.run()
    assert caught.value.code == "CONSORTIUM_DISAGREES"
    no_model(ran)


# ---- tables and models that not all banks ask for


def test_a_node_evaluates_no_table_that_one_bank_made_up() -> None:
    """A lead that asks for a table of place values, to read bins out of totals, asks alone."""
    ran = network(banks=2)

    def on_path(envelope: Envelope) -> list[Envelope]:
        if envelope.sender != A or envelope.message != "PointTables":
            return [envelope]
        node = PartyId(envelope.receiver)
        honest_tables = ran.channel(node).unwrap(envelope, m.PointTables)
        crafted = tuple(
            m.FeaturePoints(tuple(bin_ << (4 * place) for bin_ in range(len(feature.points))))
            for place, feature in enumerate(honest_tables.features)
        )
        return [ran.channel(A).wrap(node, msgspec.structs.replace(honest_tables, features=crafted))]

    ran.on_path = on_path
    with pytest.raises(VerificationFailed) as caught:
        ran.run()
    assert caught.value.code == "CONSORTIUM_DISAGREES"
    assert not any(leak is m.LeakClass.ROW_TOTALS for site in ran.sites.values() for _, leak in site.releases)


def test_a_bank_alone_cannot_call_for_totals() -> None:
    ran = network(banks=2)
    ran.on_path = lambda e: [] if e.sender == B and e.message == "PointTables" else [e]
    ran.run()
    assert not any(leak is m.LeakClass.ROW_TOTALS for site in ran.sites.values() for _, leak in site.releases)


def test_labels_other_than_committed_are_refused() -> None:
    ran, other = network(banks=2), network(banks=2)
    labels = other._labels[A]
    ran.on_path = lambda e: [ran.channel(A).wrap(PartyId("_everyone"), labels)] if _is_labels(e, A) else [e]
    with pytest.raises(VerificationFailed, match="commits to"):
        ran.run()


def _is_labels(envelope: Envelope, bank: PartyId) -> bool:
    return envelope.sender == bank and envelope.message == "EncryptedLabels"


def test_a_bank_with_another_plan_does_not_take_part() -> None:
    ran = network(banks=2)
    member = ran.member(B, TrainingPlan(refinements=2))
    with pytest.raises(VerificationFailed) as caught:
        BankConsortium(ran.spec, ran.channel(B), ran.paillier[B], ran.public, member, secrets.token_bytes)
    assert caught.value.code == "PLAN_DIFFERS"


def test_totals_of_one_banks_customers_open_to_no_other(honest: ConsortiumNetwork) -> None:
    for bank, others in ((A, (B, C)), (B, (A, C)), (C, (A, B))):
        at = {
            party for party, e in honest.seen if e.message in ("MaskedTotals", "CombinedTotals") and e.receiver == bank
        }
        assert at == {bank}
        assert not any(e.receiver == bank and party in others for party, e in honest.seen)
