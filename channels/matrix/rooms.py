"""What is known of the rooms that the account is in, from the sync."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from channels.kit.http import value_at

_MOST_NAMES: Final = 500
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
    names: OrderedDict[str, str] = field(default_factory=OrderedDict[str, str])
    """Display names by user id, as far as they came by."""

    @property
    def private(self) -> bool:
        """The account and one person, and no way in for others."""
        return self.joined + self.invited == 2 and not self.open_to_join and not self.open_to_read

    def learn(self, event: Any) -> None:
        """From a state event."""
        if not isinstance(value_at(event, "state_key"), str):
            return
        match value_at(event, "type"):
            case "m.room.encryption":
                self.encrypted = True  # for ever: https://spec.matrix.org/latest/client-server-api/#mroomencryption
            case "m.room.join_rules":
                self.open_to_join = value_at(event, "content", "join_rule") not in _CLOSED
            case "m.room.history_visibility":
                self.open_to_read = value_at(event, "content", "history_visibility") == "world_readable"
            case "m.room.member" if isinstance(name := value_at(event, "content", "displayname"), str):
                self.names[event["state_key"]] = name
                while len(self.names) > _MOST_NAMES:
                    self.names.popitem(last=False)
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
        room.others = tuple(texts_in(value_at(summary, "m.heroes"))) or room.others
        for event in [*events_in(news, "state"), *events_in(news, "timeline")]:
            room.learn(event)
        return room

    def leave(self, id: str) -> None:
        self._rooms.pop(id, None)

    def clear(self) -> None:
        self._rooms.clear()


def events_in(news: Any, section: str) -> list[Any]:
    events = value_at(news, section, "events")
    return events if isinstance(events, list) else []  # pyright: ignore[reportUnknownVariableType]


def texts_in(value: Any) -> list[str]:
    """The texts of a list; none where it is no list."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]
