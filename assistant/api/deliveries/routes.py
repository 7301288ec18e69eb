"""The routes of /v1/deliveries, and their description."""

from typing import Any, Final

from fastapi import FastAPI

from assistant.api.deliveries.endpoints import DeliveryEndpoints
from assistant.api.deliveries.wire import DeliveryAnswer, DeliveryList
from assistant.api.refusals import errors
from assistant.api.scoped import needs

_PATH: Final = "/v1/deliveries"
_ONE: Final = _PATH + "/{delivery_id}"
_SCHEMAS: Final = "#/components/schemas/"
_SEND: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": _SCHEMAS + "DeliveryRequest"}},
            "multipart/form-data": {"schema": {"$ref": _SCHEMAS + "DeliveryForm"}},
        },
    },
}
_REPEATED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": DeliveryAnswer,
        "description": "A repeat of a day or more later, by its Idempotency-Key: the first delivery, as it is now.",
    }
}


def add_delivery_routes(app: FastAPI, deliveries: DeliveryEndpoints) -> None:
    app.add_api_route(
        _PATH,
        deliveries.create,
        methods=["POST"],
        summary="Send a message",
        status_code=202,
        response_model=DeliveryAnswer,
        response_description="Accepted: it is kept.",
        responses={**_REPEATED, **errors(400, 401, 408, 413, 415, 422, 503)},
        openapi_extra=needs("deliveries", _SEND),
    )
    get, post, seen = ["GET"], ["POST"], needs("deliveries")
    for path, summary, endpoint, methods, answer, refusals in (
        (_PATH, "List deliveries", deliveries.index, get, DeliveryList, errors(400, 401, 404, 503)),
        (_ONE, "Show a delivery", deliveries.show, get, DeliveryAnswer, errors(401, 404, 503)),
        (_ONE + "/retry", "Try a delivery again", deliveries.retry, post, DeliveryAnswer, errors(401, 404, 409, 503)),
        (_ONE + "/cancel", "Cancel a delivery", deliveries.cancel, post, DeliveryAnswer, errors(401, 404, 409, 503)),
    ):
        app.add_api_route(path, endpoint, summary=summary, methods=methods, response_model=answer, responses=refusals, openapi_extra=seen)
