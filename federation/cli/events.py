"""What happens in a run, as one JSON object a line, for programs that follow it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from federation.cli.endings import INTERRUPTED
from federation.outlook import Standing
from protocols.errors import ConfigurationError, CreditFederationError


class Started(msgspec.Struct, frozen=True, tag="started", tag_field="event"):
    """The run begins: keys are made next, then the rounds follow."""

    dataset: str
    model: str


class Round(msgspec.Struct, frozen=True, tag="round", tag_field="event"):
    """A round is over. Round 0 is the bank's encryption of its labels. Units: as `Standing`."""

    round: int
    phase: str
    parties: tuple[str, ...]
    bytes: int
    bytes_total: int
    seconds: float
    elapsed: float
    seconds_left: float | None


class Finished(msgspec.Struct, frozen=True, tag="finished", tag_field="event"):
    """The run is over, and its results are written."""


class Failed(msgspec.Struct, frozen=True, tag="failed", tag_field="event"):
    """The run broke off: nothing is kept. `text` is the line that people get."""

    code: str
    text: str


Event = Started | Round | Finished | Failed


@contextmanager
def event_log(path: Path | None, started: Started) -> Iterator[Callable[[Standing], None]]:
    """Yield a callback for finished rounds; write them, and how the run ends, to `path`, if there is one, at once.

    Raises: ConfigurationError, code EVENTS_NOT_WRITABLE.
    """
    if path is None:
        yield lambda standing: None
        return
    with _opened(path) as file:

        def write(event: Event) -> None:
            try:
                file.write(msgspec.json.encode(event) + b"\n")
                file.flush()
            except OSError as error:
                raise _unwritable(path, error) from error

        write(started)
        try:
            yield lambda standing: write(msgspec.convert(standing, Round, from_attributes=True))
        except CreditFederationError as error:
            write(Failed(error.code, str(error)))
            raise
        except (KeyboardInterrupt, SystemExit):
            write(Failed("INTERRUPTED", INTERRUPTED))
            raise
        except BaseException as error:
            write(Failed("INTERNAL", type(error).__name__))
            raise
        write(Finished())


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{path}: {error.strerror}", code="EVENTS_NOT_WRITABLE")
