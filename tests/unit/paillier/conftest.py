"""Real keys, small for speed; full sizes are in test_paillier_full_size.py."""

from __future__ import annotations

import secrets

import pytest

from protocols.paillier import OwnerEncryptor, PrivateKey


@pytest.fixture(scope="session")
def key() -> PrivateKey:
    return PrivateKey.generate(512, secrets.token_bytes)


@pytest.fixture(scope="session")
def other_key() -> PrivateKey:
    return PrivateKey.generate(512, secrets.token_bytes)


@pytest.fixture(scope="session")
def kilobit_key() -> PrivateKey:
    return PrivateKey.generate(1024, secrets.token_bytes)


@pytest.fixture(scope="session")
def owner(key: PrivateKey) -> OwnerEncryptor:
    return OwnerEncryptor(key, secrets.token_bytes)
