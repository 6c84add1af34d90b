"""Key files of a log and its witnesses: what was written is read back, and whatever else is there is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from federation.audit import create_log_signer, read_log_signer, write_log_keys
from nodes.keystore import create_witness, read_cosigner, read_log_key
from protocols.errors import ConfigurationError
from protocols.transparency import LogKeys

NAME = "test/witness/tax"


@pytest.fixture
def coordinator(tmp_path: Path) -> Path:
    signer = create_log_signer(tmp_path, "test/log")
    write_log_keys(tmp_path, LogKeys(signer.verifier))
    return tmp_path


@pytest.fixture
def witness(coordinator: Path) -> Path:
    folder = coordinator / "tax"
    folder.mkdir()
    create_witness(folder, NAME, read_log_signer(coordinator).verifier)
    return folder


def test_what_is_written_is_read_back(coordinator: Path, witness: Path) -> None:
    signer, cosigner = read_log_signer(coordinator), read_cosigner(witness, NAME)
    assert read_log_key(witness) == signer.verifier
    assert cosigner.name == NAME
    assert cosigner.verifier.key != signer.verifier.key
    for path in (coordinator / "log.key", witness / "witness.key"):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() not in repr((signer, cosigner)).encode()


def test_a_key_is_never_written_over(coordinator: Path, witness: Path) -> None:
    with pytest.raises(FileExistsError):
        create_log_signer(coordinator, "test/log")
    with pytest.raises(FileExistsError):
        create_witness(witness, NAME, read_log_signer(coordinator).verifier)


def _pem(key: Ed25519PrivateKey | X25519PrivateKey, locked: bool = False) -> bytes:
    return key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word") if locked else NoEncryption()
    )


BAD_KEYS: list[Callable[[], bytes]] = [
    lambda: b"",
    lambda: b"junk",
    lambda: _pem(X25519PrivateKey.generate()),
    lambda: _pem(Ed25519PrivateKey.generate(), locked=True),
]


@pytest.mark.parametrize("content", BAD_KEYS)
def test_a_secret_key_of_another_form_is_named(coordinator: Path, witness: Path, content: Callable[[], bytes]) -> None:
    (coordinator / "log.key").write_bytes(content())
    with pytest.raises(ConfigurationError, match=r"log\.key"):
        read_log_signer(coordinator)
    (witness / "witness.key").write_bytes(content())
    with pytest.raises(ConfigurationError, match=r"witness\.key"):
        read_cosigner(witness, NAME)


def test_the_secret_key_of_another_log_is_refused(coordinator: Path) -> None:
    (coordinator / "log.key").write_bytes(_pem(Ed25519PrivateKey.generate()))
    with pytest.raises(ConfigurationError, match="not the secret key"):
        read_log_signer(coordinator)


def test_missing_files_are_named(coordinator: Path, witness: Path) -> None:
    for path, read in (
        (witness / "witness.key", lambda: read_cosigner(witness, NAME)),
        (witness / "log.pub", lambda: read_log_key(witness)),
        (coordinator / "log.key", lambda: read_log_signer(coordinator)),
    ):
        path.unlink()
        with pytest.raises(ConfigurationError, match=path.name):
            read()


def test_a_witness_pins_a_log_and_not_another_witness(witness: Path) -> None:
    (witness / "log.pub").write_text(f"{read_cosigner(witness, NAME).verifier.vkey()}\n")
    with pytest.raises(ConfigurationError, match="of a witness"):
        read_log_key(witness)
    (witness / "log.pub").write_text("two\nlines\n")
    with pytest.raises(ConfigurationError, match="vkey"):
        read_log_key(witness)
