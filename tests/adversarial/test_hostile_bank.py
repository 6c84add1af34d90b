"""A bank that trains against the nodes: two faces, one release too many, false manifests, runs that cannot be.

Each attack is driven message by message against an honest node, under the bank's own signature; the attacker holds the
bank's private key and sees all that the node answers.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec
import pytest
from one_bit_runs import ROWS, TAX, opened, two_bins, with_spec

from nodes.ledger import open_node_ledger
from protocols.assessment.manifest import Manifest, PartEntry, Theme, sign_manifest
from protocols.channel.envelope import Channel
from protocols.channel.identity import PartyId
from protocols.channel.wire import digest
from protocols.errors import (
    CreditFederationError,
    MalformedMessage,
    UnexpectedMessage,
    VerificationFailed,
)
from protocols.paillier import OwnerEncryptor
from protocols.scorecard import messages as m
from protocols.scorecard.admission import check_spec
from protocols.scorecard.arithmetic import (
    TOTAL_BITS,
    total_packing,
)
from protocols.scorecard.node import NodeTraining
from protocols.scorecard.themes import BAND_POINTS
from tests.protocol.network import BANK, Network, small_network

# ---- two faces


def told_two_cohorts() -> Network:
    """All nodes but one are given another cohort: enterprises whose points the bank knows."""
    network = small_network(refinements=0)
    other = m.Cohort(tuple(f"x{i}" for i in range(network.spec.rows)), "")
    cohorts = {name: cohort if name == TAX else other for name, cohort in network.cohorts().items()}
    network.start = lambda: network.bank.start(network.labels, cohorts)  # type: ignore[method-assign]
    return network


def test_a_cohort_told_differently_to_one_node_opens_no_totals() -> None:
    network = told_two_cohorts()
    with pytest.raises(VerificationFailed):
        network.run()
    assert network.bank.result is None


def test_without_the_cohort_in_the_masks_two_faces_open_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.scorecard.node_role.cohort_subject", lambda ids: "")
    network = told_two_cohorts()
    network.run()
    assert network.bank.result is not None


def test_a_run_opened_twice_would_show_one_nodes_totals_so_the_ledger_refuses_it(tmp_path: Path) -> None:
    """Masks are fixed by the run. Two tables under one mask differ by one node's own totals, row by row."""
    network, secret = two_bins()
    masked = []
    for points in ((0, 0), (0, 1)):
        with_spec(network, network.spec)
        network.open_run(TAX)
        network.tell(TAX, network.woe(TAX, ((0, 1),)))
        (reply,) = network.tell(TAX, m.PointTables(1, m.Rows.ALL, (m.FeaturePoints(points),), bytes(32)))
        masked.append(opened(network, network.channel(BANK).read_open(reply, m.MaskedTotals).vector))
    packing, n = total_packing(network.public[BANK].bits), network.public[BANK].n
    difference = [(b - a) % n for a, b in zip(*masked, strict=True)]
    assert packing.unpack(difference, ROWS) == secret.tolist()
    ledger = open_node_ledger(tmp_path / "ledger.sqlite")
    transcript = network.spec.transcript()
    ledger.runs.open(transcript, BANK, 1)
    with pytest.raises(VerificationFailed) as caught:
        ledger.runs.open(transcript, BANK, 1)
    assert caught.value.code == "RUN_REPLAYED"
    ledger.close()


# ---- releases of totals


def tables(release: int, highest: int = 1, rows: m.Rows = m.Rows.ALL) -> m.PointTables:
    return m.PointTables(release, rows, (m.FeaturePoints((0,) * 8 + (highest,)),) * 2, bytes(32))


def started(refinements: int = 2) -> Network:
    """A run in which one node has its WOE tables, and has released the totals of its own start."""
    network = small_network(refinements=refinements)
    network.open_run(TAX)
    network.tell(TAX, network.woe(TAX, (tuple(range(9)),) * 2))
    return network


def row_totals(network: Network) -> list[str]:
    return [step for step, leak in network.sites[TAX].releases if leak is m.LeakClass.ROW_TOTALS]


def test_a_release_beyond_those_planned_is_refused() -> None:
    network = started()
    assert network.spec.row_totals == 3
    for release in (1, 2):
        assert len(network.tell(TAX, tables(release))) == 1
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, tables(3))
    assert row_totals(network) == ["MaskedTotals/0", "MaskedTotals/1", "MaskedTotals/2"]


def test_a_release_repeated_or_out_of_order_is_refused() -> None:
    network = started()
    for release in (0, 2):
        with pytest.raises(UnexpectedMessage):
            network.tell(TAX, tables(release))
    network.tell(TAX, tables(1))
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, tables(1, highest=2))


