"""Matrix as the contract suite of channels sees it: the stand-in, and the channel that talks to it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import Said
from assistant.testing.platform import Ability
from channels.matrix.adapter import MatrixChannel
from channels.matrix.kind import KIND
from channels.matrix.settings import MatrixSettings
from tests.doubles.matrix_server import ANNA, BOT, NOW, TOKEN
from tests.doubles.served import ServedPlatform

DM, GROUP, ROOT = "!dm:test", "!group:test", "$root"


_PLAIN = {"encryption": False, "preview": "edit"}


class MatrixPlatform(ServedPlatform[Any, MatrixChannel]):
    kind = KIND
    address = Address(channel="matrix", chat_id=DM)
    bad_addresses = (
        Address(channel="matrix", chat_id="anna"),
        Address(channel="matrix", chat_id="!a b:test"),
        Address(channel="matrix", chat_id="@anna"),
        Address(channel="matrix", chat_id=DM, thread_id="1"),
    )
    receives = True
    abilities: frozenset[Ability] = frozenset(
        {
            "groups",
            "threads",
            "replies",
            "edits",
            "files",
            "files_in",
            "quotes_in",
            "edits_in",
            "bots",
            "reconnects",
            "strangers",
            "clock",
            "previews",
            "moves",
            "typing",
            "reactions",
        }
    )
    failures = frozenset(
        {"refuse", "limit", "lose", "hold", "server_error", "garbage", "unauthorized", "form", "files", "thread_gone", "edit_gone"}
    )
    group = Address(channel="matrix", chat_id=GROUP)
    thread_id = ROOT
    bot = BOT
    most_text = 7000
    most_file = 50 * 1024 * 1024

    def __init__(self, server: Any, folder: Path, **more: Any) -> None:
        login = {} if more else {"accessToken": TOKEN}
        about = {"enabled": True, "homeserver": server.url, "encryption": False, "preview": "edit", **login, **more}
        super().__init__(server, folder, MatrixSettings.model_validate(about))
        self.prepare()

    def prepare(self) -> None:
        """The rooms."""
        self.server.room(DM, ANNA)
        self.server.room(GROUP, ANNA, "@ben:test")
        self.server.room("!stranger:test", "@mallory:test")
        self.server.say(GROUP, {"msgtype": "m.text", "body": "the first"}, id=ROOT)

    def open(self) -> MatrixChannel:
        return MatrixChannel(self.settings, self.context, pause=0.01)

    def write(self, said: Said) -> str:
        content: dict[str, Any] = {"msgtype": "m.notice" if said.by == "bot" else "m.text", "body": said.text}
        content["m.mentions"] = {"user_ids": [self.bot]} if said.mention else {}
        group = self.group
        assert group is not None
        room = group.chat_id if said.group else self.address.chat_id
        relation: dict[str, Any] = {}
        for name, file in said.files:
            info = {"mimetype": "application/pdf", "size": len(file)}
            content |= {"msgtype": "m.file", "body": said.text or name, "filename": name, "url": self.put_file(file), "info": info}
        if said.answers_us:
            relation = {"m.in_reply_to": {"event_id": self.seen()[-1].id}}
        if said.quotes:
            first = self.say_in(room, {"msgtype": "m.notice", "body": said.quotes}, by="@ben:test")
            relation = {"m.in_reply_to": {"event_id": first}}
            content["body"] = f"> <@ben:test> {said.quotes}\n\n{said.text}"
        if said.thread_id is not None:
            relation = {
                "rel_type": "m.thread",
                "event_id": said.thread_id,
                "is_falling_back": True,
                "m.in_reply_to": {"event_id": said.thread_id},
            }
        if said.edits is not None:
            relation = {"rel_type": "m.replace", "event_id": said.edits}
            content = {**content, "body": f"* {said.text}", "m.new_content": content}
        if relation:
            content["m.relates_to"] = relation
        if said.by == "stranger":
            room = "!stranger:test"
        by = {"assistant": self.bot, "stranger": "@mallory:test"}.get(said.by, ANNA)
        return self.say_in(room, content, by=by, id=said.id, ahead=said.ahead)

    def say_in(
        self, room: str, content: Any, *, by: str = ANNA, id: str | None = None, kind: str = "m.room.message", ahead: float = 0
    ) -> str:
        return self.server.say(room, content, by=by, id=id, kind=kind, origin_server_ts=NOW + int(ahead * 1000))

    def move(self) -> Address:
        self.server.room("!moved:test", ANNA, "@ben:test", create={"predecessor": {"room_id": GROUP}})
        self.server.say(GROUP, {"body": "moved", "replacement_room": "!moved:test"}, kind="m.room.tombstone", state_key="")
        return Address(channel="matrix", chat_id="!moved:test")

    def typed(self) -> Sequence[str]:
        return [path.split("/rooms/")[1].split("/")[0] for path, body in self.server.calls if body == {"typing": True, "timeout": 9000}]

    def reacted(self) -> Sequence[str]:
        return [body["m.relates_to"]["event_id"] for path, body in self.server.calls if "/send/m.reaction/" in path]

    def put_file(self, content: bytes) -> str:
        """Returns its address."""
        self.server.files["in"] = content
        return "mxc://test/in"

    def acknowledged(self) -> bool:
        return self.server.read_to == len(self.server.stream)

    def garble(self) -> None:
        broken: list[Any] = [
            7,
            None,
            {"body": "w"},
            {"msgtype": 7, "body": []},
            {"m.new_content": 1},
            {"m.relates_to": [1], "msgtype": "m.text"},
        ]
        for content in broken:
            self.say_in(self.address.chat_id, content)
        self.say_in(self.address.chat_id, {"msgtype": "m.image", "body": 1, "url": {"mxc": 1}})
        self.say_in(self.address.chat_id, {"algorithm": "m.none", "ciphertext": "x"}, kind="m.room.encrypted")
