"""The routes of /v1/responses, and their description."""

from typing import Any, Final

from fastapi import FastAPI

from assistant.api.event_streams import events
from assistant.api.refusals import WHY, errors
from assistant.api.responses.answers import RESPONSE_EVENTS, InputItemList, ResponseDeleted, ResponseObject
from assistant.api.responses.endpoints import Responses
from assistant.api.scoped import needs

_PATH: Final = "/v1/responses"
_ONE: Final = _PATH + "/{response_id}"
_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ResponseRequest"}}}}
}
_STREAMS: Final[dict[str, Any]] = {
    "model": ResponseObject,
    "description": "The response; or, with `stream: true`, events from response.created to response.completed, incomplete or failed.",
    "content": events(*[event.__name__ for event in RESPONSE_EVENTS]),
}


def add_response_routes(app: FastAPI, responses: Responses) -> None:
    app.add_api_route(
        _PATH,
        responses.create,
        methods=["POST"],
        summary="Ask, by OpenAI's Responses",
        response_model=None,
        responses={200: _STREAMS, **errors(*[status for status in WHY if status not in (405, 422)])},
        openapi_extra=needs("chat", _BODY),
    )
    for path, summary, endpoint, method, answer, refusals in (
        (_ONE, "Show a response", responses.show, "GET", ResponseObject, errors(400, 401, 404, 503)),
        (_ONE + "/input_items", "List what was sent", responses.input_items, "GET", InputItemList, errors(400, 401, 404, 503)),
        (_ONE, "Delete a response", responses.delete, "DELETE", ResponseDeleted, errors(401, 404, 503)),
    ):
        app.add_api_route(
            path, endpoint, methods=[method], summary=summary, response_model=answer, responses=refusals, openapi_extra=needs("chat")
        )
