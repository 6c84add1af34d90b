"""Where a log is, what its parties hold against it, and whether it holds: what every audit command begins with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rich.markup import escape

from federation.audit.errors import NOT_A_LOG
from federation.audit.export.checking import verify_export
from federation.audit.export.reading import ExportedLog, is_export
from federation.audit.log.keys import read_log_keys, read_successions
from federation.audit.reading.log_view import LogView, StoredLog
from federation.audit.storage.location import LOG_FILE, coordinator_home, log_location
from federation.audit.verify import LogReport, verify_log
from federation.cli.output import console, errors
from nodes.ledger.location import ledgers_below
from nodes.ledger.reading import read_ledger
from protocols.errors import ConfigurationError


@contextmanager
def open_log(directory: Path) -> Iterator[LogView]:
    """Yield the log of a federation's folder or of an export. Raises: ConfigurationError if it is neither."""
    if log_location(coordinator_home(directory)).exists:
        with closing(StoredLog(directory)) as stored:
            yield stored
    elif is_export(directory):
        with closing(ExportedLog(directory)) as exported:
            yield exported
    else:
        raise _no_log(directory)


def judge(directory: Path, keys_folder: Path | None = None, notes: Iterable[Path] = ()) -> LogReport:
    """Verify the log of a folder or an export, also against what every party in the folder has cosigned.

    `keys_folder` holds the verifier's own copies of the public keys, `notes` are files with notes that it brings.
    Raises: ConfigurationError if there is nothing to verify; MalformedMessage, VerificationFailed for a foreign note.
    """
    brought = [_read(path) for path in notes]
    home = coordinator_home(directory)
    location = log_location(home)
    if location.exists:
        keys = read_log_keys(keys_folder or home, also=read_successions(home))
        return verify_log(location, keys, [*brought, *_party_notes(directory, keys.log.name)])
    if is_export(directory):
        own = None if keys_folder is None else read_log_keys(keys_folder, also=read_successions(directory))
        return verify_export(directory, own, brought)
    raise _no_log(directory)


def _no_log(directory: Path) -> ConfigurationError:
    return ConfigurationError(f"there is no audit log at {directory / LOG_FILE}, and no export", code=NOT_A_LOG)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read", code=NOT_A_LOG) from error


def _party_notes(directory: Path, origin: str) -> list[bytes]:
    """Return the notes of the log in the ledgers beside it; a ledger that cannot be read proves nothing of the log."""
    notes = []
    for location in ledgers_below(directory).values():
        try:
            with read_ledger(location) as ledger:
                notes += ledger.log_notes(origin)
        except ConfigurationError as error:
            errors.print(f"[yellow]warning[/] {escape(str(error))}; passed over", soft_wrap=True)
    return notes


def show_failure(report: LogReport) -> None:
    """Print the first thing that is wrong with a log."""
    failure = report.failure
    if failure is not None:
        text = f"at leaf {failure.leaf} ({failure.code}): {escape(failure.reason)}"
        console.print(f"[bold red]BROKEN[/] {text}", soft_wrap=True)


def report_as_json(report: LogReport) -> dict[str, str | int | bool | None]:
    """Return what the verification of a log found, for programs."""
    failure = report.failure
    return {
        "ok": report.ok,
        "origin": report.origin,
        "leaves": report.leaves,
        "root": report.root.hex(),
        "checkpoints": report.checkpoints,
        "cosignatures": report.cosignatures,
        "witnessed_size": report.witnessed_size,
        "first_bad_leaf": report.first_bad_leaf,
        "code": failure.code if failure else None,
        "reason": failure.reason if failure else None,
    }
