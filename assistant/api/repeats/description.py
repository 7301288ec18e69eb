"""How requests that come again are described in /openapi.json: the same for every POST that needs a key."""

from typing import Any, Final

from assistant.api.refusals import WHY
from assistant.api.repeats.asked import LONGEST_KEY

_PARAMETER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Yours, for this request: for 24 hours, a repeat under the same key does nothing new and gets the first answer, marked "
    "`Idempotency-Replayed: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
_REFUSALS: Final = ("400", "409", "422")


def describe_repeats(operation: dict[str, Any]) -> None:
    """Add to a POST's description what holds for its repeats."""
    operation.setdefault("parameters", []).append(_PARAMETER)
    for status in _REFUSALS:
        if status not in operation["responses"]:
            schema = {"$ref": "#/components/schemas/ErrorAnswer"}
            operation["responses"][status] = {"description": WHY[int(status)], "content": {"application/json": {"schema": schema}}}
