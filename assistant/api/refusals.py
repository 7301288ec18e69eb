"""How refusals are described in /openapi.json."""

from typing import Any, Final

from assistant.api.wire_answers import ErrorAnswer

WHY: Final = {
    400: "The request is not valid; `param` is the path of the field that is wrong.",
    401: "A key is needed, or this one is not valid.",
    403: "The page that sends this may not, or the key lacks the scope.",
    404: "There is no such thing.",
    405: "This path does not take that method.",
    408: "The request stopped coming.",
    409: "Not now: too many messages wait in this session, the delivery is in a state in which that can't be done, or a repeat can't be answered.",
    413: "The request or a file is too large.",
    415: "The content type, or the type of a file, is not supported.",
    421: "This server does not answer to that Host.",
    422: "This Idempotency-Key was used with another request.",
    429: "Too many requests or tokens in a minute, too many at the same time, or too many wrong keys from this address.",
    499: "The turn was cancelled.",
    500: "The server failed.",
    502: "The model's provider failed.",
    503: "The provider, the store or the server can't take more now.",
    504: "The provider or the whole turn took too long.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These, and those that any path may answer; where a key is needed, also those that looking at it may end in."""
    limits = (429, 503) if 401 in statuses else ()
    return {status: {"model": ErrorAnswer, "description": WHY[status]} for status in dict.fromkeys((*statuses, *limits, 403, 421, 500))}
