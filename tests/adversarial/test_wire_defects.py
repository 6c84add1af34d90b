"""Each defence of the wire is taken out of a real run in turn, and the auditor must see it.

The defects are those that were found in other systems, or that one careless line would make here.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import phe
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from gmpy2 import mpz
from wire_runs import Site, found

from federation import coordinator, local
from nodes.data_node import assessments, training
from nodes.flower_relay import PARCEL, parcel_of
from protocols.channel import envelope as envelopes
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.paillier import CiphertextVector, OwnerEncryptor
from protocols.paillier.obfuscators import Obfuscator, OthersResidues
from protocols.scorecard import messages
from protocols.scorecard import relay as relays
from protocols.scorecard.bank import BankTraining
from protocols.scorecard.messages import RunSpec
from protocols.scorecard.node import NodeTraining
from protocols.wire_audit import Canaries, Code

NODES = ("electricity", "social", "tax")
LABELS_SEEN_BY = ("coordinator", *NODES)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("wire"))


def own_encryption(monkeypatch: pytest.MonkeyPatch, encrypt: Any) -> None:
    """Let the key owner encrypt otherwise: its labels, columns and residuals."""
    monkeypatch.setattr(OwnerEncryptor, "encrypt", lambda self, values: encrypt(self.public_key, self._source, values))


# ---- randomness


def test_labels_without_obfuscation_are_read_by_every_receiver(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leading peer's release dropped rⁿ from its vectors: labels travelled as 1 + mn."""
    own_encryption(
        monkeypatch, lambda key, _, values: CiphertextVector(key, [mpz(1)] * len(values)).add_plain(list(values))
    )
    report = site.run().judge()
    labels = found(report, Code.OBFUSCATOR_MISSING, "EncryptedLabels")[0]
    assert (labels.sender, labels.received_by) == ("bank", LABELS_SEEN_BY)
    assert (labels.index, labels.count) == (0, 168)
    assert "1 + mn" in labels.detail
    assert found(report, Code.OBFUSCATOR_MISSING, "EncryptedColumns")
    assert found(report, Code.OBFUSCATOR_MISSING, "EncryptedResiduals")
    assert found(report, Code.LOW_ENTROPY, "EncryptedLabels")


def test_totals_and_shares_without_obfuscation_are_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OthersResidues, "take", lambda self, count: [Obfuscator(mpz(1), mpz(1))] * count)
    tape = site.run(assessments=1)
    assert tape.statuses == ["ok"], "nothing but the auditor notices"
    report = tape.judge()
    for kind in ("MaskedTotals", "ScoreShare"):
        senders = {finding.sender for finding in found(report, Code.OBFUSCATOR_MISSING, kind)}
        assert senders == set(NODES)
    assert found(report, Code.OBFUSCATOR_MISSING, "CombinedScore")[0].received_by == ("bank",)


def test_an_obfuscator_of_a_guessable_r_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def encrypt(key: Any, source: Any, values: Sequence[int]) -> CiphertextVector:
        residues = [pow(mpz(3 + row % 100), key.modulus, key.modulus_square) for row in range(len(values))]
        return CiphertextVector(key, residues).add_plain(list(values))

    own_encryption(monkeypatch, encrypt)
    assert found(site.run(0).judge(), Code.OBFUSCATOR_MISSING, "EncryptedLabels")[0].count == 168


