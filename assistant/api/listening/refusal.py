"""What the server itself answers where the application is not asked, or can't be any more."""

from collections.abc import Iterable
from http import HTTPStatus

from assistant.api.middleware.errors import error_headers, error_json
from assistant.contracts.errors import NanobotError
from assistant.contracts.ids import new_id


def refusal(error: NanobotError) -> bytes:
    """A whole HTTP answer, after which the connection is closed."""
    body = error_json(error)
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-request-id": new_id("req"),
        "openai-processing-ms": "0",
        **error_headers(error),
    }
    return head(f"{error.status} ", headers.items()) + body


def head(status: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The head of an answer. `status`: "101 Switching Protocols"."""
    return "\r\n".join([f"HTTP/1.1 {status}", *[f"{name}: {value}" for name, value in headers], "", ""]).encode("latin-1")


def phrase(status: int) -> str:
    """ "404 Not Found": a status with its name, where it has one."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} "