def test_no_release_before_the_bins_are_weighed_and_none_under_another_name() -> None:
    network = small_network(refinements=0)
    network.open_run(TAX)
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, tables(0))
    network = started()
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, tables(1, rows=m.Rows.NONE))
    assert row_totals(network) == ["MaskedTotals/0"]


def test_a_run_with_one_release_spends_it_on_the_model_alone() -> None:
    network = started(refinements=0)
    assert row_totals(network) == []
    network.tell(TAX, tables(0))
    assert row_totals(network) == ["MaskedTotals/0"]
    for message in (tables(0), tables(1)):
        with pytest.raises(UnexpectedMessage):
            network.tell(TAX, message)


def test_residuals_are_taken_once_after_each_release_but_the_last() -> None:
    network, key = started(refinements=1), small_network().paillier[BANK]

    def residuals() -> m.EncryptedResiduals:
        vector = OwnerEncryptor(key, secrets.token_bytes).encrypt([0] * network.spec.training_rows)
        return m.EncryptedResiduals(vector.to_bytes())

    assert [reply.message for reply in network.tell(TAX, residuals(), everyone=True)] == ["GradientShare"]
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, residuals(), everyone=True)
    network.tell(TAX, tables(1))
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, residuals(), everyone=True)


def test_weights_of_a_start_never_exceed_the_slot_whatever_the_tables_say() -> None:
    """The bank chooses tables and gaps; the node shrinks what they lead to until totals fit."""
    network = small_network(refinements=1)
    network.open_run(TAX)
    woe = (tuple([-2047, 2047] * 4 + [0]),) * 2
    replies = network.tell(TAX, m.WoeTables(woe, network.plan(0, TAX, 2), (1 << 52, -(1 << 52)), (1 << 21, -(1 << 21))))
    assert [reply.message for reply in replies] == ["LocalGram", "MaskedTotals"]


@pytest.mark.parametrize("highest", [1 << (TOTAL_BITS - 2), (1 << 24) - 1])
def test_points_whose_totals_exceed_the_slot_are_refused(highest: int) -> None:
    network = started()
    with pytest.raises(MalformedMessage):
        network.tell(TAX, tables(1, highest))
    assert row_totals(network) == ["MaskedTotals/0"]


def test_points_for_other_bins_than_the_nodes_are_refused() -> None:
    network = started()
    for features in ((), (m.FeaturePoints((0,) * 9),), (m.FeaturePoints((0,) * 9), m.FeaturePoints((0,) * 8))):
        with pytest.raises(MalformedMessage):
            network.tell(TAX, m.PointTables(1, m.Rows.ALL, features, bytes(32)))


# ---- manifests


def final(network: Network) -> Manifest:
    """Give the node its final part, and return the manifest that an honest bank would have it sign."""
    network.open_run(TAX)
    network.tell(TAX, network.woe(TAX, (tuple(range(9)),) * 2))
    part = m.PointTables(1, m.Rows.ALL, (m.FeaturePoints((0,) * 8 + (90,), 0), m.FeaturePoints((0,) * 9)), bytes(32))
    network.tell(TAX, part)
    entries = tuple(PartEntry(n.party, n.domain, n.card, digest(part)) for n in network.spec.nodes)
    themes = (Theme("arrears", 2, BAND_POINTS),)
    return Manifest(
        network.spec.transcript(), BANK, "assessment", entries, TOTAL_BITS, 500, themes, 1, network.spec.row_totals
    )


def test_the_honest_manifest_is_signed_once() -> None:
    network = small_network()
    manifest = final(network)
    assert [reply.message for reply in network.tell(TAX, manifest, everyone=True)] == ["ManifestSignature"]
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, manifest, everyone=True)


FALSE_MANIFESTS = {
    "another run": lambda c: msgspec.structs.replace(c, run=bytes(32)),
    "another bank": lambda c: msgspec.structs.replace(c, bank="tax"),
    "another purpose": lambda c: msgspec.structs.replace(c, purpose="marketing"),
    "a node less": lambda c: msgspec.structs.replace(c, nodes=c.nodes[:-2] + c.nodes[-1:]),
    "a node twice": lambda c: msgspec.structs.replace(c, nodes=(*c.nodes, c.nodes[-1])),
    "nodes out of order": lambda c: msgspec.structs.replace(c, nodes=c.nodes[::-1]),
    "a range below the part's": lambda c: msgspec.structs.replace(c, maximum_total=89),
    "a range above the slot": lambda c: msgspec.structs.replace(c, maximum_total=1 << TOTAL_BITS),
    "no such theme": lambda c: msgspec.structs.replace(c, themes=()),
    "a theme cut fine": lambda c: msgspec.structs.replace(c, themes=(Theme("arrears", 2, (1, 2, 3)),)),
}


