"""The Paillier engine: keys, three ways to encrypt, vectors of ciphertexts and their sums. See docs/paillier.md."""

from protocols.paillier.decrypt import decrypt, decrypt_below, decrypt_signed, decrypt_together
from protocols.paillier.encrypt import Encryptor, OwnerEncryptor, rerandomise
from protocols.paillier.key_proof import prove_key, verify_key_proof
from protocols.paillier.keys import PrivateKey, PublicKey
from protocols.paillier.packing import Packing
from protocols.paillier.pool import ObfuscatorPool
from protocols.paillier.sampling import Randomness
from protocols.paillier.vector import CiphertextVector

__all__ = [
    "CiphertextVector",
    "Encryptor",
    "ObfuscatorPool",
    "OwnerEncryptor",
    "Packing",
    "PrivateKey",
    "PublicKey",
    "Randomness",
    "decrypt",
    "decrypt_below",
    "decrypt_signed",
    "decrypt_together",
    "prove_key",
    "rerandomise",
    "verify_key_proof",
]
