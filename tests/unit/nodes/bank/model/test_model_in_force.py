"""A bank's process asks with the model that was trained last; what does not verify leaves the old one in force."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from nodes.bank.model.file import ModelFile, sign_model_file, write_model_file
from nodes.bank.model.in_force import ModelInForce
from nodes.keystore import read_cards, read_keys
from tests.conftest import TrainedFederation


@pytest.fixture
def model(trained: TrainedFederation) -> ModelFile:
    return trained.training.model


def another(model: ModelFile, folder: Path) -> ModelFile:
    """A model that the bank has signed as well."""
    changed = msgspec.structs.replace(model, slope=2 * model.slope, signature="")
    return sign_model_file(changed, read_keys(folder / "bank"))


def test_a_model_that_takes_the_files_place_answers_from_then_on(
    tmp_path: Path, model: ModelFile, trained: TrainedFederation
) -> None:
    path, later = tmp_path / "model.json", another(model, trained.folder)
    write_model_file(path, model)
    force = ModelInForce(model, path, read_cards(trained.folder / "cards"))
    assert force.current == model
    write_model_file(path, later)
    assert force.current == later


def test_a_file_that_does_not_verify_or_is_gone_leaves_the_old_model_in_force(
    tmp_path: Path, model: ModelFile, trained: TrainedFederation
) -> None:
    path = tmp_path / "model.json"
    write_model_file(path, model)
    force = ModelInForce(model, path, read_cards(trained.folder / "cards"))
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(model, slope=2 * model.slope)))
    assert force.current == model
    path.unlink()
    assert force.current == model
    write_model_file(path, another(model, trained.folder))
    assert force.current.slope == 2 * model.slope


def test_a_change_between_reading_and_serving_is_not_missed(
    tmp_path: Path, model: ModelFile, trained: TrainedFederation
) -> None:
    path, later = tmp_path / "model.json", another(model, trained.folder)
    write_model_file(path, later)
    assert ModelInForce(model, path, read_cards(trained.folder / "cards")).current == later
