"""A domain in two districts: neither bank, coordinator nor the other district reads what is one district's own.

The bank brings its private key, and the coordinator all that passes it; each is held against the district's true sums.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nodes.data_node.survey import CELLS, OCTAVES, DistrictSurvey
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import Message
from protocols.errors import CreditFederationError, UnexpectedMessage, VerificationFailed
from protocols.masks import zero_sum_masks
from protocols.paillier import CiphertextVector, decrypt
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import histogram_packing, masking, product_packing
from protocols.scorecard.cells import fold, unfold
from protocols.scorecard.district_node import DistrictTraining
from protocols.scorecard.releases import combine
from tests.protocol.district_network import MINIMUM, NORTH, SOCIAL, SOUTH, DistrictNetwork
from tests.protocol.network import BANK, COORDINATOR

KINDS = (
    m.DistrictCounts,
    m.DomainCounts,
    m.DistrictSums,
    m.PooledSums,
    m.LocalGram,
    m.MaskShare,
    m.ProductShare,
    m.BinHistograms,
)
CELLS_OF_LEVEL = (3 * (OCTAVES + 1), 3 * CELLS)


class Watched:
    """A whole run, with every message of interest opened by whoever it was for."""

    def __init__(self) -> None:
        self.network = DistrictNetwork()
        self.seen: list[tuple[PartyId, PartyId, Message]] = []
        kinds = {kind.__name__: kind for kind in KINDS}

        def on_path(envelope: Envelope) -> list[Envelope]:
            if envelope.message in kinds:
                receiver = PartyId(envelope.receiver)
                message = self.network.channel(receiver).unwrap(envelope, kinds[envelope.message])
                self.seen.append((PartyId(envelope.sender), receiver, message))
            return [envelope]

        self.network.on_path = on_path
        self.network.run()

    def all(self, kind: type[Message], sender: PartyId, receiver: PartyId) -> list[Message]:
        return [msg for s, r, msg in self.seen if isinstance(msg, kind) and (s, r) == (sender, receiver)]

    def rows_of(self, district: PartyId) -> m.BinHistograms:
        (found,) = self.all(m.BinHistograms, district, BANK)
        assert isinstance(found, m.BinHistograms)
        return found

    def own_bads(self, district: PartyId) -> list[int]:
        """The defaults of one district's own training rows in each common bin: what nobody else may know."""
        role = self.network.nodes[district]
        assert role._rows is not None
        n, known = self.network.data.training_rows, self.network.where == (0 if district == NORTH else 1)
        bad = self.network.data.training_bad * known[:n]
        codes = role._rows.codes[:n]
        sizes = role._rows.fine_bins()
        return [int(v) for j, size in enumerate(sizes) for v in np.bincount(codes[:, j], weights=bad, minlength=size)]


@pytest.fixture(scope="module")
def watched() -> Watched:
    return Watched()


