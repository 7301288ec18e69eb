"""What people do: the updates that the bot is given."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from tests.doubles.visible import utf16

Update = dict[str, Any]
GENERAL_BOT = {"id": 777, "is_bot": True, "first_name": "Other", "username": "other_bot"}


def person(user_id: int, name: str = "Ada") -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": name, "language_code": "en"}


def chat(chat_id: int, *, forum: bool = False) -> dict[str, Any]:
    """Negative ids are groups, as on the platform."""
    if chat_id > 0:
        return {"id": chat_id, "type": "private", "first_name": "Ada"}
    return {"id": chat_id, "type": "supergroup", "title": "The group", **({"is_forum": True} if forum else {})}


def entity(kind: str, text: str, part: str, **more: Any) -> dict[str, Any]:
    """An entity over the first occurrence of `part`, counted in UTF-16 units."""
    begin = text.index(part)
    return {"type": kind, "offset": utf16(text[:begin]), "length": utf16(part), **more}


class Chats:
    """Makes updates and keeps those that the bot has not acknowledged. Every call may come from any thread."""

    def __init__(self) -> None:
        self.updates: deque[Update] = deque()
        self.files: dict[str, tuple[str, bytes]] = {}
        """file_id → (file_path, bytes)."""
        self.woken: Callable[[], None] = _nobody
        self._update_ids = itertools.count(1000)
        self._message_ids = itertools.count(1)
        self.latest_message_id = 0
        self._lock = threading.Lock()

    def next_message_id(self) -> int:
        self.latest_message_id = next(self._message_ids)
        return self.latest_message_id

    def deliver(self, kind: str, content: dict[str, Any]) -> int:
        """An update of any kind. Returns its id."""
        with self._lock:
            update_id = next(self._update_ids)
            self.updates.append({"update_id": update_id, kind: content})
        self.woken()
        return update_id

    def deliver_raw(self, update: Update) -> None:
        """Anything, also what is no update, or one that was delivered before."""
        with self._lock:
            self.updates.append(update)
        self.woken()

    def message(self, chat_id: int, *, sender: int | None = None, name: str = "Ada", topic: int | None = None, **content: Any) -> Update:
        """A message as the platform describes it; `content` are its further fields."""
        made: Update = {
            "message_id": self.next_message_id(),
            "date": int(time.time()),
            "chat": chat(chat_id, forum=topic is not None),
            "from": person(sender if sender is not None else abs(chat_id), name),
            **content,
        }
        if topic is not None:
            made |= {"message_thread_id": topic, "is_topic_message": True}
        return made

    def say(self, chat_id: int, text: str, *, mention: str | None = None, **more: Any) -> Update:
        """A person writes. `mention`: the part of the text that is a mention. Returns the message."""
        entities = [entity("mention", text, mention)] if mention else []
        if text.startswith("/"):
            entities.append(entity("bot_command", text, text.split()[0]))
        message = self.message(chat_id, text=text, **({"entities": entities} if entities else {}), **more)
        self.deliver("message", message)
        return message

    def edit(self, message: Update, text: str, *, after: int = 5) -> Update:
        """The sender edits a message, `after` seconds later."""
        edited = {**message, "text": text, "edit_date": message["date"] + after}
        self.deliver("edited_message", edited)
        return edited

    def file(self, data: bytes, path: str) -> str:
        """A file that the bot may fetch. Returns its file_id."""
        file_id = f"file-{len(self.files) + 1}"
        self.files[file_id] = (path, data)
        return file_id

    def photo(self, chat_id: int, data: bytes = b"\xff\xd8\xffphoto", *, caption: str | None = None, **more: Any) -> Update:
        """A photo, in two sizes as the platform makes them."""
        small, large = self.file(data[:4], "photos/small.jpg"), self.file(data, "photos/large.jpg")
        sizes = [
            {"file_id": small, "file_unique_id": f"u{small}", "width": 90, "height": 60, "file_size": 4},
            {"file_id": large, "file_unique_id": f"u{large}", "width": 900, "height": 600, "file_size": len(data)},
        ]
        message = self.message(chat_id, photo=sizes, **({"caption": caption} if caption else {}), **more)
        self.deliver("message", message)
        return message

    def album(self, chat_id: int, captions: Sequence[str | None], group: str = "album-1", **more: Any) -> list[Update]:
        """Photos that were sent together."""
        return [self.photo(chat_id, caption=caption, media_group_id=group, **more) for caption in captions]

    def document(self, chat_id: int, name: str, data: bytes, *, media_type: str = "application/pdf", **more: Any) -> Update:
        file_id = self.file(data, f"documents/{name}")
        document = {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_name": name, "mime_type": media_type, "file_size": len(data)}
        message = self.message(chat_id, document=document, **more)
        self.deliver("message", message)
        return message

    def press(self, message: Update, data: str, *, sender: int) -> str:
        """A person presses a button under a message of the bot. Returns the query's id."""
        query_id = f"query-{self.next_message_id()}"
        query = {"id": query_id, "from": person(sender), "chat_instance": "1", "message": message, "data": data}
        self.deliver("callback_query", query)
        return query_id


def _nobody() -> None:
    pass