@pytest.mark.parametrize("name", [*FALSE_MANIFESTS, "a foreign part", "a foreign card", "an unpinned node"])
def test_a_false_manifest_is_not_signed(name: str) -> None:
    network = small_network()
    honest = final(network)
    entries = list(honest.nodes)
    place = [e.party for e in entries].index(TAX)
    if name == "a foreign part":
        entries[place] = msgspec.structs.replace(entries[place], part=bytes(32))
    elif name == "a foreign card":
        entries[0] = msgspec.structs.replace(entries[0], card="0" * 64)
    elif name == "an unpinned node":
        entries[0] = PartEntry("aaa", "x", "0" * 64, bytes(32))
    false = FALSE_MANIFESTS.get(name, lambda c: msgspec.structs.replace(c, nodes=tuple(entries)))(honest)
    with pytest.raises(VerificationFailed):
        network.tell(TAX, false, everyone=True)


def test_a_manifest_before_a_part_is_not_signed() -> None:
    """Its own start is no part of a model; points that it was told are, for a bank may end after any refinement."""
    network = started()
    entries = tuple(PartEntry(n.party, n.domain, n.card, digest(tables(1))) for n in network.spec.nodes)
    manifest = Manifest(
        network.spec.transcript(), BANK, "assessment", entries, TOTAL_BITS, 500, (), 1, network.spec.row_totals
    )
    with pytest.raises(UnexpectedMessage):
        network.tell(TAX, manifest, everyone=True)


def signatures(network: Network, manifest: Manifest) -> dict[PartyId, m.ManifestSignature]:
    """What each of the other nodes says of a manifest."""
    others = [PartyId(n.party) for n in manifest.nodes if n.party != TAX]
    return {p: m.ManifestSignature(manifest.model_hash(), sign_manifest(manifest, network.keys[p])) for p in others}


@pytest.mark.parametrize("fault", ["one missing", "one forged", "another manifest", "one twice", "the bank's"])
def test_a_part_is_kept_only_under_all_signatures(fault: str) -> None:
    network = small_network()
    manifest = final(network)
    network.tell(TAX, manifest, everyone=True)
    signed = signatures(network, manifest)
    *honest, last = signed
    for node in honest:
        network.tell(TAX, signed[node], sender=node, everyone=True)
    other = msgspec.structs.replace(manifest, maximum_total=501)
    faults = {
        "one forged": (last, m.ManifestSignature(manifest.model_hash(), signed[honest[0]].signature)),
        "another manifest": (last, signatures(network, other)[last]),
        "one twice": (honest[0], signed[honest[0]]),
        "the bank's": (BANK, signed[last]),
    }
    if fault in faults:
        sender, message = faults[fault]
        with pytest.raises(VerificationFailed):
            network.tell(TAX, message, sender=sender, everyone=True)
    assert network.sites[TAX].part is None
    assert not network.nodes[TAX].finished
    network.tell(TAX, signed[last], sender=last, everyone=True)
    assert network.sites[TAX].part is not None
    assert network.nodes[TAX].finished


# ---- runs that cannot be


@pytest.mark.parametrize(
    "change",
    [
        {"training_rows": 261},
        {"training_rows": 0},
        {"rows": 0},
        {"bank_card": "0" * 64},
        {"bank": "tax"},
        {"bank": "nobody"},
        {"nodes": "one"},
        {"nodes": "twice"},
        {"nodes": "without me"},
        {"nodes": "with the bank"},
    ],
    ids=str,
)
def test_a_run_that_cannot_be_is_not_joined(change: dict[str, str | int]) -> None:
    network = small_network()
    entries = {n.party: n for n in network.spec.nodes}
    bank = m.NodeEntry(BANK, "bank", network.spec.bank_card)
    sets = {
        "one": (entries["tax"],),
        "twice": (entries["social"], entries["tax"], entries["tax"]),
        "without me": (entries["fund"], entries["social"]),
        "with the bank": (bank, *network.spec.nodes),
    }
    fields = {name: sets.get(str(value), value) if name == "nodes" else value for name, value in change.items()}
    spec = msgspec.structs.replace(network.spec, **fields)
    channel = Channel(network.keys[TAX], network.cards, spec.transcript())
    with pytest.raises(VerificationFailed):
        NodeTraining(spec, channel, network.paillier[TAX], network.public, network.sites[TAX], secrets.token_bytes)


def test_a_party_outside_the_pins_is_named() -> None:
    network = small_network()
    with pytest.raises(CreditFederationError) as caught:
        check_spec(network.spec, {})
    assert caught.value.code == "WRONG_NODE_SET"
