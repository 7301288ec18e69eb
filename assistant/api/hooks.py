"""POST /hooks/{name}: messages from other programs. Each hook has a secret of its own; the API's key is neither needed nor of use."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from assistant.api.body.json_body import receive_body
from assistant.api.openapi import BY_HOOK, open_to_all
from assistant.contracts.errors import RequestTooLarge
from assistant.contracts.hooks import HookRequest, Hooks

PREFIX: Final = "/hooks/"
_MOST_BYTES: Final = 256 * 1024


class HookAnswer(BaseModel):
    """The message is kept. The same id comes back for a repeat."""

    id: str
    status: Literal["accepted", "repeated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRoute:
    """The endpoint."""

    hooks: Hooks

    async def receive(self, name: str, request: Request) -> JSONResponse:
        """Tell the assistant something.

        Signed: `X-Nanobot-Timestamp` (seconds since 1970, within five minutes) and `X-Nanobot-Signature: sha256=<hex>`, the HMAC-SHA256 of
        `<timestamp>.<raw body>` with the hook's secret. Or, where the hook has one, with its bearer secret.
        """
        try:
            body = await receive_body(request.scope, request.receive, _MOST_BYTES)
        except RequestTooLarge:
            raise RequestTooLarge(f"A message to a hook has at most {_MOST_BYTES // 1024} KiB.") from None
        accepted = await self.hooks.receive(name, dict(request.headers), bytes(body))
        answer = HookAnswer(id=accepted.id, status="accepted" if accepted.new else "repeated")
        return JSONResponse(answer.model_dump(), status_code=202)


def add_hook_route(app: FastAPI, hooks: Hooks, refusals: dict[int | str, dict[str, Any]]) -> None:
    """`refusals`: the errors that its description names."""
    app.add_api_route(
        PREFIX + "{name}",
        HookRoute(hooks=hooks).receive,
        summary="Tell the assistant something",
        methods=["POST"],
        status_code=202,
        response_model=HookAnswer,
        responses=refusals,
        openapi_extra=open_to_all(
            {
                "requestBody": {"required": True, "content": {"application/json": {"schema": HookRequest.model_json_schema()}}},
                "security": BY_HOOK,
            }
        ),
    )
