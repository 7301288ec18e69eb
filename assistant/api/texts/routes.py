"""The routes of the two endpoints, and their description."""

from typing import Any, Final

from fastapi import FastAPI

from assistant.api.event_streams import events
from assistant.api.refusals import errors
from assistant.api.scoped import needs
from assistant.api.texts.endpoints import TextEndpoints
from assistant.api.texts.wire import Completion, EmbeddingList

_EITHER: Final = "The answer; or, with `stream: true`, events of CompletionChunk and at last `[DONE]`."


def add_text_routes(app: FastAPI, texts: TextEndpoints) -> None:
    refusals = errors(400, 401, 404, 408, 413, 415, 429, 499, 502, 503, 504)
    streams = {"model": Completion, "description": _EITHER, "content": events("CompletionChunk")}
    for path, summary, endpoint, answer, body, described in (
        ("/v1/completions", "Go on with a text", texts.complete, Completion, "CompletionRequest", {200: streams}),
        ("/v1/embeddings", "Make vectors of texts", texts.embed, EmbeddingList, "EmbeddingRequest", {}),
    ):
        app.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            summary=summary,
            response_model=answer,
            responses={**refusals, **described},
            openapi_extra=needs("chat", _takes(body)),
        )


def _takes(schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": True, "content": content}}
