"""The bank's agent takes only answers to what it asked, and gives no score that the log has not receipted."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.local.federation import LocalFederation
from nodes.bank.agent import BankAgent
from nodes.bank.model.file import RunFacts
from nodes.bank.training.runs import TrainingTerms
from nodes.bank.training.split import Split
from nodes.keystore import read_keys
from protocols.channel.envelope import EVERYONE, Channel, Envelope, Parcel, open_parcel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.channel.wire import decode, encode
from protocols.errors import CreditFederationError, PeerRefused, PolicyDenied, UnexpectedMessage, VerificationFailed
from protocols.scorecard.messages import Cohort, EncryptedLabels, NodeEntry, RunSpec
from protocols.transparency.log_proofs import Receipt
from tests.conftest import TrainedFederation
from tests.small_federation import NODES, NOW, default_split

SPLIT = Split(np.arange(0, 300), np.arange(300, 400))


@pytest.fixture(scope="module")
def federation(trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFederation]:
    """A copy of the trained federation for all tests here: their questions reach the bank's ledger, and no log."""
    folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("bank") / "federation"))
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        yield federation


@pytest.fixture
def bank(federation: LocalFederation) -> BankAgent:
    return BankAgent(federation.bank._site)


def terms(federation: LocalFederation, minimum_bin: int = 20) -> TrainingTerms:
    cards = federation.pins.cards
    return TrainingTerms(tuple(NodeEntry(n, n, cards[PartyId(n)].fingerprint()) for n in NODES), minimum_bin)


def test_a_run_opens_with_ciphertexts_for_all_and_a_sealed_cohort_for_each(
    bank: BankAgent, federation: LocalFederation
) -> None:
    transcript = bank.open_training(SPLIT, terms(federation), "consent")
    envelopes = open_parcel(bank.handle(pack_parcel(())))
    assert [(e.message, e.receiver, e.sealed) for e in envelopes] == [
        ("RunSpec", EVERYONE, False),
        ("EncryptedLabels", EVERYONE, False),
        *(("Cohort", node, True) for node in NODES),
    ]
    assert {e.transcript for e in envelopes} == {transcript}
    spec = decode(envelopes[0].body, RunSpec)
    assert (spec.rows, spec.training_rows, spec.row_totals) == (400, 300, 2)
    assert open_parcel(bank.handle(pack_parcel(()))) == ()
    tax = Channel(read_keys(federation.folder / "tax"), federation.pins.cards, transcript)
    assert tax.unwrap(envelopes[-1], Cohort).ids == bank.cohort_ids(SPLIT)


def test_labels_are_fresh_ciphertexts_in_every_run(bank: BankAgent, federation: LocalFederation) -> None:
    vectors = []
    for _ in range(2):
        bank.open_training(SPLIT, terms(federation), "consent")
        vectors.append(decode(open_parcel(bank.handle(pack_parcel(())))[1].body, EncryptedLabels).vector)
    width = len(vectors[0]) // 300
    cells = [v[i : i + width] for v in vectors for i in range(len(v) % width, len(v), width)]
    assert len(set(cells)) == len(cells)


def test_an_unfinished_run_has_no_result(bank: BankAgent, federation: LocalFederation) -> None:
    transcript = bank.open_training(SPLIT, terms(federation), "consent")
    with pytest.raises(UnexpectedMessage):
        bank.trained(transcript, RunFacts())


def test_a_cohort_below_k_is_not_even_announced(bank: BankAgent, federation: LocalFederation) -> None:
    few = Split(np.arange(10), np.arange(10, 20))
    with pytest.raises(PolicyDenied) as refusal:
        bank.open_training(few, terms(federation), "consent")
    assert refusal.value.code == "COHORT_TOO_SMALL"
    assert open_parcel(bank.handle(pack_parcel(()))) == ()


