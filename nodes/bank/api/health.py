"""Whether the bank's node can answer, and the key that its webhooks are signed with."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from nodes.bank.api.context import Bank
from nodes.bank.api.schemas.health import HealthOut, WebhookKeyOut
from protocols.errors import CreditFederationError

router: Final = APIRouter(tags=["health"])


@router.get("/healthz", summary="Say whether an assessment could be answered", responses={503: {"model": HealthOut}})
async def health(bank: Bank, response: Response) -> HealthOut:
    """Return 200 if an assessment could be answered now, 503 with the reason's code if not. Needs no API key."""
    try:
        await bank.service.ready()
    except CreditFederationError as error:
        response.status_code = 503
        return HealthOut(status="unavailable", code=error.code)
    return HealthOut(status="ok", code="")


@router.get("/v1/webhook-key", summary="The key that webhooks are signed with")
async def webhook_key(bank: Bank) -> WebhookKeyOut:
    """Return the public key to verify webhooks with. Needs no API key."""
    return WebhookKeyOut(algorithm="ed25519", public_key=bank.signer.public_key())
