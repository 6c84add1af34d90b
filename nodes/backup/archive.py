"""A directory's files and ledgers into one sealed stream, and out of it again, each under its hash.

Ledgers and other SQLite files are copied by SQLite itself, as of one moment, while their party is at work; one in
PostgreSQL by `pg_dump`. Sockets, locks, logs of the process and what is on other disks of the owner stay out.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sqlite3
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import msgspec

from nodes.backup.freshness import recorded_size
from nodes.backup.sealed_stream import BROKEN, SALT_BYTES, SealedReader, SealedWriter
from nodes.ledger.location import URL_FILE, ledger_location
from nodes.ledger.schema import MIGRATIONS
from protocols.errors import ConfigurationError, CreditFederationError, VerificationFailed

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

MANIFEST: Final = "manifest.json"
DUMP: Final = "ledger.pgdump"
SKIPPED: Final = (".lock", ".log", ".sock", "-wal", "-shm", ".new")
_BLOCK: Final = 1 << 20


class Entry(msgspec.Struct, frozen=True):
    """One file: its SHA-256 in hexadecimal, size in bytes and mode."""

    sha256: str
    size: int
    mode: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a backup holds: whose directory, made when (seconds since 1970), at which version of a ledger's schema.

    `cosigned` is how many leaves of the log a ledger says that is a dump, which only its server can read.
    """

    party: str
    made: int
    schema: int
    files: dict[str, Entry]
    cosigned: int = 0


def write_backup(home: Path, target: Path, passphrase: bytes, now: int) -> Manifest:
    """Write a directory's backup to a new file, for the owner alone, and return what it holds.

    Raises: ConfigurationError for what cannot be read or written, or a target that exists; no half file is left.
    """
    cosigned = 0
    if (home / URL_FILE).exists():  # before the dump, which may know of more
        with suppress(CreditFederationError):
            cosigned = recorded_size(home)
    try:
        with tempfile.TemporaryDirectory(prefix="credfed-backup-", dir=target.parent) as scratch:
            found = dict(_collect(home, Path(scratch)))
            files = {name: _entry(path, source) for name, (path, source) in sorted(found.items())}
            manifest = Manifest(home.resolve().name, now, len(MIGRATIONS), files, cosigned)
            _write(target, passphrase, manifest, {name: path for name, (path, _) in found.items()})
    except OSError as error:
        raise ConfigurationError(f"{error.filename or target}: {error.strerror}", code="NOT_WRITABLE") from error
    return manifest


def _write(target: Path, passphrase: bytes, manifest: Manifest, paths: dict[str, Path]) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with SealedWriter(file, passphrase, os.urandom(SALT_BYTES)) as sealed:
                _pack(sealed, manifest, paths)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def read_backup(source: Path, passphrase: bytes, home: Path) -> Manifest:
    """Unpack a backup into a new directory, for the owner alone, and return what it held.

    Raises: VerificationFailed, code BACKUP_DAMAGED: nothing of the directory is then to be used; ConfigurationError.
    """
    try:
        home.mkdir(mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"{home}: {error.strerror}", code="NOT_WRITABLE") from error
    seen: set[str] = set()
    try:
        with source.open("rb") as file, tarfile.open(fileobj=_Plain(SealedReader(file, passphrase)), mode="r|") as tar:
            first = tar.next()
            if first is None or first.name != MANIFEST:
                raise VerificationFailed("a backup without a manifest", code=BROKEN)
            manifest = msgspec.json.decode(_content(tar, first), type=Manifest)
            while (member := tar.next()) is not None:
                _unpack(tar, member, manifest, home)
                seen.add(member.name)
    except OSError as error:
        raise ConfigurationError(f"{source}: {error.strerror or error}", code="NOT_READABLE") from error
    except (tarfile.TarError, msgspec.DecodeError) as error:
        raise VerificationFailed("a backup whose content is none", code=BROKEN) from error
    if missing := manifest.files.keys() - seen:
        raise VerificationFailed(f"a backup that lacks {len(missing)} of its files", code=BROKEN)
    return manifest


def restore_postgres(home: Path) -> None:
    """Put the dump of a ledger into the PostgreSQL database that `ledger.url` names, in place of what is there.

    Raises: ConfigurationError.
    """
    dump = home / DUMP
    if dump.exists():
        command = ["pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", str(dump)]
        _postgres([*command, "--dbname", _environment(home)["PGDATABASE"]], home)
        dump.unlink()


