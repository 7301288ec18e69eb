"""What a Discord of one application holds: users, servers, channels, messages, and the ledger of what the application sent.

Payloads are Discord's own objects (https://discord.com/developers/docs/resources/message and its neighbours), kept as JSON objects.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.doubles.discord_api.shapes import EPOCH_MS, EVERYTHING, Payload, member, numbered, role, stamp

DM, TEXT, THREAD, FORUM, MEDIA = 1, 0, 11, 15, 16
POSTS = (FORUM, MEDIA)
"""Channels that hold posts, and no messages of their own."""
REQUIRES_TAG = 1 << 4


@dataclass(slots=True, kw_only=True)
class Accepted:
    """A message of the application's that was accepted."""

    channel_id: str
    message_id: str
    content: str
    nonce: str | None
    at: datetime
    body: Payload
    """As it was posted."""
    files: tuple[tuple[str, bytes], ...] = ()
    pings: bool = False
    """Whether its mentions notified anybody."""
    edits: list[str] = field(default_factory=list[str])
    edited_files: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    """What came with the edits."""
    deleted: bool = False

    @property
    def shown(self) -> str:
        """What people see of it now."""
        return self.edits[-1] if self.edits else self.content


class World:
    """The state, and the verbs of the people in it. `emit` is told every gateway event that follows."""

    def __init__(self, emit: Callable[[str, Payload], None]) -> None:
        self._emit = emit
        self._last_id = 0
        self.users: dict[str, Payload] = {}
        self.guilds: dict[str, Payload] = {}
        self.channels: dict[str, Payload] = {}
        self.messages: dict[str, dict[str, Payload]] = {}
        self.ledger: list[Accepted] = []
        self.commands: list[Payload] = []
        self.reactions: list[tuple[str, str]] = []
        """(message id, emoji) of the application's."""
        self.typings: list[str] = []
        self.callbacks: dict[str, list[Payload]] = {}
        """What was answered to an interaction, by its id."""
        self.interactions: dict[str, str] = {}
        self.cdn: dict[str, bytes] = {}
        """Files by their path; `expire_files` moves them."""
        self.hidden: set[str] = set()
        self.closed_dms: set[str] = set()
        self.base = ""
        """Where files are found; set by the server."""
        self.me = self.user("nanobot", bot=True)

    def new_id(self, at: datetime | None = None) -> str:
        """An id of this time; those of now only grow."""
        made = (int((at or datetime.now(UTC)).timestamp() * 1000) - EPOCH_MS) << 22
        if at is not None:
            while str(made) in self.users or any(str(made) in kept for kept in self.messages.values()):
                made += 1
            return str(made)
        self._last_id = max(self._last_id + 1, made)
        return str(self._last_id)

    def user(self, name: str, *, bot: bool = False) -> Payload:
        user: Payload = {"id": self.new_id(), "username": name, "discriminator": "0", "avatar": None, "global_name": None, "bot": bot}
        self.users[user["id"]] = user
        return user

    def dm(self, user: Payload) -> Payload:
        """The private channel with a user; made at the first call."""
        for channel in self.channels.values():
            if channel["type"] == DM and channel["recipients"][0]["id"] == user["id"]:
                return channel
        return self._channel({"type": DM, "recipients": [user]})

    def guild(self, name: str) -> Payload:
        """A server that the application is in, with a role of its own."""
        guild_id = self.new_id()
        roles = [
            role(guild_id, "@everyone", {}),
            role(self.new_id(), "nanobot", {"bot_id": self.me["id"]}),
        ]
        guild: Payload = {"id": guild_id, "name": name, "owner_id": self.new_id(), "roles": roles, "member_count": 2}
        guild["members"] = [member(self.me, [roles[1]["id"]])]
        self.guilds[guild_id] = guild
        self._emit("GUILD_CREATE", self.whole_guild(guild))
        return guild

    def text_channel(self, guild: Payload, name: str) -> Payload:
        channel = self._channel({"type": TEXT, "guild_id": guild["id"], "name": name, "position": 0, "permission_overwrites": []})
        self._emit("CHANNEL_CREATE", channel)
        return channel

    def forum(self, guild: Payload, name: str, *, kind: int = FORUM, tags: Sequence[str] = (), needs_tag: bool = False) -> Payload:
        """A forum, or a media channel."""
        about: Payload = {"type": kind, "guild_id": guild["id"], "name": name, "position": 0, "permission_overwrites": []}
        made = [{"id": self.new_id(), "name": tag, "moderated": False, "emoji_id": None, "emoji_name": None} for tag in tags]
        channel = self._channel({**about, "available_tags": made, "flags": REQUIRES_TAG if needs_tag else 0})
        self._emit("CHANNEL_CREATE", channel)
        return channel

    def thread(self, parent: Payload, name: str, *, told: bool = True, **more: object) -> Payload:
        """A public thread. `told`: whether the application gets it before its first message."""
        about = {"archived": False, "auto_archive_duration": 60, "archive_timestamp": stamp(datetime.now(UTC)), "locked": False}
        thread = self._channel(
            {
                "type": THREAD,
                "guild_id": parent["guild_id"],
                "parent_id": parent["id"],
                "name": name,
                "thread_metadata": about,
                "owner_id": self.me["id"],
                "message_count": 0,
                "member_count": 1,
                "rate_limit_per_user": 0,
                "told": told,
                **more,
            }
        )
        if told:
            self._emit("THREAD_CREATE", thread)
        return thread

    def write(
        self,
        channel: Payload,
        author: Payload,
        content: str,
        *,
        files: Sequence[tuple[str, str, bytes]] = (),
        reply_to: str | None = None,
        forwards: str | None = None,
        at: datetime | None = None,
        **more: object,
    ) -> Payload:
        """A user writes. `files`: (name, media type, bytes). `forwards`: the message that is forwarded. `more`: further fields of the message."""
        message = self._message(channel, author, content, at)
        message["attachments"] = [self._attachment(channel, *file) for file in files]
        if reply_to is not None:
            message |= {"type": 19, "message_reference": {"type": 0, "channel_id": channel["id"], "message_id": reply_to}}
            message["referenced_message"] = self.messages[channel["id"]].get(reply_to)
        if forwards is not None:
            message["message_reference"] = {"type": 1, "channel_id": channel["id"], "message_id": self.new_id()}
            kept = ("type", "content", "embeds", "attachments", "timestamp", "edited_timestamp", "flags", "mentions", "mention_roles")
            message["message_snapshots"] = [{"message": {**{key: message[key] for key in kept}, "content": forwards}}]
        message |= more
        self._keep(channel, message)
        self._emit("MESSAGE_CREATE", self._told(channel, message))
        return message

    def tell_again(self, message: Payload) -> None:
        """The gateway tells a message that it told before."""
        self._emit("MESSAGE_CREATE", self._told(self.channels[message["channel_id"]], message))

    def edit(self, message: Payload, content: str | None = None, **more: object) -> None:
        """A user edits their message; without `content`, Discord itself does (a preview of a link, a pin)."""
        if content is not None:
            message |= {"content": content, "edited_timestamp": stamp(datetime.now(UTC)), "mentions": self._mentions(content)}
        message |= more
        self._emit("MESSAGE_UPDATE", self._told(self.channels[message["channel_id"]], message))

    def command(self, channel: Payload, user: Payload, name: str, **options: str) -> str:
        """A user gives a slash command; the id of the interaction."""
        given = [{"type": 3, "name": option, "value": value} for option, value in options.items()]
        about = {"id": self.new_id(), "name": name, "type": 1, **({"options": given} if given else {})}
        return self._interaction(channel, user, {"type": 2, "data": about})

    def press(self, message_id: str, user: Payload, custom_id: str) -> str:
        """A user presses a button under one of the application's messages; the id of the interaction."""
        message = next(kept[message_id] for kept in self.messages.values() if message_id in kept)
        data = {"custom_id": custom_id, "component_type": 2}
        return self._interaction(self.channels[message["channel_id"]], user, {"type": 3, "data": data, "message": message})

    def expire_files(self) -> None:
        """Every file's address is a new one from now on, as happens to them after a day."""
        moved = {path: f"{path.rpartition('/')[0]}/fresh-{self.new_id()}" for path in self.cdn}
        self.cdn = {moved[path]: data for path, data in self.cdn.items()}
        for kept in self.messages.values():
            for message in kept.values():
                for attachment in message["attachments"]:
                    attachment["url"] = self.base + moved[attachment["url"].removeprefix(self.base)]

    def accept(self, channel: Payload, body: Payload, files: Sequence[tuple[str, bytes]], pings: bool, **more: object) -> Payload:
        """The application writes."""
        message: Payload = {**self._message(channel, self.me, body.get("content") or "", None), **more}
        kinds = [(name, "application/octet-stream", data) for name, data in files]
        message |= {"nonce": body.get("nonce"), "flags": body.get("flags", 0), "components": numbered(body.get("components") or [])}
        message |= {"attachments": [self._attachment(channel, *file) for file in kinds], "mention_everyone": pings}
        if reference := body.get("message_reference"):
            message |= {"type": 19, "message_reference": {"type": 0, "channel_id": channel["id"], **reference}}
        self._keep(channel, message)
        nonce = None if body.get("nonce") is None else str(body["nonce"])
        entry = Accepted(
            channel_id=channel["id"],
            message_id=message["id"],
            content=message["content"],
            nonce=nonce,
            at=datetime.now(UTC),
            body=body,
            files=tuple(files),
            pings=pings,
        )
        self.ledger.append(entry)
        self._emit("MESSAGE_CREATE", self._told(channel, message))
        return message

    def edit_own(self, message: Payload, body: Payload, files: Sequence[tuple[str, bytes]]) -> Payload:
        message |= {"edited_timestamp": stamp(datetime.now(UTC)), "components": numbered(body.get("components") or [])}
        if "content" in body:
            message["content"] = body["content"] or ""
        entry = next(entry for entry in self.ledger if entry.message_id == message["id"])
        entry.edits.append(message["content"])
        entry.edited_files += files
        self._emit("MESSAGE_UPDATE", self._told(self.channels[message["channel_id"]], message))
        return message

    def delete_own(self, message: Payload) -> None:
        del self.messages[message["channel_id"]][message["id"]]
        for entry in self.ledger:
            entry.deleted |= entry.message_id == message["id"]

    def whole_guild(self, guild: Payload) -> Payload:
        """As in GUILD_CREATE."""
        own = [channel for channel in self.channels.values() if channel.get("guild_id") == guild["id"] and channel["id"] not in self.hidden]
        threads = [channel for channel in own if channel["type"] == THREAD and channel["told"]]
        return {**guild, "channels": [channel for channel in own if channel["type"] != THREAD], "threads": threads, "unavailable": False}

    def _channel(self, about: Payload) -> Payload:
        channel: Payload = {"id": self.new_id(), "last_message_id": None, "flags": 0, **about}
        self.channels[channel["id"]] = channel
        self.messages[channel["id"]] = {}
        return channel

    def _message(self, channel: Payload, author: Payload, content: str, at: datetime | None) -> Payload:
        mentions, roles = self._mentions(content), re.findall(r"<@&(\d+)>", content)
        return {
            "id": self.new_id(at),
            "channel_id": channel["id"],
            "author": author,
            "content": content,
            "mentions": mentions,
            "timestamp": stamp(at or datetime.now(UTC)),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mention_roles": roles,
            "attachments": [],
            "embeds": [],
            "pinned": False,
            "type": 0,
            "flags": 0,
            "components": [],
        }

    def _mentions(self, content: str) -> list[Payload]:
        return [self.users[user_id] for user_id in re.findall(r"<@!?(\d+)>", content) if user_id in self.users]

    def _attachment(self, channel: Payload, name: str, media_type: str, data: bytes) -> Payload:
        attachment_id = self.new_id()
        path = f"/cdn/{channel['id']}/{attachment_id}/{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}"
        self.cdn[path] = data
        url = self.base + path
        return {"id": attachment_id, "filename": name, "size": len(data), "url": url, "proxy_url": url, "content_type": media_type}

    def _keep(self, channel: Payload, message: Payload) -> None:
        self.messages[channel["id"]][message["id"]] = message
        channel["last_message_id"] = max(channel["last_message_id"] or "0", message["id"], key=int)

    def _told(self, channel: Payload, message: Payload) -> Payload:
        """A message as the gateway tells it."""
        told = {**message, "channel_type": channel["type"]}
        if "guild_id" in channel:
            who = {key: value for key, value in member(message["author"]).items() if key != "user"}
            told |= {"guild_id": channel["guild_id"], "member": who}
        return told

    def _interaction(self, channel: Payload, user: Payload, about: Payload) -> str:
        interaction_id, token = self.new_id(), f"token-{self.new_id()}"
        self.interactions[interaction_id] = token
        place = (
            {"guild_id": channel["guild_id"], "member": {**member(user), "permissions": "0"}} if "guild_id" in channel else {"user": user}
        )
        common: Payload = {
            "id": interaction_id,
            "application_id": self.me["id"],
            "token": token,
            "version": 1,
            "locale": "en-US",
            "entitlements": [],
            "attachment_size_limit": 10 * 1024 * 1024,
        }
        more = {"channel": channel, "channel_id": channel["id"], "app_permissions": EVERYTHING, "authorizing_integration_owners": {}}
        self._emit("INTERACTION_CREATE", {**common, **more, **place, **about})
        return interaction_id
