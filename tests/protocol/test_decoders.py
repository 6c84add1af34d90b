"""No bytes and no text from a peer lead to anything but an error of the federation's own tree, whatever reads them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.local.layout import BANK
from federation.process.settings import read_settings
from nodes.bank.model.file import read_model_file
from nodes.data_node.settings import NodeSettings
from nodes.features.owned import read_features_file
from nodes.keystore import read_cards
from nodes.policy.files import read_policy
from nodes.sources import read_description
from protocols.errors import CreditFederationError
from tests.conftest import TrainedFederation
from tests.protocol.decoder_samples import samples
from tests.protocol.decoders import decoders
from tests.protocol.fuzzing import damaged, examples

FUZZED: Final = samples()

EXCUSED: Final = {
    "federation.audit.log.audit_log:AuditLog.record_cosignatures": "reads by parse_signature_lines",
    "federation.audit.bodies.retention:ErasedBodies.take": "hashes the body, and reads none",
    "federation.audit.bodies.shredder:Shredder.uncover": "reads by decode_body",
    "federation.console.stories:tell": "reads by decode_commitment",
    "federation.enrolment.registrar:Registrar.certify": "reads by requested_key",
    "federation.enrolment.registrar:Registrar.restate": "takes what is decoded; reads by check_supernode_key",
    "nodes.backup.freshness:cosigned_size": "reads by parse_note, after the log's signature",
    "nodes.bank.training.own_cut:bin_as_cut": "reads by decode_cut",
    "protocols.assessment.opening:seal_sum": "reads by CiphertextVector.from_bytes",
    "protocols.boosting.offer:open_offer": "reads by CiphertextVector.from_bytes",
    "protocols.channel.pins:Pins.paillier_key": "reads by PublicKey.from_bytes and verify_key_proof",
    "protocols.channel.wire:decode": "each message class, in tests/unit/protocols/channel/test_channel_wire.py",
    "protocols.consent.revocation:RevocationView.check": "takes what is decoded",
    "protocols.consortium.histograms:node_histograms": "takes what is decoded",
    "protocols.consortium.pool:BankPool.total": "takes what is decoded",
    "protocols.enrolment.messages:verify_poll": "takes what is decoded",
    "protocols.enrolment.messages:verify_request": "takes what is decoded",
    "protocols.enrolment.token:draw_token": "takes what check_name has seen",
    "protocols.paillier.storage:Storage.validated": "called by CiphertextVector.from_bytes alone",
    "protocols.scorecard.curvature:open_gradient": "reads by CiphertextVector.from_bytes",
    "protocols.scorecard.histograms:open_histograms": "reads by CiphertextVector.from_bytes",
    "protocols.scorecard.products:multiply_columns": "reads by CiphertextVector.from_bytes",
    "protocols.scorecard.products:open_products": "reads by CiphertextVector.from_bytes",
    "protocols.transparency.checkpoints:parse_checkpoint": "in test_transparency_hostile.py",
    "protocols.transparency.checkpoints:verify_checkpoint": "in test_transparency_hostile.py",
    "protocols.transparency.checkpoints:verify_cosignature": "takes what is decoded",
    "protocols.transparency.leaves:decode_commitment": "in test_transparency_hostile.py",
    "protocols.transparency.log_proofs:LogProof.verify": "in test_transparency_hostile.py",
    "protocols.transparency.log_proofs:parse_log_proof": "in test_transparency_hostile.py",
    "protocols.transparency.notes:parse_note": "in test_transparency_hostile.py",
    "protocols.transparency.notes:parse_signature_lines": "in test_transparency_hostile.py",
    "protocols.transparency.notes:parse_vkey": "in test_transparency_hostile.py",
    "protocols.transparency.shredding:decode_body": "a message class: in test_channel_wire.py",
    "protocols.transparency.verifier:verify_consistency": "in test_transparency_tree.py",
    "protocols.transparency.verifier:verify_inclusion": "in test_transparency_tree.py",
    "protocols.transparency.witness:compare_checkpoints": "in test_transparency_hostile.py",
    "protocols.transparency.witness:parse_add_checkpoint": "in test_transparency_hostile.py",
}
"""Decoders that are not fuzzed here, each with the reason."""


def test_no_decoder_is_forgotten() -> None:
    assert decoders() - set(FUZZED) - set(EXCUSED) == set()


def test_nothing_is_listed_that_is_gone() -> None:
    for name in (*FUZZED, *EXCUSED):
        module, _, path = name.partition(":")
        found: object = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    assert not set(FUZZED) & set(EXCUSED)


@pytest.mark.parametrize("name", sorted(FUZZED))
def test_what_an_honest_peer_sends_is_read(name: str) -> None:
    FUZZED[name].read(FUZZED[name].honest)


@pytest.mark.parametrize("name", sorted(FUZZED))
@examples(20)
@given(data=st.data())
def test_what_a_hostile_peer_sends_raises_errors_of_the_tree_alone(name: str, data: st.DataObject) -> None:
    decoder = FUZZED[name]
    sent = data.draw(damaged(decoder.honest) | damaged_structure(decoder.honest) | st.binary(max_size=300))
    with suppress(CreditFederationError):
        decoder.read(sent)


@pytest.mark.parametrize("name", sorted(FUZZED))
def test_bytes_of_a_length_beyond_all_numbers_raise_errors_of_the_tree_alone(name: str) -> None:
    for sent in (b"", b"\xff" * 5000, b"9" * 5000):
        with suppress(CreditFederationError):
            FUZZED[name].read(sent)


def damaged_structure(honest: bytes) -> st.SearchStrategy[bytes]:
    """Honest bytes in which what is nested, huge or of another type stands in place of a piece."""
    pieces = [
        b"\x91" * 5000,
        b"[" * 5000,
        b'{"a":' * 2000,
        b"\xcf" + b"\xff" * 8,
        b"\xdd\xff\xff\xff\xff",
        b"\xed\xa0\x80",
    ]
    pieces += [b"1e999", b"NaN", b"9" * 5000, b"\0", b"\n", b".", b"..", b"null", b"-1", b"=", b"\xff" * 40]
    place = st.integers(0, len(honest))
    return st.builds(lambda i, piece: honest[:i] + piece + honest[i:], place, st.sampled_from(pieces))


# ---- files that come from elsewhere, or from an owner's hand

Reader = Callable[[Path], object]
FILES: Final[dict[str, str]] = {
    "model.json": "bank/model.json",
    "policy.yaml": "tax/policy.yaml",
    "domains.json": "data/domains.json",
    "features.yaml": "",
    "node.yaml": "",
}
FEATURES: Final = b"""id: uscc
as_of: 2024-01-31
views:
  - {name: features, sql: SELECT * FROM records}
