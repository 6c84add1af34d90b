"""Paillier keys: what they are made of, and what is accepted from a peer.

Primes. Both primes are *safe*: (p - 1) / 2 and (q - 1) / 2 are prime. Three arguments rest on that:

* textbook encryption `g^m r^n` hides m perfectly inside its coset only if r -> r^n is a bijection of the units modulo
  n, that is gcd(n, phi(n)) = 1;
* Damgard-Jurik-Nielsen encryption needs Blum primes with gcd(p - 1, q - 1) = 2, and (p - 1)(q - 1) / 4 without small
  factors, so that h = -y^2 for a random y generates all elements of Jacobi symbol 1;
* the owner's encryption draws from the full group of n-th residues by a generator of order p - 1 modulo p^2 and
  q - 1 modulo q^2, which is recognised at once when p - 1 = 2p'.

A party verifies the first condition and that n is a Blum integer by the proof in `key_proof`; that the primes are safe
serves the owner's own protection and is the owner's own affair.

Side channels: nothing here is constant-time. gmpy2's arithmetic and Python's integers take a time that depends on the
values; who can time a key owner's process precisely must be kept away from it by other means.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import gmpy2
from gmpy2 import mpz

from protocols.errors import MalformedMessage, VerificationFailed
from protocols.paillier.primes import has_small_factor, safe_prime
from protocols.paillier.sampling import Randomness

MINIMUM_BITS = 512  # tests only; what a federation accepts is its own, much higher, bound


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A modulus `n` of exactly `bits` bits; messages are integers modulo `n`, ciphertexts units modulo `n_square`."""

    n: int = field(repr=False)
    bits: int
    n_square: int = field(init=False, repr=False, compare=False)
    modulus: mpz = field(init=False, repr=False, compare=False)
    modulus_square: mpz = field(init=False, repr=False, compare=False)
    fingerprint: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if self.bits < MINIMUM_BITS or self.bits % 64 or self.n.bit_length() != self.bits:
            raise ValueError(f"not a modulus of {self.bits} bits, or not an accepted length")
        object.__setattr__(self, "n_square", self.n * self.n)
        object.__setattr__(self, "modulus", mpz(self.n))
        object.__setattr__(self, "modulus_square", mpz(self.n_square))
        object.__setattr__(self, "fingerprint", hashlib.sha256(self.to_bytes()).hexdigest())

    @property
    def ciphertext_bytes(self) -> int:
        """The fixed width of one ciphertext."""
        return self.bits // 4

    def to_bytes(self) -> bytes:
        """Return n, big-endian, in exactly bits / 8 bytes."""
        return self.n.to_bytes(self.bits // 8, "big")

    @classmethod
    def from_bytes(cls, data: bytes, bits: int) -> PublicKey:
        """Accept a modulus of exactly the agreed length, odd, composite, no perfect power, without small factors.

        That gcd(n, phi(n)) = 1 is what `verify_key_proof` adds.
        Raises: MalformedMessage for a wrong length, VerificationFailed for a modulus that cannot be one.
        """
        if len(data) * 8 != bits or bits < MINIMUM_BITS or bits % 64:
            raise MalformedMessage(f"a public key of {bits} bits cannot have {len(data)} bytes")
        n = mpz(int.from_bytes(data, "big"))
        if n.bit_length() != bits:
            raise VerificationFailed(f"the modulus has {n.bit_length()} bits, {bits} were agreed", code="KEY_LENGTH")
        if n.is_even() or has_small_factor(n):
            raise VerificationFailed("the modulus has a small factor", code="KEY_SMALL_FACTOR")
        if n.is_power() or n.is_prime():
            raise VerificationFailed("the modulus is a prime or a perfect power", code="KEY_NOT_COMPOSITE")
        return cls(int(n), bits)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """The two safe primes of a public key, and what decryption derives from them."""

    public_key: PublicKey
    p: mpz = field(repr=False)
    q: mpz = field(repr=False)
    hp: mpz = field(init=False, repr=False, compare=False)  # 1 / L_p(g^(p-1) mod p^2) mod p
    hq: mpz = field(init=False, repr=False, compare=False)
    p_inverse: mpz = field(init=False, repr=False, compare=False)  # of p modulo q

    def __post_init__(self) -> None:
        p, q = mpz(self.p), mpz(self.q)
        if p * q != self.public_key.n or p == q or not (p.is_prime() and q.is_prime()):
            raise ValueError("these are not the two primes of the public key")
        if p.bit_length() != q.bit_length() or gmpy2.gcd(p * q, (p - 1) * (q - 1)) != 1:
            raise ValueError("primes of different lengths, or one divides the other less one")
        object.__setattr__(self, "p", p)
        object.__setattr__(self, "q", q)
        object.__setattr__(self, "hp", gmpy2.invert(-q, p))  # (1 + n)^(p-1) = 1 - n mod p^2
        object.__setattr__(self, "hq", gmpy2.invert(-p, q))
        object.__setattr__(self, "p_inverse", gmpy2.invert(p, q))

    @classmethod
    def generate(cls, bits: int, randomness: Randomness) -> PrivateKey:
        """Return a new key of exactly `bits` bits. A length below 2048 is for tests; the caller sees to that."""
        if bits < MINIMUM_BITS or bits % 64:
            raise ValueError(f"a key has a multiple of 64 bits and at least {MINIMUM_BITS}")
        p = safe_prime(bits // 2, randomness)
        q = safe_prime(bits // 2, randomness)
        while q == p:
            q = safe_prime(bits // 2, randomness)
        return cls(PublicKey(int(p * q), bits), p, q)

    def to_pem(self, password: bytes, randomness: Randomness) -> bytes:
        """Return the key as PEM text, encrypted under `password` (see `key_file`)."""
        from protocols.paillier.key_file import seal_key

        return seal_key(self, password, randomness)

    @classmethod
    def from_pem(cls, data: bytes, password: bytes) -> PrivateKey:
        """Return the key that `to_pem` wrote. Raises: ConfigurationError for a wrong password or a damaged file."""
        from protocols.paillier.key_file import open_key

        return open_key(data, password)
