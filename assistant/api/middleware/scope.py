"""What the parts of the stack tell each other about a request, typed in one place."""

from starlette.types import Scope

from assistant.access.principals import Principal
from assistant.contracts.access import UNLIMITED, Admission, Standing
from assistant.contracts.errors import NanobotError

_REQUEST_ID = "nanobot.request_id"
_PRINCIPAL = "nanobot.principal"
_ADMISSION = "nanobot.admission"
_STANDING = "nanobot.standing"
_CUT_OFF = "nanobot.cut_off"
_ORIGIN = "nanobot.origin"


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


def admission(scope: Scope) -> Admission:
    """What this request counts as: reserve what a model may take, and say what it took."""
    return scope.get(_ADMISSION, UNLIMITED)


def set_admission(scope: Scope, value: Admission) -> None:
    scope[_ADMISSION] = value


def standing(scope: Scope) -> Standing:
    """How whoever asks stands with their limits, also where they were not let in."""
    return scope.get(_STANDING) or admission(scope).standing


def set_standing(scope: Scope, value: Standing) -> None:
    """Of somebody who is not let in."""
    scope[_STANDING] = value


def cut_off(scope: Scope) -> NanobotError | None:
    """Why this request was cancelled, where that has a reason of its own; None: the server ends."""
    return scope.get(_CUT_OFF)


def set_cut_off(scope: Scope, why: NanobotError) -> None:
    """To be said before its task is cancelled."""
    scope[_CUT_OFF] = why


def cors_origin(scope: Scope) -> bytes | None:
    """The origin of the web page that sent this, where it may read the answer. Known behind the Guard."""
    return scope.get(_ORIGIN)


def set_cors_origin(scope: Scope, origin: bytes) -> None:
    scope[_ORIGIN] = origin
