"""Proof that a modulus is a Paillier-Blum modulus, without showing its factors.

What a verifier may rely on afterwards (statistically, error 2^-128 per attempt of a cheating prover):

* gcd(n, phi(n)) = 1, so r -> r^n is a bijection and a re-randomised ciphertext tells the key owner nothing but its
  plaintext. `N_ROOTS` values fixed by a hash have n-th roots; were a prime d to divide both n and phi(n), each would
  have one with probability at most 1/d, and d > 2^16 because the verifier has checked for small factors;
* n is the product of two primes, both 3 mod 4 (up to prime powers, which the first point excludes), as
  Damgard-Jurik-Nielsen encryption presumes. For a w of Jacobi symbol -1 one of y, -y, wy, -wy has a fourth root for
  each of `FOURTH_ROOTS` hashed y; of any other odd modulus at most half of the y do.

The challenges are fixed by n and a context that binds the proof to its owner and purpose, so it cannot be presented as
another party's.

Source: Gennaro, Micciancio, Rabin, CCS 1998 (n-th roots); Canetti, Gennaro, Goldfeder, Makriyannis, Peled, "UC
Non-Interactive, Proactive, Threshold ECDSA with Identifiable Aborts", CCS 2020, figure 16 (Paillier-Blum modulus);
Goldberg, Reyzin, Sagga, Baldimtsi, Asiacrypt 2019 (number of n-th roots when small factors are excluded).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import gmpy2
from gmpy2 import mpz

from protocols.errors import VerificationFailed
from protocols.paillier.keys import PrivateKey, PublicKey
from protocols.paillier.primes import has_small_factor
from protocols.paillier.sampling import Randomness, uniform_unit

N_ROOTS = 8  # times log2(SMALL_FACTOR_BOUND) = 128
FOURTH_ROOTS = 128
_DOMAIN = b"credit-federation/paillier-blum-modulus/1"


def prove_key(private_key: PrivateKey, context: bytes, randomness: Randomness) -> bytes:
    """Return a proof, bound to `context`, that the public key is a Paillier-Blum modulus.

    Shapes: `proof_bytes(bits)` bytes: w | n-th roots | per fourth root one byte of signs and the root.
    Reveals: that the statement holds; the roots are those of values nobody chose.
    """
    key = private_key.public_key
    n, width = key.modulus, key.bits // 8
    w = uniform_unit(n, randomness)
    while gmpy2.jacobi(w, n) != -1:
        w = uniform_unit(n, randomness)
    parts = [w.to_bytes(width, "big")]
    exponent = gmpy2.invert(n, (private_key.p - 1) * (private_key.q - 1))
    for y in _challenges(key, context, w, b"n-th root", N_ROOTS):
        parts.append(_power(private_key, y, exponent).to_bytes(width, "big"))
    for y in _challenges(key, context, w, b"fourth root", FOURTH_ROOTS):
        signs, root = _fourth_root(private_key, w, y)
        parts.append(bytes([signs]) + root.to_bytes(width, "big"))
    return b"".join(parts)


def verify_key_proof(public_key: PublicKey, proof: bytes, context: bytes) -> None:
    """Return only if `proof` shows, for this `context`, that `public_key` is a Paillier-Blum modulus.

    Raises: VerificationFailed for anything else, a wrong length included.
    """
    n, width = public_key.modulus, public_key.bits // 8
    if len(proof) != proof_bytes(public_key.bits):
        raise VerificationFailed(f"a key proof cannot have {len(proof)} bytes", code="KEY_PROOF")
    if n.is_even() or n.is_prime() or has_small_factor(n):
        raise VerificationFailed("the modulus has a small factor or is a prime", code="KEY_PROOF")
    w = mpz(int.from_bytes(proof[:width], "big"))
    if not 0 < w < n or gmpy2.jacobi(w, n) != -1:
        raise VerificationFailed("the key proof's w is not of Jacobi symbol -1", code="KEY_PROOF")
    offset = width
    for y in _challenges(public_key, context, w, b"n-th root", N_ROOTS):
        root = mpz(int.from_bytes(proof[offset : offset + width], "big"))
        offset += width
        if not 0 < root < n or gmpy2.powmod(root, n, n) != y:
            raise VerificationFailed("an n-th root of the key proof does not hold", code="KEY_PROOF")
    for y in _challenges(public_key, context, w, b"fourth root", FOURTH_ROOTS):
        signs, root = proof[offset], mpz(int.from_bytes(proof[offset + 1 : offset + 1 + width], "big"))
        offset += 1 + width
        if signs > 3 or not 0 < root < n or gmpy2.powmod(root, 4, n) != _twist(w, y, signs, n):
            raise VerificationFailed("a fourth root of the key proof does not hold", code="KEY_PROOF")


def proof_bytes(bits: int) -> int:
    """Return the length of a proof for a key of `bits` bits."""
    return bits // 8 * (1 + N_ROOTS + FOURTH_ROOTS) + FOURTH_ROOTS


def _challenges(key: PublicKey, context: bytes, w: mpz, label: bytes, count: int) -> Iterator[mpz]:
    """Yield units modulo n, each from a hash 128 bits longer than n, hence within 2^-128 of uniform."""
    width = key.bits // 8
    seed = hashlib.sha256()
    for part in (_DOMAIN, label, key.to_bytes(), context, w.to_bytes(width, "big")):
        seed.update(len(part).to_bytes(8, "big") + part)
    prefix = seed.digest()
    for index in range(count):
        stream = hashlib.shake_256(prefix + index.to_bytes(4, "big")).digest(width + 16)
        yield mpz(int.from_bytes(stream, "big")) % key.modulus


def _power(key: PrivateKey, base: mpz, exponent: mpz) -> mpz:
    at_p = gmpy2.powmod(base, exponent % (key.p - 1), key.p)
    at_q = gmpy2.powmod(base, exponent % (key.q - 1), key.q)
    return at_p + key.p * ((at_q - at_p) * key.p_inverse % key.q)


def _twist(w: mpz, y: mpz, signs: int, n: mpz) -> mpz:
    value = y * w % n if signs & 2 else y
    return (n - value) % n if signs & 1 else value


def _fourth_root(key: PrivateKey, w: mpz, y: mpz) -> tuple[int, mpz]:
    """Return which of y, -y, wy, -wy is a square modulo both primes, and its fourth root."""
    n, p, q = key.public_key.modulus, key.p, key.q
    for signs in range(4):
        value = _twist(w, y, signs, n)
        if gmpy2.jacobi(value, p) == 1 and gmpy2.jacobi(value, q) == 1:
            break
    else:
        raise ValueError("the hash hit a non-unit: the key has a small factor")
    order = (p - 1) * (q - 1) // 4  # odd, and so 4 is invertible on the squares
    return signs, _power(key, value, gmpy2.invert(4, order))
