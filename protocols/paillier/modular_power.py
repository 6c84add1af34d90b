"""Many bases to one exponent: by the system's libcrypto where there is one, by gmpy2 otherwise.

libcrypto's Montgomery exponentiation is the faster of the two, and for a secret exponent its time and memory accesses
do not depend on that; conversions to and from it, and all else in decryption, are not constant-time. It is called
through ctypes, without compiling anything, and only after it has agreed with gmpy2 on a sample.

Both release the interpreter's lock, so that threads scale (`cores`), and the key stays in one process.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from collections.abc import Sequence

import gmpy2
from gmpy2 import mpz

from protocols.paillier.cores import spread_threads

_SIGNATURES: tuple[tuple[str, type | None, int], ...] = (
    ("BN_CTX_new", ctypes.c_void_p, 0),
    ("BN_CTX_free", None, 1),
    ("BN_new", ctypes.c_void_p, 0),
    ("BN_clear_free", None, 1),
    ("BN_MONT_CTX_new", ctypes.c_void_p, 0),
    ("BN_MONT_CTX_free", None, 1),
    ("BN_MONT_CTX_set", ctypes.c_int, 3),
    ("BN_mod_exp_mont", ctypes.c_int, 6),
    ("BN_mod_exp_mont_consttime", ctypes.c_int, 6),
)


def modular_powers(bases: Sequence[mpz], exponent: mpz, modulus: mpz, *, secret: bool) -> list[mpz]:
    """Return base^exponent modulo an odd modulus for each base, on as many cores as are in use.

    `secret` says whether the exponent is, and so whether libcrypto's constant-time routine is worth its price.
    """
    library = libcrypto()
    if library is None:
        powers = functools.partial(_powers_by_gmpy2, exponent=exponent, modulus=modulus)
    else:
        powers = functools.partial(_powers_by_libcrypto, library, exponent=exponent, modulus=modulus, secret=secret)
    return spread_threads(powers, bases)


def _powers_by_gmpy2(bases: Sequence[mpz], exponent: mpz, modulus: mpz) -> list[mpz]:
    powers: list[mpz] = gmpy2.powmod_base_list(list(bases), exponent, modulus)
    return powers


def _powers_by_libcrypto(
    library: ctypes.CDLL, bases: Sequence[mpz], exponent: mpz, modulus: mpz, secret: bool
) -> list[mpz]:
    with _Exponentiation(library, exponent, modulus, secret) as exponentiation:
        return [exponentiation.power(base % modulus) for base in bases]


@functools.cache
def libcrypto() -> ctypes.CDLL | None:
    """Return the system's libcrypto if it is there, has what is needed and computes correctly."""
    name = ctypes.util.find_library("crypto")
    try:
        library = ctypes.CDLL(name or "")
        for function, result, arguments in _SIGNATURES:
            getattr(library, function).restype = result
            getattr(library, function).argtypes = [ctypes.c_void_p] * arguments
        library.BN_bin2bn.restype = ctypes.c_void_p
        library.BN_bin2bn.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
        library.BN_bn2binpad.restype = ctypes.c_int
        library.BN_bn2binpad.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    except (OSError, AttributeError):
        return None
    modulus, exponent = (mpz(3) ** 650) | 1, mpz(7) ** 180
    bases = [mpz(0), mpz(1), mpz(5) ** 400 % modulus, modulus - 1]
    expected = _powers_by_gmpy2(bases, exponent, modulus)
    agrees = all(
        _powers_by_libcrypto(library, bases, exponent, modulus, secret) == expected for secret in (False, True)
    )
    return library if agrees else None


class _Exponentiation:
    """One exponent and modulus inside libcrypto; its memory is cleared on leaving the `with` block."""

    def __init__(self, library: ctypes.CDLL, exponent: mpz, modulus: mpz, secret: bool) -> None:
        self._exponentiate = library.BN_mod_exp_mont_consttime if secret else library.BN_mod_exp_mont
        self._library, self._width = library, (modulus.bit_length() + 7) // 8
        self._buffer = ctypes.create_string_buffer(self._width)
        self._context, self._montgomery = library.BN_CTX_new(), library.BN_MONT_CTX_new()
        self._numbers = [library.BN_new() for _ in range(4)]
        if not (self._context and self._montgomery and all(self._numbers)):
            self.close()
            raise MemoryError("libcrypto could not allocate")
        self._base, self._exponent, self._modulus, self._result = self._numbers
        self._load(exponent, self._exponent)
        self._load(modulus, self._modulus)
        library.BN_MONT_CTX_set(self._montgomery, self._modulus, self._context)

    def __enter__(self) -> _Exponentiation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def power(self, base: mpz) -> mpz:
        """Return base^exponent for a base below the modulus."""
        library = self._library
        self._load(base, self._base)
        done = self._exponentiate(
            self._result, self._base, self._exponent, self._modulus, self._context, self._montgomery
        )
        if not done or library.BN_bn2binpad(self._result, self._buffer, self._width) != self._width:
            raise ArithmeticError("libcrypto's exponentiation failed")
        return mpz.from_bytes(self._buffer.raw, "big")

    def close(self) -> None:
        """Clear and free what libcrypto holds."""
        for number in self._numbers:
            self._library.BN_clear_free(number)
        self._library.BN_MONT_CTX_free(self._montgomery)
        self._library.BN_CTX_free(self._context)

    def _load(self, value: mpz, number: int) -> None:
        data = value.to_bytes((value.bit_length() + 7) // 8, "big")
        if not self._library.BN_bin2bn(data, len(data), number):
            raise MemoryError("libcrypto could not allocate")
