"""Logs for machines: one JSON object a line, with the fields that the code names, and nothing of an error but its kind.

What an exception from outside the federation's own tree says may quote a value, so it stays out: only its class and
where it was raised are written.
"""

from __future__ import annotations

import datetime
import logging
import sys
import traceback
from typing import Final, TextIO

import msgspec

from protocols.errors import CreditFederationError

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Turns a record into one line of JSON: time, level, logger, event, the record's extra fields, and any error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        fields: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _OWN}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields |= describe_error(error)
        return msgspec.json.encode(fields, enc_hook=str).decode()


def describe_error(error: BaseException) -> dict[str, object]:
    """Return what may be said of an error: its class and place, and code and text if it is one of our own."""
    frames = traceback.extract_tb(error.__traceback__)
    found: dict[str, object] = {"error": type(error).__name__}
    if frames:
        found["at"] = f"{frames[-1].name}:{frames[-1].lineno}"
    if isinstance(error, CreditFederationError):
        found |= {"code": error.code, "text": str(error)}
    return found


def log_json(level: str, stream: TextIO = sys.stderr) -> None:
    """Send all logs of this process to `stream`, as JSON; libraries' only from warnings up."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for package in ("nodes", "federation", "protocols"):
        logging.getLogger(package).setLevel(level)
