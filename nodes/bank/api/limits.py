"""How large a request may be: the rest of a larger one is never read."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nodes.bank.api.problems import Problem, answer
from nodes.bank.api.settings import ApiSettings


class BodyLimit:
    """Refuses a body over the limit of its path with 413, by its declared length or as it arrives."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._settings.max_batch_body if scope["path"] == "/v1/batches" else self._settings.max_body
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or int(declared[:20]) > limit:
            await answer(_too_large(limit))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
            return message

        await self._app(scope, counted, send)


def _too_large(limit: int) -> Problem:
    return Problem(413, "TOO_LARGE", f"the request is larger than {limit} bytes", headers={"Connection": "close"})
