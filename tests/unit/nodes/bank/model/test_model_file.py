"""The bank's model file reads back as it was signed, and not at all once anything in it was changed."""

from __future__ import annotations

import errno
from pathlib import Path

import msgspec
import pytest

from nodes.bank.model.file import FORMAT, ModelFile, read_model_file, sign_model_file, write_model_file
from nodes.keystore import read_cards, read_keys
from protocols.channel.identity import PartyCard, PartyId, PartyRole
from protocols.errors import ConfigurationError, CreditFederationError, VerificationFailed
from tests.conftest import TrainedFederation

BANK = PartyId("bank")


@pytest.fixture
def model(trained: TrainedFederation) -> ModelFile:
    return trained.training.model


@pytest.fixture
def card(trained: TrainedFederation) -> PartyCard:
    return read_cards(trained.folder / "cards").card(BANK, PartyRole.BANK)


def test_a_model_reads_back_as_it_was_signed(tmp_path: Path, model: ModelFile, card: PartyCard) -> None:
    write_model_file(tmp_path / "model.json", model)
    assert read_model_file(tmp_path / "model.json", card) == model
    assert model.format == FORMAT
    assert model.model == model.signed_manifest().manifest.model_hash().hex()


def test_own_points_follow_own_bins(model: ModelFile) -> None:
    for binning, points in zip(model.own_binnings, model.own_points, strict=True):
        assert len(points) == binning.bins + 1
        assert min(points) >= 0


@pytest.mark.parametrize("field", ["intercept", "slope", "own_points", "manifest", "model", "bank", "signature"])
def test_a_model_that_was_altered_is_refused(tmp_path: Path, model: ModelFile, card: PartyCard, field: str) -> None:
    changed: dict[str, object] = {
        "intercept": model.intercept + 1e-9,
        "slope": -model.slope,
        "own_points": tuple(tuple(p + 1 for p in points) for points in model.own_points),
        "manifest": "AAAA" + model.manifest[4:],
        "model": "0" * 64,
        "bank": "other",
        "signature": "",
    }
    path = tmp_path / "model.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(model, **{field: changed[field]})))
    with pytest.raises(VerificationFailed) as refusal:
        read_model_file(path, card)
    assert refusal.value.code == "MODEL_TAMPERED"


@pytest.mark.parametrize(
    ("content", "code"), [(None, "NO_MODEL"), (b"", "MODEL_UNREADABLE"), (b"\xff", "MODEL_UNREADABLE")]
)
def test_a_missing_or_damaged_model_is_named(tmp_path: Path, card: PartyCard, content: bytes | None, code: str) -> None:
    if content is not None:
        (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(CreditFederationError) as refusal:
        read_model_file(tmp_path / "model.json", card)
    assert refusal.value.code == code
    assert isinstance(refusal.value, ConfigurationError) == (code == "NO_MODEL")


def test_no_other_party_signs_or_vouches_for_it(trained: TrainedFederation, model: ModelFile, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot sign"):
        sign_model_file(model, read_keys(trained.folder / "tax"))
    write_model_file(tmp_path / "model.json", model)
    tax = read_cards(trained.folder / "cards").cards[PartyId("tax")]
    with pytest.raises(VerificationFailed):
        read_model_file(tmp_path / "model.json", tax)


def test_an_unsigned_model_is_not_written(tmp_path: Path, model: ModelFile) -> None:
    with pytest.raises(ValueError, match="signed"):
        write_model_file(tmp_path / "model.json", msgspec.structs.replace(model, signature=""))
    assert not (tmp_path / "model.json").exists()


def test_a_disk_that_fills_leaves_the_earlier_model_whole(
    tmp_path: Path, model: ModelFile, card: PartyCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model_file(tmp_path / "model.json", model)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_model_file(tmp_path / "model.json", msgspec.structs.replace(model, bank="another"))
    assert read_model_file(tmp_path / "model.json", card) == model
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]