def _collect(home: Path, scratch: Path) -> Iterator[tuple[str, tuple[Path, Path]]]:
    """Yield every file by its name in the backup: where its content is, and whose mode it has."""
    if not home.is_dir():
        raise ConfigurationError(f"{home} is not a folder", code="NOT_A_FOLDER")
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        if path.is_symlink() or not path.is_file() or name.endswith(SKIPPED):
            continue
        copy = scratch / hashlib.sha256(name.encode()).hexdigest()
        if path.suffix == ".sqlite":
            _copy_database(path, copy)
        else:
            shutil.copyfile(path, copy)  # it may grow while it is hashed
        yield name, (copy, path)
    if (home / URL_FILE).exists():
        dump = scratch / DUMP
        _postgres(["pg_dump", "--format=custom", "--no-owner", "--file", str(dump)], home)
        yield DUMP, (dump, home / URL_FILE)


def _copy_database(source: Path, target: Path) -> None:
    """Copy a SQLite file as of one moment. Raises: ConfigurationError."""
    try:
        uri = f"{source.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as origin, closing(sqlite3.connect(target)) as copy:
            origin.backup(copy)
            if copy.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise ConfigurationError(f"{source}: damaged: it is not backed up", code="BAD_LEDGER")
    except sqlite3.Error as error:
        raise ConfigurationError(f"{source}: cannot be copied ({type(error).__name__})", code="BAD_LEDGER") from error


def _environment(home: Path) -> dict[str, str]:
    """Return how PostgreSQL's own tools reach a ledger: in the environment, which others cannot read."""
    from psycopg.conninfo import conninfo_to_dict

    found = {key: str(value) for key, value in conninfo_to_dict(str(ledger_location(home))).items() if value}
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    return {names[key]: value for key, value in found.items() if key in names}


def _postgres(command: list[str], home: Path) -> None:
    try:
        subprocess.run(command, env=dict(os.environ) | _environment(home), capture_output=True, check=True)  # noqa: S603
    except FileNotFoundError as error:
        raise ConfigurationError(f"{command[0]} is not installed", code="MISSING_TOOL") from error
    except subprocess.CalledProcessError as error:
        raise ConfigurationError(f"{command[0]} failed on the ledger of {home}", code="BAD_LEDGER") from error


def _entry(path: Path, source: Path) -> Entry:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return Entry(digest.hexdigest(), path.stat().st_size, stat.S_IMODE(source.stat().st_mode))


def _pack(sealed: SealedWriter, manifest: Manifest, paths: dict[str, Path]) -> None:
    with tarfile.open(fileobj=_Plain(sealed), mode="w|") as tar:
        text = msgspec.json.format(msgspec.json.encode(manifest))
        head = tarfile.TarInfo(MANIFEST)
        head.size = len(text)
        tar.addfile(head, io.BytesIO(text))
        for name, entry in manifest.files.items():
            member = tarfile.TarInfo(name)
            member.size = entry.size
            with paths[name].open("rb") as file:
                tar.addfile(member, file)


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, manifest: Manifest, home: Path) -> None:
    """Write one file below `home`, if it is what the manifest says. Raises: VerificationFailed."""
    entry, path = manifest.files.get(member.name), PurePosixPath(member.name)
    if entry is None or not member.isreg() or path.is_absolute() or ".." in path.parts:
        raise VerificationFailed("a backup with a file that its manifest does not name", code=BROKEN)
    target, digest = home / path, hashlib.sha256()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = tar.extractfile(member)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while content is not None and (block := content.read(_BLOCK)):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != entry.sha256:
        raise VerificationFailed("a backup with a file that is not the one of its manifest", code=BROKEN)
    target.chmod(entry.mode & 0o777)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return b"" if file is None else file.read()


class _Plain(io.RawIOBase):
    """A sealed stream as a file without a position, which is all that a tar stream needs."""

    def __init__(self, sealed: SealedWriter | SealedReader) -> None:
        self._sealed = sealed

    def read(self, size: int = -1) -> bytes:
        """Read from a `SealedReader`."""
        return self._sealed.read(size) if isinstance(self._sealed, SealedReader) else b""

    def write(self, data: Buffer) -> int:
        """Write to a `SealedWriter`."""
        return self._sealed.write(bytes(data)) if isinstance(self._sealed, SealedWriter) else 0