features:
  - {name: sales, definition: sales, unit: CNY, grade: internal, refresh: monthly, legal_basis: law, purposes: [x]}
"""


@pytest.fixture(scope="module")
def readers(trained: TrainedFederation) -> dict[str, Reader]:
    card = read_cards(trained.folder / "cards").cards[BANK]
    return {
        "model.json": lambda path: read_model_file(path, card),
        "policy.yaml": read_policy,
        "domains.json": lambda path: read_description(path.parent),
        "features.yaml": read_features_file,
        "node.yaml": lambda path: read_settings(path, NodeSettings),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.mark.parametrize("name", sorted(FILES))
@examples(15)
@given(data=st.data())
def test_a_damaged_file_raises_errors_of_the_tree_alone(
    name: str, readers: dict[str, Reader], trained: TrainedFederation, folder: Path, data: st.DataObject
) -> None:
    honest = (trained.folder / FILES[name]).read_bytes() if FILES[name] else FEATURES
    path = folder / name
    path.write_bytes(data.draw(damaged(honest) | damaged_structure(honest)))
    with suppress(CreditFederationError):
        readers[name](path)


@pytest.mark.parametrize("text", ["a: 2024-99-99", "a: !!int x", "a: !!timestamp foo", "[" * 3000, "a: 0x_"])
@pytest.mark.parametrize("name", sorted(FILES))
def test_what_a_parser_chokes_on_raises_errors_of_the_tree_alone(
    name: str, text: str, readers: dict[str, Reader], folder: Path
) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(CreditFederationError):
        readers[name](folder / name)
