"""A file under a passphrase: whoever lacks it reads nothing, and whoever changes, cuts or mixes it is noticed.

The key is stretched from the passphrase (scrypt). The content goes in chunks, each sealed by ChaCha20-Poly1305 under a
number and a mark for the last one, so that chunks of one file fit nowhere else. Source: Hoang et al., CRYPTO 2015
(STREAM).
"""

from __future__ import annotations

from types import TracebackType
from typing import IO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from protocols.errors import VerificationFailed

MAGIC: Final = b"credit-federation backup 1\n"
SALT_BYTES: Final = 16
CHUNK: Final = 1 << 20
BROKEN: Final = "BACKUP_DAMAGED"
LOG2_COST: Final = 17
_TAG_BYTES: Final = 16


class SealedWriter:
    """Writes what it is given, sealed, to `file`; nothing counts before `close`."""

    def __init__(self, file: IO[bytes], passphrase: bytes, salt: bytes, log2_cost: int = LOG2_COST) -> None:
        self._file, self._cipher = file, _cipher(passphrase, salt, log2_cost)
        self._waiting, self._number = bytearray(), 0
        file.write(MAGIC + bytes([log2_cost]) + salt)

    def write(self, data: bytes) -> int:
        """Take more content."""
        self._waiting += data
        while len(self._waiting) > CHUNK:
            self._seal(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return len(data)

    def __enter__(self) -> SealedWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._seal(bytes(self._waiting), last=True)

    def _seal(self, chunk: bytes, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last), chunk, None))
        self._number += 1


class SealedReader:
    """Reads what `SealedWriter` wrote. Raises, on every read: VerificationFailed, code BACKUP_DAMAGED."""

    def __init__(self, file: IO[bytes], passphrase: bytes) -> None:
        header = file.read(len(MAGIC) + 1 + SALT_BYTES)
        if len(header) != len(MAGIC) + 1 + SALT_BYTES or not header.startswith(MAGIC):
            raise VerificationFailed("this is no backup", code=BROKEN)
        cost = header[len(MAGIC)]
        if cost > LOG2_COST:
            raise VerificationFailed(f"a backup that asks for 2^{cost} steps", code=BROKEN)
        self._file, self._cipher = file, _cipher(passphrase, header[-SALT_BYTES:], cost)
        self._open, self._number, self._ended = b"", 0, False
        self._sealed = file.read(CHUNK + _TAG_BYTES)

    def read(self, size: int = -1) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        found = bytearray()
        while size < 0 or len(found) < size:
            if not self._open and not self._next():
                break
            taken = len(self._open) if size < 0 else size - len(found)
            found += self._open[:taken]
            self._open = self._open[taken:]
        return bytes(found)

    def _next(self) -> bool:
        """Open one chunk more; tell whether there was one."""
        if self._ended:
            return False
        following = self._file.read(CHUNK + _TAG_BYTES)
        self._ended = not following
        try:
            self._open = self._cipher.decrypt(_nonce(self._number, self._ended), self._sealed, None)
        except InvalidTag as error:
            text = "the passphrase is another one, or the backup was changed or is not whole"
            raise VerificationFailed(text, code=BROKEN) from error
        self._sealed, self._number = following, self._number + 1
        return True


def _cipher(passphrase: bytes, salt: bytes, log2_cost: int) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(Scrypt(salt, 32, 1 << log2_cost, 8, 1).derive(passphrase))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])
