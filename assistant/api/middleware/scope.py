"""What the parts of the stack tell each other about a request, typed in one place."""

from starlette.types import Scope

from assistant.access.principals import Principal

_REQUEST_ID = "nanobot.request_id"
_PRINCIPAL = "nanobot.principal"


def header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header (its name in lower case); the first one if it was sent twice. None: it was not sent."""
    for key, value in scope["headers"]:
        if key == name:
            return value
    return None


def headers_named(scope: Scope, name: bytes) -> list[bytes]:
    """The values of a header (its name in lower case), as often as it was sent."""
    return [value for key, value in scope["headers"] if key == name]


def request_id(scope: Scope) -> str:
    return scope[_REQUEST_ID]


def set_request_id(scope: Scope, value: str) -> None:
    scope[_REQUEST_ID] = value


def principal(scope: Scope) -> Principal:
    """Who asks. Only behind the Door, and not on the paths that it leaves open."""
    return scope[_PRINCIPAL]


def known_principal(scope: Scope) -> Principal | None:
    """Who asks; None where that was not asked."""
    return scope.get(_PRINCIPAL)


def set_principal(scope: Scope, value: Principal) -> None:
    scope[_PRINCIPAL] = value
