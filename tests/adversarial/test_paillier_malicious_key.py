"""A bank that makes its modulus so that re-randomised answers still tell how they were computed.

With gcd(n, phi(n)) > 1 the powers r^n no longer cover all n-th residues' cosets: part of an answer's history survives.
Each cheat here knows its factors and proves as much as is true of them; the verifier must notice the rest.
"""

from __future__ import annotations

import math
import secrets
from typing import cast

import gmpy2
import pytest
from gmpy2 import mpz

from protocols.errors import VerificationFailed
from protocols.paillier import PrivateKey, PublicKey, key_proof, prove_key, verify_key_proof

BITS = 512


def prime_3_mod_4(bits: int, top: int = 3) -> mpz:
    while True:
        candidate = (mpz(top) << (bits - 2)) + secrets.randbits(bits - 3) * 4 + 3
        if candidate.bit_length() == bits and gmpy2.is_prime(candidate):
            return candidate


def dividing_pair() -> tuple[mpz, mpz]:
    """Return p and q, both 3 mod 4, where p divides q - 1 and pq has exactly BITS bits."""
    while True:
        p = prime_3_mod_4(200)
        cofactor = 2 * secrets.randbits(110) + (mpz(1) << 110)
        for step in range(4000):
            q = (cofactor + 2 * step) * p + 1
            if q % 4 == 3 and (p * q).bit_length() == BITS and gmpy2.is_prime(q):
                return p, q


def blum_less_pair() -> tuple[mpz, mpz]:
    """Return two primes of which one is 1 mod 4, and whose product has exactly BITS bits."""
    while True:
        p, q = prime_3_mod_4(256), gmpy2.next_prime((mpz(3) << 254) + secrets.randbits(253))
        if q % 4 == 1 and (p * q).bit_length() == BITS:
            return p, q


def three_primes() -> list[mpz]:
    """Return three primes, all 3 mod 4, whose product has exactly BITS bits and no other fault."""
    while True:
        primes = [prime_3_mod_4(171), prime_3_mod_4(171), prime_3_mod_4(170)]
        n, order = math.prod(primes), math.prod(prime - 1 for prime in primes)
        if n.bit_length() == BITS and gmpy2.gcd(n, order) == 1:
            return primes


def cheating_proof(primes: list[mpz], public: PublicKey, context: bytes) -> bytes:
    """Prove what can be proved with these factors, and fill the rest with the nearest thing."""
    n, order = public.modulus, math.prod(prime - 1 for prime in primes)
    width = BITS // 8
    w = next(x for x in iter(lambda: mpz(secrets.randbelow(int(n))), None) if gmpy2.jacobi(x, n) == -1)
    exponent = gmpy2.invert(n, order // gmpy2.gcd(order, n))
    parts = [w.to_bytes(width, "big")]
    for y in key_proof._challenges(public, context, w, b"n-th root", key_proof.N_ROOTS):
        parts.append(gmpy2.powmod(y, exponent, n).to_bytes(width, "big"))
    for y in key_proof._challenges(public, context, w, b"fourth root", key_proof.FOURTH_ROOTS):
        signs, root = best_fourth_root(primes, n, w, y)
        parts.append(bytes([signs]) + root.to_bytes(width, "big"))
    return b"".join(parts)


def best_fourth_root(primes: list[mpz], n: mpz, w: mpz, y: mpz) -> tuple[int, mpz]:
    for signs in range(4):
        value = key_proof._twist(w, y, signs, n)
        roots = [fourth_root(value, prime) for prime in primes]
        if None not in roots:
            terms = (
                root * (n // prime) * gmpy2.invert(n // prime, prime)
                for root, prime in zip(cast(list[mpz], roots), primes, strict=True)
            )
            return signs, sum(terms) % n
    return 0, mpz(1)


def fourth_root(value: mpz, prime: mpz) -> mpz | None:
    first = square_root(value % prime, prime)
    if first is None:
        return None
    second = square_root(first, prime)
    return second if second is not None else square_root(prime - first, prime)


def square_root(value: mpz, prime: mpz) -> mpz | None:
    """Return a square root modulo a prime, or None: a power for 3 mod 4, otherwise Tonelli and Shanks."""
    if gmpy2.jacobi(value, prime) != 1:
        return None
    if prime % 4 == 3:
        return gmpy2.powmod(value, (prime + 1) // 4, prime)
    odd, twos = prime - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    non_residue = next(mpz(x) for x in range(2, 1000) if gmpy2.jacobi(x, prime) == -1)
    root, check = gmpy2.powmod(value, (odd + 1) // 2, prime), gmpy2.powmod(value, odd, prime)
    generator = gmpy2.powmod(non_residue, odd, prime)
    while check != 1:
        level, power = 0, check
        while power != 1:
            power, level = power * power % prime, level + 1
        factor = gmpy2.powmod(generator, mpz(1) << (twos - level - 1), prime)
        root, generator, twos = root * factor % prime, factor * factor % prime, level
        check = check * generator % prime
    return root


def test_the_cheat_is_an_honest_prover_when_its_key_is_honest() -> None:
    key = PrivateKey.generate(BITS, secrets.token_bytes)
    proof = cheating_proof([key.p, key.q], key.public_key, b"c")
    assert verify_key_proof(key.public_key, proof, b"c") is None


def test_primes_of_which_one_divides_the_other_less_one_are_noticed() -> None:
    p, q = dividing_pair()
    public = PublicKey.from_bytes((p * q).to_bytes(BITS // 8, "big"), BITS)  # nothing to see in the number itself
    with pytest.raises(VerificationFailed, match="n-th root"):
        verify_key_proof(public, cheating_proof([p, q], public, b"c"), b"c")


def test_without_the_nth_roots_that_key_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    p, q = dividing_pair()
    public = PublicKey(int(p * q), BITS)
    monkeypatch.setattr(key_proof, "N_ROOTS", 0)
    assert verify_key_proof(public, cheating_proof([p, q], public, b"c"), b"c") is None


def test_a_prime_that_is_1_mod_4_is_noticed() -> None:
    p, q = blum_less_pair()
    public = PublicKey(int(p * q), BITS)
    with pytest.raises(VerificationFailed, match="fourth root"):
        verify_key_proof(public, cheating_proof([p, q], public, b"c"), b"c")


def test_a_third_prime_is_noticed() -> None:
    primes = three_primes()
    public = PublicKey(int(math.prod(primes)), BITS)
    with pytest.raises(VerificationFailed, match="fourth root"):
        verify_key_proof(public, cheating_proof(primes, public, b"c"), b"c")


def test_grinding_w_does_not_help() -> None:
    """The cheat may try as many proofs as it likes; none of fifty passes."""
    p, q = dividing_pair()
    public = PublicKey(int(p * q), BITS)
    for _ in range(50):
        with pytest.raises(VerificationFailed):
            verify_key_proof(public, cheating_proof([p, q], public, b"c"), b"c")


def test_a_proof_cannot_be_presented_by_another_party() -> None:
    key = PrivateKey.generate(BITS, secrets.token_bytes)
    proof = prove_key(key, b"bank A", secrets.token_bytes)
    with pytest.raises(VerificationFailed):
        verify_key_proof(key.public_key, proof, b"bank B")
