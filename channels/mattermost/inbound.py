"""Mattermost's posts and presses as messages for the assistant, by the rules for channels."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundFile, InboundMessage, Quote, Sender
from channels.kit.commands import command_of, pressed
from channels.kit.files import inbound_file
from channels.kit.hearing import Hearing, Overheard
from channels.kit.threads import KnownThread, KnownThreads
from channels.kit.values import number_at, objects_at, text_at, time_at, value_at
from channels.mattermost.kind import ID
from channels.mattermost.settings import MattermostSettings
from channels.mattermost.wire import LOOK_SECONDS, MattermostBot, MattermostWire, posts_in

SIGNS: Final = "/!"
"""Mattermost's clients keep "/" for themselves."""
_WORDS_OF_PEOPLE: Final = frozenset({"", "me", "slack_attachment"})
_MOST_LISTED: Final = 20
_MOST_QUOTED: Final = 4000


class MattermostReader:
    """Reads the posts for one bot. What it remembers is bounded."""

    def __init__(self, settings: MattermostSettings, wire: MattermostWire, hearing: Hearing, bot: MattermostBot) -> None:
        self._settings = settings
        self._wire = wire
        self._hearing = hearing
        self._bot = bot
        self._threads = KnownThreads(self._look)
        calls = "|".join(re.escape(call) for call in bot.calls)
        self._call = re.compile(rf"(?<![\w.@-])(?:{calls})(?![\w@-]|\.\w)", re.IGNORECASE)

    async def post(self, post: Any, kind: str, sender_name: str = "") -> InboundMessage | None:
        """A post, or an edit of one; None: it is not for the assistant. `kind`: the channel's type."""
        id, chat, sender, root, raw = [text_at(post, name) for name in ("id", "channel_id", "user_id", "root_id", "message")]
        written = written_at(post)
        known = all(ID.fullmatch(each) for each in (id, chat, sender, root or id))
        if (
            not known
            or not written
            or sender == self._bot.id
            or text_at(post, "type") not in _WORDS_OF_PEOPLE
            or value_at(post, "delete_at")
        ):
            return None
        private = kind == "D"
        if not private and not self._allowed(chat):
            return None
        by_bot = any(value_at(post, "props", name) in ("true", True) for name in ("from_bot", "from_webhook"))
        own = self._call.sub("", raw, count=1).strip() if self._call.match(raw.lstrip()) else raw.strip()
        looked = bool(root) and (private or self._settings.groups != "off")
        thread = await self._threads.about(chat, root) if looked else KnownThread(mine=False)
        heard = Overheard(
            chat_id=chat,
            external_id=f"{id}:{written}",
            private=private,
            mentions_me=bool(self._call.search(raw)),
            answers_me=thread.mine,
            command=command_of(own, signs=SIGNS),
            by_bot=by_bot,
        )
        if not self._hearing.hears(heard):
            return None
        thread_id = root or (id if self._settings.reply_in_thread and not private else None)
        if thread_id is not None and not private:
            self._threads.asked(chat, thread_id)
        text = "\n".join(filter(None, [own, *(_attached(post) if by_bot else [])]))
        return heard.message(
            address=Address(channel="mattermost", chat_id=chat, thread_id=thread_id),
            sender=Sender(id=sender, name=sender_name or await self._wire.name_of(sender)),
            message_id=id,
            at=time_at(written, per_second=1000),
            text=text,
            call=raw,
            quote=await self._quote(post, thread.first),
            files=_files(post),
        )

    async def press(self, call: Any, kind: str) -> InboundMessage | None:
        """A press whose context was found to be ours. Raises PlatformError."""
        chat, sender, id = [text_at(call, name) for name in ("channel_id", "user_id", "post_id")]
        found = pressed(text_at(call, "context", "value"), text_at(call, "context", "label"))
        allowed = kind == "D" or (self._settings.groups != "off" and self._allowed(chat))
        if found is None or not allowed or not all(ID.fullmatch(each) for each in (chat, sender, id)) or sender == self._bot.id:
            return None
        root = text_at(await self._wire.http.json("GET", f"/posts/{id}", seconds=LOOK_SECONDS), "root_id")
        press = sha256(text_at(call, "trigger_id").encode()).hexdigest()[:24]
        return InboundMessage(
            external_id=f"{id}:press:{press}",
            address=Address(channel="mattermost", chat_id=chat, thread_id=root if ID.fullmatch(root) else None),
            sender=Sender(id=sender, name=await self._wire.name_of(sender)),
            private=kind == "D",
            text=found[0],
            command=found[1],
            chosen=True,
            message_id=id,
            at=datetime.now(UTC),
        )

    def _allowed(self, chat: str) -> bool:
        return not self._settings.allow_channels or chat in self._settings.allow_channels

    async def _look(self, chat: str, root: str) -> KnownThread:
        posts = posts_in(await self._wire.http.json("GET", f"/posts/{root}/thread", seconds=LOOK_SECONDS))
        mine = any(text_at(each, "user_id") == self._bot.id for each in posts)
        return KnownThread(mine=mine, first=next((each for each in posts if text_at(each, "id") == root), None))

    async def _quote(self, post: Any, first: Mapping[str, Any] | None) -> Quote | None:
        """The post that it links to; else the first post of a thread that the assistant comes into."""
        embeds = objects_at(post, "metadata", "embeds")[:_MOST_LISTED]
        linked = next((value_at(each, "data", "post") for each in embeds if text_at(each, "type") == "permalink"), None)
        shown = linked or first
        author, words, files = text_at(shown, "user_id"), text_at(shown, "message"), _files(shown)
        if not ID.fullmatch(author) or not (words or files):
            return None
        return Quote(
            text=words[:_MOST_QUOTED],
            author=await self._wire.name_of(author),
            kind="forward" if linked else "reply",
            author_id="" if author == self._bot.id else author,
            files=() if linked else files,
        )


def written_at(post: Any) -> int:
    """When a post was written, or edited, in milliseconds; 0: it is none."""
    return (number_at(post, "edit_at") or number_at(post, "create_at")) if number_at(post, "create_at") else 0


def _attached(post: Any) -> list[str]:
    """The words of a bot's message attachments. https://docs.mattermost.com/developers/integrate/reference/message-attachments"""
    said: list[str] = []
    for each in objects_at(post, "props", "attachments")[:_MOST_LISTED]:
        words = [text_at(each, name) for name in ("pretext", "title", "text")]
        said += words if any(words) else [text_at(each, "fallback")]
    return said


def _files(post: Any) -> tuple[InboundFile, ...]:
    listed = objects_at(post, "metadata", "files")[:_MOST_LISTED]
    return tuple(
        inbound_file(text_at(each, "name"), id, media_type=text_at(each, "mime_type"), size=each.get("size"))
        for each in listed
        if ID.fullmatch(id := text_at(each, "id"))
    )