@settings(max_examples=45, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["ScoreShare", "Denial", "CombinedScore", "LogReceipt", "BinHistograms", "Nonsense"]),
    body=st.binary(max_size=200),
    sender=st.sampled_from(["tax", "coordinator", "bank", "stranger"]),
    asked=st.sampled_from(["query", "run", "nothing"]),
)
def test_no_envelope_makes_the_bank_raise_or_believe(
    federation: LocalFederation, kind: str, body: bytes, sender: str, asked: str
) -> None:
    bank = BankAgent(federation.bank._site)
    transcript = {
        "query": lambda: bank.ask("91350100M000100Y43", "", federation.model()),
        "run": lambda: bank.open_training(SPLIT, terms(federation), "consent"),
        "nothing": lambda: bytes(32),
    }[asked]()
    reply = decode(
        bank.handle(pack_parcel((Envelope(transcript, sender, "bank", kind, False, body, bytes(64)),))), Parcel
    )
    assert reply.refusal in {"UNEXPECTED_MESSAGE", "VERIFICATION_FAILED", "MALFORMED_MESSAGE"}


@given(st.binary(max_size=200))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_the_bank_raise(federation: LocalFederation, data: bytes) -> None:
    decode(BankAgent(federation.bank._site).handle(data), Parcel)


def test_a_query_whose_nodes_stay_silent_ends_without_a_score(bank: BankAgent, federation: LocalFederation) -> None:
    transcript = bank.ask("91350100M000100Y43", "", federation.model())
    result = bank.result(transcript)
    assert (result.status, result.code, result.pd, result.score) == ("failed", "NODE_MISSING", None, None)
    with pytest.raises(PeerRefused):
        open_parcel(bank.handle(pack_parcel((Envelope(transcript, "tax", "bank", "Denial", False, b"", bytes(64)),))))


FORGERIES: dict[str, Callable[[Receipt], Receipt]] = {
    "CHECKPOINT_NOT_SIGNED": lambda r: replace(r, note=r.note.replace(b"federation.local", b"federation.other")),
    "MALFORMED_MESSAGE": lambda r: replace(r, note=b""),
    "NO_RECEIPT": lambda r: replace(r, index=10**6),
}


def test_an_answer_without_a_receipt_of_the_log_is_no_answer(
    federation_folder: Path, trained: TrainedFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinator answers with a receipt of its own making, or none; all else is honest."""
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        coordinator = federation.coordinator
        leaves, route = coordinator._leaves, coordinator.route
        flush = leaves.flush
        for code, forge in FORGERIES.items():
            monkeypatch.setattr(leaves, "flush", lambda forge=forge: [forge(receipt) for receipt in flush()])
            with pytest.raises(CreditFederationError) as refusal:
                federation.assess([trained.ids[0]])
            assert refusal.value.code == code
        monkeypatch.setattr(leaves, "flush", flush)
        assert federation.assess([trained.ids[0]])[0].status == "ok"
        monkeypatch.setattr(
            coordinator, "route", lambda sender, sent: [r for r in route(sender, sent) if r[1].message != "LogReceipt"]
        )
        with pytest.raises(VerificationFailed) as refusal:
            federation.assess([trained.ids[0]])
    assert refusal.value.code == "NO_RECEIPT"


def test_a_split_is_ordered_with_training_rows_first(federation: LocalFederation) -> None:
    split = default_split(federation)
    assert set(split.order().tolist()) == set(range(400))
    assert split.order()[: len(split.training)].tolist() == split.training.tolist()
    ids = federation.bank.cohort_ids(split)
    assert ids[0] == federation.bank_table.ids[int(split.training[0])]


def test_a_model_whose_manifest_not_every_node_signed_is_not_asked_with(
    bank: BankAgent, federation: LocalFederation, trained: TrainedFederation
) -> None:
    signed = federation.model().signed_manifest()
    signatures = (signed.signatures[0], signed.signatures[0], signed.signatures[2])
    forged = base64.b64encode(encode(msgspec.structs.replace(signed, signatures=signatures))).decode()
    with pytest.raises(VerificationFailed):
        bank.ask(trained.ids[0], "", msgspec.structs.replace(federation.model(), manifest=forged))
