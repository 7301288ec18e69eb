"""POST /hooks/{name}: messages from other programs. Each hook has its own secret; the API's key is not needed, and does not open it."""

from typing import Final, Literal

from fastapi import Request

from assistant.api.answers import Answer
from assistant.api.body.request import receive_body
from assistant.api.openapi import BY_HOOK, endpoint, errors
from assistant.contracts.errors import RequestTooLarge
from assistant.contracts.hooks import HookRequest, Hooks
from assistant.contracts.records import record

_MOST_BYTES: Final = 256 * 1024
_BODY: Final = {"required": True, "content": {"application/json": {"schema": HookRequest.model_json_schema()}}}


class HookAnswer(Answer):
    """The message is kept. The same id comes back for a repeat."""

    id: str
    status: Literal["accepted", "repeated"]


@record
class HookEndpoints:
    hooks: Hooks

    @endpoint(
        "POST",
        "/hooks/{name}",
        "Tell the assistant something",
        scope=None,
        responses=errors(400, 401, 404, 408, 413, 503),
        status_code=202,
        extra={"requestBody": _BODY, "security": BY_HOOK},
    )
    async def receive(self, name: str, request: Request) -> HookAnswer:
        """Tell the assistant something.

        Signed: `X-Nanobot-Timestamp` (seconds since 1970, within five minutes) and `X-Nanobot-Signature: sha256=<hex>`, the HMAC-SHA256 of
        `<timestamp>.<raw body>` with the hook's secret. Or, where the hook has one, with its bearer secret.
        """
        try:
            body = await receive_body(request.scope, request.receive, _MOST_BYTES)
        except RequestTooLarge:
            raise RequestTooLarge(f"A message to a hook has at most {_MOST_BYTES // 1024} KiB.") from None
        accepted = await self.hooks.receive(name, dict(request.headers), bytes(body))
        return HookAnswer(id=accepted.id, status="accepted" if accepted.new else "repeated")
