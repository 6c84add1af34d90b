"""What a caller may know of the bank's node itself."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class WebhookKeyOut(BaseModel):
    """The key that webhooks are signed with (Standard Webhooks, `v1a`)."""

    algorithm: Literal["ed25519"]
    public_key: str = Field(description="Base64 of the 32 bytes.", examples=["whpk_" + "A" * 43 + "="])


class HealthOut(BaseModel):
    """Whether an assessment could be answered now; `code` says why not."""

    status: Literal["ok", "unavailable"]
    code: str
