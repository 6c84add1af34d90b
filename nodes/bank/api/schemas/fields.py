"""What requests and answers share: fields that are checked alike, examples, and errors."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from nodes.bank.api.batch_file import MAX_CONSENT, MAX_ENTERPRISE
from nodes.bank.api.reference import OPTIONAL_PATTERN
from protocols.consent import Purpose

EXAMPLE_USCC = "91350100M000100Y43"
EXAMPLE_REQUEST = "9f2c41d07be34a5c8de1f0a2b3c4d5e6"
EXAMPLE_OUTCOME: dict[str, JsonValue] = {
    "enterprise": EXAMPLE_USCC,
    "loan": "LN-2022-0007",
    "drawn_on": "2022-03-01",
    "observed_on": "2023-03-05",
    "days_past_due": 12,
}

Enterprise = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_ENTERPRISE,
        description="Unified social credit code (GB 32100-2015), or the identifier that this federation uses.",
        examples=[EXAMPLE_USCC],
        json_schema_extra={"format": "enterprise"},
    ),
]
Consent = Annotated[
    str,
    Field(
        max_length=MAX_CONSENT, description="The enterprise's consent, a signed token. Without it every node denies."
    ),
]
Reference = Annotated[
    str,
    Field(
        pattern=OPTIONAL_PATTERN,
        description="Your own mark, such as an application number; it comes back as it is. Letters and digits, Latin "
        "or Chinese, 〔2026〕 and ._:/-",
        examples=["LN-2026-0042"],
    ),
]


def _written(value: object) -> object:
    """Let a date be what JSON Schema calls one: a text, never a number of seconds."""
    if not isinstance(value, str) or len(value) != 10:
        raise ValueError("a date is written YYYY-MM-DD")
    return value


def _whole(value: object) -> object:
    """Let a whole number be what JSON Schema calls one: 3 and 3.0, never true."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Day = Annotated[datetime.date, BeforeValidator(_written)]
AskedPurpose = Annotated[Literal["assessment"], Field(description="What the result is for, as the consent says.")]


class Strict(BaseModel):
    """A part of a request: a field that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def shown_as(example: dict[str, JsonValue]) -> ConfigDict:
    """Return what lets a request's documentation hold a whole body, to be sent as it stands."""
    return ConfigDict(json_schema_extra={"examples": [example]})


class FieldError(BaseModel):
    """One field that is wrong: where it is, and in what way; not what it holds."""

    where: str = Field(examples=["body.enterprise"])
    what: str = Field(examples=["string_too_long"])


class ProblemOut(BaseModel):
    """An error (RFC 9457). Programs read `code`, which is stable; people read `detail`."""

    type: str = Field(examples=["urn:credit-federation:problem:invalid-uscc"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["INVALID_USCC"])
    detail: str = Field(
        examples=["no enterprise can have this identifier: a USCC has 18 characters, this one is 17 characters"]
    )
    errors: list[FieldError] = []


def moment(at: int) -> datetime.datetime:
    """Return a time of the database as UTC."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC)


def purpose_of(asked: str) -> Purpose:
    """Return a purpose that a request may state."""
    return Purpose(asked)