def slots(network: DistrictNetwork, vectors: list[bytes], count: int) -> list[int]:
    """What a holder of the bank's key reads in the slots of a product of some shares."""
    key = network.paillier[BANK]
    plain = decrypt(key, CiphertextVector.from_bytes(key.public_key, combine(vectors, key.public_key)))
    packing = histogram_packing(network.data.training_rows, key.public_key.bits)
    mask = (1 << packing.slot_bits) - 1
    return [plain[i // packing.slots] >> (i % packing.slots * packing.slot_bits) & mask for i in range(count)]


def histogram_shares(watched: Watched) -> dict[PartyId, bytes]:
    shares = {}
    for district in (NORTH, SOUTH):
        sums = [s for s in watched.all(m.DistrictSums, district, BANK) if isinstance(s, m.DistrictSums)]
        shares[district] = next(s.vector for s in sums if s.step == "histograms")
    return shares


def test_one_districts_share_opens_to_noise_and_both_to_the_domains_sums(watched: Watched) -> None:
    shares = histogram_shares(watched)
    own = {district: watched.own_bads(district) for district in shares}
    together = slots(watched.network, list(shares.values()), len(own[NORTH]))
    missing = np.cumsum([len(f.counts) for f in watched.rows_of(NORTH).features]) - 1
    ordinary = [i for i in range(len(together)) if i not in missing]
    assert [together[i] for i in ordinary] == [own[NORTH][i] + own[SOUTH][i] for i in ordinary]
    for district, vector in shares.items():
        read = slots(watched.network, [vector], len(own[district]))
        matching = sum(read[i] == own[district][i] for i in ordinary)
        assert matching <= 3  # of some 50 slots of ten bits


def test_without_masks_a_districts_share_shows_its_own_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(own: str, key: object, peers: object, salt: bytes, count: int, modulus: int) -> list[int]:
        return [0] * count if b"district/histograms" in salt else zero_sum_masks(own, key, peers, salt, count, modulus)  # type: ignore[arg-type]

    monkeypatch.setattr("protocols.scorecard.district_node.zero_sum_masks", nothing)
    watched = Watched()
    own = watched.own_bads(NORTH)
    read = slots(watched.network, [histogram_shares(watched)[NORTH]], len(own))
    missing = np.cumsum([len(f.counts) for f in watched.rows_of(NORTH).features]) - 1
    assert all(read[i] == own[i] for i in range(len(own)) if i not in missing)


def test_bins_and_counts_that_the_bank_sees_are_the_domains(watched: Watched) -> None:
    assert watched.rows_of(NORTH).features == watched.rows_of(SOUTH).features == watched.network.one_node().features
    for district in (NORTH, SOUTH):
        assert all(count == 0 or count >= MINIMUM for f in watched.rows_of(district).features for count in f.counts)


def own_counts(watched: Watched, district: PartyId, level: int) -> NDArray[np.uint32]:
    network = watched.network
    columns = network.sites[district].columns  # type: ignore[attr-defined]
    survey = DistrictSurvey(columns, network.data.training_rows, 32, MINIMUM)
    if level:
        whole = DistrictSurvey(columns, network.data.training_rows, 32, MINIMUM)
        pooled = own_counts(watched, NORTH, 0) + own_counts(watched, SOUTH, 0)
        assert whole.take(pooled) is None
        return whole.counts()
    return survey.counts()


def test_a_district_sends_the_first_one_noise_that_only_the_sum_takes_off(watched: Watched) -> None:
    for level in (0, 1):
        counts = [c for c in watched.all(m.DistrictCounts, SOUTH, NORTH) if isinstance(c, m.DistrictCounts)]
        pooled = [c for c in watched.all(m.DomainCounts, NORTH, SOUTH) if isinstance(c, m.DomainCounts)]
        true = own_counts(watched, SOUTH, level)
        sent = np.frombuffer(next(c.counts for c in counts if c.level == level), dtype="<u2")
        assert len(sent) == len(true)
        assert np.mean(sent == true) < 0.001
        told = unfold(next(c.counts for c in pooled if c.level == level), len(true))
        np.testing.assert_array_equal(told, own_counts(watched, NORTH, level) + true)


@pytest.mark.parametrize("level", [0, 1])
def test_nothing_opens_if_the_first_district_tells_others_what_it_does_not_count_itself(level: int) -> None:
    network, opened = DistrictNetwork(), []
    keys, cards = network.channel(NORTH), network.channel(SOUTH)

    def on_path(envelope: Envelope) -> list[Envelope]:
        opened.extend([envelope.message] if envelope.message in ("PooledSums", "WoeTables") else [])
        if envelope.message != "DomainCounts":
            return [envelope]
        message = cards.unwrap(envelope, m.DomainCounts)
        if message.level != level:
            return [envelope]
        cells = unfold(message.counts, CELLS_OF_LEVEL[level])
        held = np.flatnonzero(cells)
        cells[held[0]], cells[held[1]] = cells[held[0]] - 1, cells[held[1]] + 1
        return [keys.wrap(SOUTH, m.DomainCounts(level, fold(cells)))]

    network.on_path = on_path
    with pytest.raises(CreditFederationError):
        network.run()
    assert opened == ([] if level == 0 else ["PooledSums"])
    assert network.bank.result is None


def test_a_districts_masked_counts_cross_once_each(watched: Watched) -> None:
    counted = [(s, r) for s, r, msg in watched.seen if isinstance(msg, m.DistrictCounts)]
    assert counted == [(SOUTH, NORTH)] * 2
    assert [(s, r) for s, r, msg in watched.seen if isinstance(msg, m.DomainCounts)] == [(NORTH, SOUTH)] * 2


def true_gram(watched: Watched, district: PartyId) -> list[int]:
    role = watched.network.nodes[district]
    assert isinstance(role, DistrictTraining)
    assert role._columns is not None
    gram = role._columns.gram()
    return [int(v) for v in gram[np.triu_indices(len(gram))]]


def test_gram_blocks_of_one_district_are_noise_to_bank_and_sibling(watched: Watched) -> None:
    for district, sibling in ((NORTH, SOUTH), (SOUTH, NORTH)):
        true = true_gram(watched, district)
        for receiver in (BANK, sibling):
            (block,) = watched.all(m.LocalGram, district, receiver)
            assert isinstance(block, m.LocalGram)
            assert not set(block.entries) & {value % (1 << 63) for value in true}


def packed_products(watched: Watched, district: PartyId) -> set[int]:
    """One district's inner products with the columns of the social node, and of the bank, packed as they travel."""
    network, n = watched.network, watched.network.data.training_rows
    own, social = network.nodes[district]._columns, network.nodes[SOCIAL]._columns
    bank = network.bank._own_columns
    assert own is not None
    assert social is not None
    assert bank is not None
    packing = product_packing(n, network.public[BANK].bits, network.nodes[district]._product_bound())
    products = [owner.values().T @ own.values() for owner in (social, bank)]
    return {packing.pack(column.tolist())[0] for block in products for column in block.T}


def differences(watched: Watched) -> set[int]:
    """Every share of products at the bank, and every one less every mask share of as many bits."""
    shares = [
        bits for _, _, msg in watched.seen if isinstance(msg, m.MaskShare | m.ProductShare) for bits in msg.low_bits
    ]
    masks = [bits for _, _, msg in watched.seen if isinstance(msg, m.MaskShare) for bits in msg.low_bits]
    found = {int.from_bytes(share) for share in shares}
    for share in shares:
        for mask in masks:
            found.add(int.from_bytes(share) - int.from_bytes(mask))
    return found


def test_no_pair_of_shares_at_the_bank_opens_one_districts_products(watched: Watched) -> None:
    key = watched.network.public[BANK]
    packing = product_packing(
        watched.network.data.training_rows, key.bits, watched.network.nodes[NORTH]._product_bound()
    )
    found = differences(watched)
    assert len(found) > 50
    for width in (1, 2):
        modulus = 1 << masking(packing, width, key).bits
        read = {value % modulus for value in found}
        for district in (NORTH, SOUTH):
            assert not read & {value % modulus for value in packed_products(watched, district)}


def test_a_share_that_the_coordinator_replaces_in_the_product_is_noticed() -> None:
    network = DistrictNetwork()

    def on_path(envelope: Envelope) -> list[Envelope]:
        if envelope.message != "PooledSums":
            return [envelope]
        message = network.channel(COORDINATOR).read_open(envelope, m.PooledSums)
        vector = CiphertextVector.from_bytes(network.public[BANK], message.vector)
        forged = m.PooledSums(message.lead, message.step, vector.add_plain([1] * len(vector)).to_bytes())
        return [network.channel(COORDINATOR).wrap(BANK, forged, sealed=False)]

    network.on_path = on_path
    with pytest.raises(VerificationFailed):
        network.run()
    assert network.bank.result is None


def test_only_siblings_may_count_with_a_district() -> None:
    network = DistrictNetwork()
    for sender in (SOCIAL, BANK, COORDINATOR):
        for district in (NORTH, SOUTH):
            for message in (m.DistrictCounts(0, b""), m.DomainCounts(0, b""), m.LocalGram((1,))):
                with pytest.raises(UnexpectedMessage):
                    network.tell(district, message, sender=sender)
    for district, message in ((SOUTH, m.DistrictCounts(0, b"")), (NORTH, m.DomainCounts(0, b""))):
        with pytest.raises(UnexpectedMessage):  # the first of them adds up, and no other
            network.tell(district, message, sender=NORTH if district == SOUTH else SOUTH)
    with pytest.raises(UnexpectedMessage):
        network.tell(SOCIAL, m.DistrictCounts(0, b""), sender=NORTH)
