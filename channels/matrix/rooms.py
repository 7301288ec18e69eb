"""What is known of the rooms that the account is in, from the sync."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from assistant.contracts.util import replace_surrogates
from channels.kit.values import Latest, list_at, text_at, value_at

_MOST_NAMES: Final = 500
_MOST_OTHERS: Final = 10
_CLOSED: Final = frozenset({"invite", "private", "knock"})


@dataclass(slots=True)
class MatrixRoom:
    id: str
    joined: int = 0
    invited: int = 0
    open_to_join: bool = False
    """Others can come in without an invitation."""
    open_to_read: bool = False
    """Others can read it from outside."""
    encrypted: bool = False
    others: tuple[str, ...] = ()
    """Some of its other members."""
    names: Latest[str] = field(default_factory=lambda: Latest[str](_MOST_NAMES))
    """Display names by user id, as far as they came by."""

    @property
    def private(self) -> bool:
        """The account and one person, and no way in for others."""
        return self.joined + self.invited == 2 and not self.open_to_join and not self.open_to_read

    def learn(self, event: Any) -> None:
        """From a state event."""
        if not isinstance(value_at(event, "state_key"), str):
            return
        match text_at(event, "type"):
            case "m.room.encryption":
                self.encrypted = True  # for ever: https://spec.matrix.org/latest/client-server-api/#mroomencryption
            case "m.room.join_rules":
                self.open_to_join = text_at(event, "content", "join_rule") not in _CLOSED
            case "m.room.history_visibility":
                self.open_to_read = text_at(event, "content", "history_visibility") == "world_readable"
            case "m.room.member" if name := text_at(event, "content", "displayname"):
                self.names[text_at(event, "state_key")] = name
            case _:
                pass

    def name_of(self, user_id: str) -> str:
        """For display."""
        return self.names.get(user_id) or user_id[1:].partition(":")[0]


class Rooms:
    def __init__(self) -> None:
        self._rooms: dict[str, MatrixRoom] = {}

    def __iter__(self) -> Iterator[MatrixRoom]:
        return iter(list(self._rooms.values()))

    def get(self, id: str) -> MatrixRoom | None:
        """None: it is unknown; ask the server."""
        return self._rooms.get(id)

    def take(self, id: str, news: Any) -> MatrixRoom:
        """What a sync says of a joined room. https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3sync"""
        room = self._rooms.setdefault(id, MatrixRoom(id))
        summary = value_at(news, "summary")
        if isinstance(count := value_at(summary, "m.joined_member_count"), int):
            room.joined = count
        if isinstance(count := value_at(summary, "m.invited_member_count"), int):
            room.invited = count
        room.others = tuple(texts_at(summary, "m.heroes")[:_MOST_OTHERS]) or room.others
        for event in [*events_in(news, "state"), *events_in(news, "timeline")]:
            room.learn(event)
        return room

    def leave(self, id: str) -> None:
        self._rooms.pop(id, None)

    def clear(self) -> None:
        self._rooms.clear()


def rooms_in(news: Any, section: str) -> list[tuple[str, Any]]:
    return list(object_at(news, "rooms", section).items())


def events_in(news: Any, section: str) -> list[Any]:
    return list_at(news, section, "events")


def texts_at(value: Any, *path: str) -> list[str]:
    """The texts of a list; none where it is no list."""
    return [replace_surrogates(each) for each in list_at(value, *path) if isinstance(each, str)]


def object_at(value: Any, *path: str) -> dict[str, Any]:
    """Empty: it is not there, or is none."""
    found = value_at(value, *path)
    return {replace_surrogates(name): each for name, each in found.items()} if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]
