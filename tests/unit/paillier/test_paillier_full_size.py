"""One run of everything at the key sizes that are used."""

from __future__ import annotations

import secrets

import numpy as np
import pytest

from protocols.paillier import (
    CiphertextVector,
    Encryptor,
    ObfuscatorPool,
    OwnerEncryptor,
    Packing,
    PrivateKey,
    PublicKey,
    decrypt_signed,
    prove_key,
    rerandomise,
    verify_key_proof,
)
from protocols.paillier.phe_interop import private_key_to_phe, vector_to_phe


@pytest.mark.slow
@pytest.mark.parametrize("bits", [2048, 3072])
def test_everything_at_full_size(bits: int) -> None:
    key = PrivateKey.generate(bits, secrets.token_bytes)
    public = PublicKey.from_bytes(key.public_key.to_bytes(), bits)
    verify_key_proof(public, prove_key(key, b"full size", secrets.token_bytes), b"full size")
    assert PrivateKey.from_pem(key.to_pem(b"pw", secrets.token_bytes), b"pw") == key
    generator = np.random.default_rng(bits)
    rows = 600
    values = generator.integers(-(1 << 20), 1 << 20, rows)
    with ObfuscatorPool(public, secrets.token_bytes, 50) as pool:
        encryptors = (
            OwnerEncryptor(key, secrets.token_bytes),
            Encryptor(public, secrets.token_bytes),
            Encryptor(public, secrets.token_bytes, pool),
        )
        vectors = [encryptor.encrypt(values.tolist()) for encryptor in encryptors]
    bins, weights = generator.integers(0, 10, (rows, 6)), generator.integers(-128, 128, (rows, 5))
    packing = Packing.for_sums(1 << 20, 128 * rows, bits)
    theirs = private_key_to_phe(key)
    for vector in vectors:
        received = CiphertextVector.from_bytes(public, vector.to_bytes())
        assert theirs.decrypt(vector_to_phe(received[:1])[0]) == values[0]
        sums = CiphertextVector.concat([*received.histograms(bins, [10] * 6), received.weighted_sums(weights)])
        returned = rerandomise(sums.compress(packing.slot_bits, packing.slots), secrets.token_bytes)
        expected = [np.bincount(column, values, 10).astype(int).tolist() for column in bins.T]
        expected.append((values @ weights).tolist())
        assert packing.unpack(decrypt_signed(key, returned), 65) == [value for part in expected for value in part]