def test_a_cache_of_ciphertexts_shows_equal_labels(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = OwnerEncryptor.encrypt

    def cached(self: OwnerEncryptor, values: Sequence[int]) -> CiphertextVector:
        distinct = sorted(set(values))
        once = dict(zip(distinct, honest(self, distinct), strict=True))
        return CiphertextVector(self.public_key, [once[value] for value in values])

    monkeypatch.setattr(OwnerEncryptor, "encrypt", cached)
    tape = site.run(0)
    assert tape.error == "", "nothing but the auditor notices"
    labels = found(tape.judge(), Code.CIPHERTEXT_REPEATED, "EncryptedLabels")[0]
    assert (labels.count, labels.received_by) == (168 - 2, LABELS_SEEN_BY)


def test_one_obfuscator_for_a_vector_shows_differences(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def encrypt(key: Any, source: Any, values: Sequence[int]) -> CiphertextVector:
        return CiphertextVector(key, [source.take(1)[0].residue] * len(values)).add_plain(list(values))

    own_encryption(monkeypatch, encrypt)
    tape = site.run(0)
    assert tape.error == "", "nothing but the auditor notices"
    report = tape.judge()
    assert found(report, Code.OBFUSCATOR_REUSED, "EncryptedLabels")[0].count >= 1
    assert found(report, Code.OBFUSCATOR_REUSED, "EncryptedColumns")


def test_residuals_made_from_the_labels_without_fresh_obfuscators_are_seen(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two messages of one run that share their obfuscators: c₂/c₁ is 1 + n(residual − label)."""
    kept: dict[int, list[mpz]] = {}

    def encrypt(key: Any, source: Any, values: Sequence[int]) -> CiphertextVector:
        residues = kept.setdefault(id(source.public_key), [o.residue for o in source.take(len(values))])
        return CiphertextVector(key, residues[: len(values)]).add_plain(list(values))

    own_encryption(monkeypatch, encrypt)
    report = site.run(1).judge()
    assert not found(report, Code.OBFUSCATOR_REUSED, "EncryptedLabels")
    residuals = found(report, Code.OBFUSCATOR_REUSED, "EncryptedResiduals")[0]
    assert residuals.count == 168
    assert residuals.detail.startswith("first in record ")


def test_an_obfuscator_that_is_no_nth_residue_leaves_the_plaintext(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def encrypt(key: Any, source: Any, values: Sequence[int]) -> CiphertextVector:
        return CiphertextVector(key, [o.head for o in source.take(len(values))]).add_plain(list(values))

    own_encryption(monkeypatch, encrypt)
    labels = found(site.run(0).judge(), Code.PLAINTEXT_VISIBLE, "EncryptedLabels")[0]
    assert labels.count == 168


# ---- encodings


class Encoded:
    """What a careless serialiser would send in the place of a vector."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def to_bytes(self) -> bytes:
        return self._data


def floats_of(key: Any, values: Sequence[int]) -> list[phe.EncryptedNumber]:
    stock = phe.PaillierPublicKey(key.n)
    return [stock.encrypt(value - 0.0625) for value in values[:20]]


def test_phe_floats_in_json_show_their_exponents(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def encrypt(key: Any, _: Any, values: Sequence[int]) -> Encoded:
        return Encoded(json.dumps([[str(c.ciphertext()), c.exponent] for c in floats_of(key, values)]).encode())

    own_encryption(monkeypatch, encrypt)
    report = site.run(0).judge()
    exponents = found(report, Code.EXPONENT_VISIBLE, "EncryptedLabels")[0]
    assert exponents.received_by == LABELS_SEEN_BY
    assert exponents.count == 2 * 20
    assert found(report, Code.LOW_ENTROPY, "EncryptedLabels")


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_a_pickle_is_seen_whatever_its_protocol(site: Site, monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    own_encryption(monkeypatch, lambda key, _, values: Encoded(pickle.dumps(floats_of(key, values), protocol=protocol)))
    report = site.run(0).judge()
    assert found(report, Code.PICKLE, "EncryptedLabels")[0].received_by == LABELS_SEEN_BY
    assert found(report, Code.EXPONENT_VISIBLE, "EncryptedLabels"), "an EncryptedNumber names its exponent"


def test_labels_as_plain_numbers_are_no_ciphertexts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    own_encryption(
        monkeypatch,
        lambda key, _, values: Encoded(b"".join(int(v).to_bytes(key.ciphertext_bytes, "big") for v in values)),
    )
    report = site.run(0).judge()
    assert found(report, Code.LOW_ENTROPY, "EncryptedLabels")
    assert found(report, Code.CIPHERTEXT_RANGE, "EncryptedLabels"), "0 is no ciphertext"
    assert found(report, Code.OBFUSCATOR_MISSING, "EncryptedLabels"), "1 encrypts 0 without randomness"


# ---- sealing and signing


def test_an_unsealed_cohort_names_every_enterprise_to_the_coordinator(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrap = Channel.wrap

    def careless(self: Channel, receiver: PartyId, message: Any, *, sealed: bool = True) -> Envelope:
        return wrap(self, receiver, message, sealed=sealed and not isinstance(message, messages.Cohort))

    monkeypatch.setattr(Channel, "wrap", careless)
    report = site.run(0).judge()
    unsealed = found(report, Code.UNSEALED, "Cohort")
    assert [finding.received_by for finding in unsealed] == [("coordinator", node) for node in NODES]
    assert [finding.count for finding in found(report, Code.USCC_VISIBLE, "Cohort")] == [240] * 3


def test_a_seal_that_encrypts_nothing_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelopes, "seal", lambda data, receiver, info: data)
    monkeypatch.setattr(envelopes, "unseal", lambda data, key, info: data)
    report = site.run(0, assessments=1).judge()
    readable = {finding.message for finding in found(report, Code.SEALED_READABLE)}
    assert {"Cohort", "BinHistograms", "WoeTables", "LocalGram", "PointTables", "Subject"} <= readable
    assert found(report, Code.USCC_VISIBLE, "Subject")


def test_a_seal_with_a_fixed_ephemeral_key_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seal = envelopes.seal
    monkeypatch.setattr(envelopes, "seal", lambda *arguments: bytes(range(32)) + seal(*arguments)[32:])
    report = site.run(0).judge()
    assert len(found(report, Code.SEALING_REUSED, "Cohort")) == len(NODES) - 1


def test_a_body_changed_on_the_way_has_no_valid_signature(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    route = coordinator.Coordinator.route

    def tampering(self: Any, sender: PartyId, received: Any) -> Any:
        return [
            (party, msgspec.structs.replace(e, body=e.body[:-1] + bytes([e.body[-1] ^ 1])))
            if e.message == "EncryptedLabels" and party == "tax"
            else (party, e)
            for party, e in route(self, sender, received)
        ]

    monkeypatch.setattr(coordinator.Coordinator, "route", tampering)
    tape = site.run(0)
    assert tape.error == "VERIFICATION_FAILED"
    forged = found(tape.judge(), Code.SIGNATURE_INVALID)
    assert [(f.sender, f.message, f.received_by) for f in forged] == [("bank", "EncryptedLabels", ("tax",))]


def test_a_message_that_reaches_a_stranger_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    audience = relays.RelayTraining.audience

    def talkative(self: Any, envelope: Envelope) -> list[PartyId]:
        return [*map(PartyId, NODES)] if envelope.message == "Cohort" else audience(self, envelope)

    monkeypatch.setattr(relays.RelayTraining, "audience", talkative)
    strays = found(site.run(0).judge(), Code.MISROUTED, "Cohort")
    assert len(strays) == len(NODES)
    assert all(set(finding.received_by) == {"coordinator", *NODES} for finding in strays)


# ---- what is said beside the protocol


def test_a_debug_value_beside_the_parcel_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def chatty_app(handle: Any) -> ClientApp:
        app = ClientApp()

        @app.query()
        def relay(message: Message, context: Context) -> Message:
            array = Array(np.frombuffer(handle(parcel_of(message)), dtype=np.uint8))
            debug = ConfigRecord({"seen": 483920.75, "note": "arrears of Lucky Noodles Ltd"})
            return Message(RecordDict({PARCEL: ArrayRecord({PARCEL: array}), "debug": debug}), reply_to=message)

        return app

    monkeypatch.setattr(local.federation, "make_client_app", chatty_app)
    tape = site.run(0)
    assert tape.error == "", "nothing but the auditor notices"
    report = tape.judge(Canaries.of(["Lucky Noodles"], [483920.75]))
    outside = found(report, Code.PAYLOAD_OUTSIDE_PARCEL)
    assert {finding.received_by for finding in outside} == {("coordinator",)}
    assert {finding.count for finding in found(report, Code.CANARY)} == {2}, "the text and the IEEE number"


def test_a_canary_in_the_text_of_a_denial_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    denial = assessments.Denial
    monkeypatch.setattr(assessments, "Denial", lambda code, policy: denial("IN_ARREARS_SINCE_MAY", policy))
    tape = site.run(0, assessments=2)
    assert tape.statuses == ["ok", "denied"]
    assert tape.judge().ok
    seen = found(tape.judge(Canaries.of(["ARREARS_SINCE"])), Code.CANARY, "Denial")
    assert {finding.received_by for finding in seen} == {("bank", "coordinator")}


# ---- releases


def test_one_release_of_totals_over_the_plan_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bank that refines once more than it announced, at nodes that do not count."""
    as_bank, as_node, start = BankTraining.__init__, NodeTraining.__init__, BankTraining.start
    transcript = RunSpec.transcript

    def more(spec: Any) -> Any:
        return msgspec.structs.replace(spec, row_totals=spec.row_totals + 1)

    def greedy(self: Any, spec: Any, *rest: Any) -> None:
        as_bank(self, spec, *rest)
        self.spec, self._plan = more(spec), replace(self._plan, refinements=self._plan.refinements + 1)

    def careless(self: Any, spec: Any, *rest: Any) -> None:
        as_node(self, spec, *rest)
        self.spec = more(spec)

    def announce(self: Any, *given: Any) -> list[Envelope]:
        secretly, self.spec = self.spec, msgspec.structs.replace(self.spec, row_totals=self.spec.row_totals - 1)
        sent = start(self, *given)
        self.spec = secretly
        return sent

    def announced(self: Any) -> bytes:
        return transcript(msgspec.structs.replace(self, row_totals=2))

    monkeypatch.setattr(RunSpec, "transcript", announced)
    monkeypatch.setattr(BankTraining, "__init__", greedy)
    monkeypatch.setattr(BankTraining, "start", announce)
    monkeypatch.setattr(NodeTraining, "__init__", careless)
    monkeypatch.setattr(training.TrainingSite, "release", lambda self, spec, step, leak: None)
    tape = site.run(1)
    assert tape.error == "", "nothing but the auditor notices"
    report = tape.judge()
    assert report.accounts[0].planned_row_totals == 2
    assert report.accounts[0].revealed["row_totals"] == 3
    over = found(report, Code.RELEASE_OVER_PLAN, "CombinedTotals")
    assert [finding.received_by for finding in over] == [("bank",)]
    assert {finding.sender for finding in found(report, Code.RELEASE_OVER_PLAN, "MaskedTotals")} == set(NODES)


def test_a_product_that_leaves_a_node_out_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    combine = relays.combine
    monkeypatch.setattr(relays, "combine", lambda shares, key: combine(shares[1:], key))
    tape = site.run(0)
    assert tape.error == "VERIFICATION_FAILED"
    assert [f.received_by for f in found(tape.judge(), Code.PRODUCT_WRONG, "CombinedTotals")] == [("bank",)]


def test_labels_other_than_the_committed_ones_are_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    start = BankTraining.start

    def flipping(self: Any, labels: messages.EncryptedLabels, cohorts: Any) -> Any:
        width = self._paillier.public_key.ciphertext_bytes
        swapped = labels.vector[width : 2 * width] + labels.vector[:width] + labels.vector[2 * width :]
        return start(self, messages.EncryptedLabels(swapped), cohorts)

    monkeypatch.setattr(BankTraining, "start", flipping)
    assert found(site.run(0).judge(), Code.LABELS_CHANGED, "EncryptedLabels")[0].received_by == LABELS_SEEN_BY
