"""The Telegram channel keeps the contract of a channel, with the real SDK against the stand-in."""

import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import ChannelSuite, Failure, Said, Seen
from assistant.testing.platform import Ability
from channels.telegram.adapter import TelegramChannel
from channels.telegram.kind import KIND
from channels.telegram.settings import TelegramSettings
from tests.doubles.served import OpenedPlatform
from tests.doubles.telegram_api.chats import GENERAL_BOT, entity, person
from tests.doubles.telegram_api.faults import Fault
from tests.doubles.telegram_api.posted import Posted
from tests.doubles.telegram_api.server import TelegramServer

_PRIVATE, _GROUP, _TOPIC, _MOVED = 42, -100, 7, -200
_NO_FILES: Final = "Bad Request: not enough rights to send documents to the chat"


def _faults(how: Failure) -> list[Fault]:
    match how:
        case "refuse":
            return [Fault(code=400, description="Bad Request: chat not found")]
        case "limit":
            return [Fault.flood(30)]
        case "lose":
            return [Fault(kind="reset_after")]
        case "hold":
            return [Fault(kind="hang_before")]
        case "server_error":
            return [Fault(code=500)]
        case "garbage":
            return [Fault(kind="garbage")]
        case "unauthorized":
            return [Fault(code=401, description="Unauthorized", method="", times=None)]
        case "blocked":
            return [Fault.blocked(_PRIVATE)]
        case "form":
            return [Fault(code=400, description="Bad Request: can't parse entities: unsupported start tag")]
        case "files":
            return [Fault(code=400, description=_NO_FILES, method=method, times=None) for method in ("sendPhoto", "sendDocument")]
        case "reply_gone":
            return [Fault(code=400, description="Bad Request: message to be replied not found")]
        case "thread_gone":
            return [Fault(code=400, description="Bad Request: message thread not found")]
        case "edit_gone":
            return [Fault(code=400, description="Bad Request: message to edit not found", method="editMessageText")]


class TelegramPlatform(OpenedPlatform[TelegramChannel]):
    kind = KIND
    address = Address(channel="telegram", chat_id=str(_PRIVATE))
    bad_addresses = (Address(channel="telegram", chat_id="Ada"), Address(channel="telegram", chat_id="42", thread_id="-1"))
    receives = True
    abilities: frozenset[Ability] = frozenset(get_args(Ability)) - {"signed"}
    failures = frozenset(get_args(Failure))
    group = Address(channel="telegram", chat_id=str(_GROUP))
    thread_id = str(_TOPIC)
    most_text = 4096
    most_file = 50_000_000

    def __init__(self, server: TelegramServer, folder: Path) -> None:
        self._server = server
        self._messages: dict[str, dict[str, Any]] = {}
        given = {"enabled": True, "token": server.token, "apiBase": server.url, "preview": "edit"}
        super().__init__(folder, TelegramSettings.model_validate(given))

    def open(self) -> TelegramChannel:
        return TelegramChannel(self.settings, self.context)

    def seen(self) -> Sequence[Seen]:
        return [_seen(posted) for posted in self._server.ledger if not posted.deleted]

    def fail(self, how: Failure) -> None:
        self._server.fail(*_faults(how))

    def heal(self) -> None:
        self._server.clear_faults()

    def write(self, said: Said) -> str:
        server, chat = self._server, _GROUP if said.group else _PRIVATE
        if said.id is not None:
            server.deliver("message", self._messages[said.id])
            return said.id
        if said.edits is not None:
            server.edit(self._messages[said.edits], said.text)
            return said.edits
        text = f"@test_bot {said.text}" if said.mention else said.text
        about: dict[str, Any] = {"topic": int(said.thread_id) if said.thread_id else None}
        if said.mention:
            about["entities"] = [entity("mention", text, "@test_bot")]
        if said.answers_us:
            about["reply_to_message"] = server.as_update(next(one for one in reversed(server.ledger) if one.chat_id == chat))
        if said.quotes:
            about["reply_to_message"] = server.message(chat, text=said.quotes, sender=8, name="Bob")
        if said.by == "stranger":
            chat = 99
        if said.files:
            [(name, data)] = said.files
            message = server.document(chat, name, data, sender=42, **about, **({"caption": text} if text else {}))
        else:
            message = server.message(chat, text=text, sender=42 if said.group else chat, **about)
            message["from"] = {"bot": GENERAL_BOT, "assistant": server.bot}.get(said.by, message["from"])
            message["date"] = int(time.time() + said.ahead)
            server.deliver("message", message)
        self._messages[str(message["message_id"])] = message
        return str(message["message_id"])

    def press(self, label: str) -> None:
        server = self._server
        for posted in reversed(server.ledger):
            for button in [button for row in posted.buttons for button in row]:
                if button["text"] == label:
                    server.press({**server.as_update(posted), "chat": server.message(_PRIVATE)["chat"]}, button["callback_data"], sender=42)
                    return
        raise AssertionError(label)

    def acknowledged(self) -> bool:
        return not self._server.updates

    def drop(self) -> None:
        self._server.drop()

    def garble(self) -> None:
        self._server.deliver("message", {"message_id": "x", "chat": [], "from": person(42)})
        self._server.deliver_raw({"update_id": 1, "message": None, "edited_message": 7})
        self._server.deliver_raw({"no": "update"})

    def move(self) -> Address:
        self._server.upgrade(_GROUP, _MOVED)
        return Address(channel="telegram", chat_id=str(_MOVED))

    def typed(self) -> Sequence[str]:
        return [chat for chat, _, _ in self._server.actions]

    def reacted(self) -> Sequence[str]:
        return [str(message) for _, message, _ in self._server.reactions]


def _seen(posted: Posted) -> Seen:
    return Seen(
        id=str(posted.message_id),
        text=posted.edits[-1] if posted.edits else posted.text,
        chat_id=str(posted.chat_id),
        thread_id=str(posted.thread_id) if posted.thread_id else None,
        reply_to=str(posted.reply_to) if posted.reply_to else None,
        files=tuple(file.name for file in posted.files),
        buttons=tuple(button["text"] for row in posted.buttons for button in row),
        edited=bool(posted.edits),
    )


class TestTelegram(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[TelegramPlatform]:
        async with TelegramServer() as server, TelegramPlatform(server, tmp_path) as platform:
            yield platform
