"""An agent's door: whatever happens inside, bytes come out, and in a refusal only a code."""

from __future__ import annotations

import logging

import pytest

from nodes.boundary import handle_parcel
from protocols.channel.envelope import Envelope, Parcel, pack_parcel
from protocols.channel.wire import decode
from protocols.errors import (
    BudgetExceeded,
    ConfigurationError,
    CreditFederationError,
    MalformedMessage,
    PolicyDenied,
    UnexpectedMessage,
    VerificationFailed,
)

ENVELOPE = Envelope(bytes(32), "bank", "tax", "Query", False, b"body", bytes(64))
EMPTY = pack_parcel(())


def test_replies_go_back_in_one_parcel() -> None:
    reply = handle_parcel("tax", pack_parcel((ENVELOPE,)), lambda envelopes: [*envelopes, ENVELOPE])
    assert decode(reply, Parcel) == Parcel((ENVELOPE, ENVELOPE))


@pytest.mark.parametrize(
    "error",
    [
        MalformedMessage("text"),
        UnexpectedMessage("text"),
        VerificationFailed("text", code="WRONG_MODEL"),
        PolicyDenied("text", code="CONSENT_SCOPE"),
        BudgetExceeded("text"),
        ConfigurationError("text"),
    ],
)
def test_an_error_of_the_federation_leaves_as_its_code(error: CreditFederationError) -> None:
    def fail(_: tuple[Envelope, ...]) -> list[Envelope]:
        raise error

    assert decode(handle_parcel("tax", EMPTY, fail), Parcel) == Parcel(refusal=error.code)


@pytest.mark.parametrize("kind", [ValueError, KeyError, RecursionError, MemoryError, AssertionError, OSError])
def test_any_other_error_leaves_no_text_anywhere(kind: type[Exception], caplog: pytest.LogCaptureFixture) -> None:
    value = "".join(("7654", "321.125"))

    def fail(_: tuple[Envelope, ...]) -> list[Envelope]:
        raise kind(value)

    caplog.set_level(logging.DEBUG)
    reply = handle_parcel("tax", EMPTY, fail)
    assert decode(reply, Parcel) == Parcel(refusal="INTERNAL_ERROR")
    assert kind.__name__ in caplog.text
    assert "in fail" in caplog.text
    assert value not in caplog.text


@pytest.mark.parametrize("data", [b"", b"\xc1", EMPTY[:-1], EMPTY + b"\x00", b"\xff" * 1000])
def test_bytes_that_are_no_parcel_are_refused(data: bytes) -> None:
    assert decode(handle_parcel("tax", data, list), Parcel) == Parcel(refusal="MALFORMED_MESSAGE")
