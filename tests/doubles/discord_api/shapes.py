"""How Discord writes what its world is made of."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

Payload = dict[str, Any]
EPOCH_MS: Final = 1_420_070_400_000
"""The first millisecond of Discord's ids."""
EVERYTHING: Final = str((1 << 50) - 1)
"""All permissions."""


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def member(user: Payload, roles: Sequence[str] = ()) -> Payload:
    return {
        "user": user,
        "roles": list(roles),
        "nick": None,
        "joined_at": stamp(datetime.now(UTC)),
        "deaf": False,
        "mute": False,
        "flags": 0,
    }


def role(role_id: str, name: str, tags: Payload) -> Payload:
    made: Payload = {"id": role_id, "name": name, "color": 0, "hoist": False, "position": 0, "permissions": EVERYTHING}
    made |= {"managed": bool(tags), "mentionable": False, "flags": 0, "colors": {"primary_color": 0}}
    return {**made, "tags": tags} if tags else made


def numbered(rows: Sequence[Payload]) -> list[Payload]:
    """Components as Discord gives them back: each with an id."""
    return [{**row, "id": place, "components": [{**each, "id": place} for each in row["components"]]} for place, row in enumerate(rows, 1)]


def recent(at: datetime, seconds: float) -> bool:
    return datetime.now(UTC) - at <= timedelta(seconds=seconds)
