"""Mattermost's posts and presses as messages for the assistant, by the rules for channels."""

from collections.abc import Mapping
from dataclasses import replace
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
from channels.mattermost.wire import LOOK_SECONDS, MattermostWire, posts_in

SIGNS: Final = "/!"
"""Mattermost's clients keep "/" for themselves."""
_WORDS_OF_PEOPLE: Final = frozenset({"", "me", "slack_attachment"})
_MOST_LISTED: Final = 20
_MOST_QUOTED: Final = 4000


class MattermostReader:
    """Reads the posts for one bot. What it remembers is bounded."""

    def __init__(self, settings: MattermostSettings, wire: MattermostWire, hearing: Hearing) -> None:
        self._settings = settings
        self._wire = wire
        self._hearing = hearing
        self._threads = KnownThreads(self._look)

    async def post(self, post: Any, kind: str, sender_name: str = "") -> InboundMessage | None:
        """A post, or an edit of one; None: it is not for the assistant. `kind`: the channel's type."""
        id, chat, sender, root, raw = [text_at(post, name) for name in ("id", "channel_id", "user_id", "root_id", "message")]
        written = written_at(post)
        known = all(ID.fullmatch(each) for each in (id, chat, sender, root or id))
        if not (known and written) or text_at(post, "type") not in _WORDS_OF_PEOPLE or value_at(post, "delete_at"):
            return None
        private, bot = kind == "D", await self._wire.bot()
        thread_id = root or (id if self._settings.reply_in_thread and not private else None)
        address = Address(channel="mattermost", chat_id=chat, thread_id=thread_id)
        if sender == bot.id or not self._hearing.reads(address, private=private):
            return None
        by_bot = any(value_at(post, "props", name) in ("true", True) for name in ("from_bot", "from_webhook"))
        own = bot.call.sub("", raw, count=1).strip() if bot.call.match(raw.lstrip()) else raw.strip()
        thread = await self._threads.about(chat, root) if root else KnownThread(mine=False)
        heard = Overheard(
            chat_id=chat,
            external_id=f"{id}:{written}",
            private=private,
            mentions_me=bool(bot.call.search(raw)),
            answers_me=thread.mine,
            command=command_of(own, signs=SIGNS),
            by_bot=by_bot,
        )
        if not self._hearing.hears(heard):
            return None
        if thread_id is not None and not private:
            self._threads.asked(chat, thread_id)
        text = "\n".join(filter(None, [own, *(_attached(post) if by_bot else [])]))
        return heard.message(
            address=address,
            sender=Sender(id=sender, name=sender_name or await self._wire.names.of(sender)),
            message_id=id,
            at=time_at(written, per_second=1000),
            text=text,
            call=raw,
            quote=await self._quote(post, thread.first),
            files=_files(post),
        )

    async def press(self, call: Any) -> InboundMessage | None:
        """A press whose context was found to be ours. Raises PlatformError or SendFailed."""
        chat, sender, id = [text_at(call, name) for name in ("channel_id", "user_id", "post_id")]
        found = pressed(text_at(call, "context", "value"), text_at(call, "context", "label"))
        private = (await self._wire.chat_of(chat))[1] == "D"
        address = Address(channel="mattermost", chat_id=chat)
        if found is None or not ID.fullmatch(sender) or not ID.fullmatch(id) or sender == (await self._wire.bot()).id:
            return None
        if not self._hearing.reads(address, private=private):
            return None
        root = text_at(await self._wire.http.json("GET", f"/posts/{id}", seconds=LOOK_SECONDS), "root_id")
        return found.message(
            external_id=f"{id}:press:{sha256(text_at(call, 'trigger_id').encode()).hexdigest()[:24]}",
            address=replace(address, thread_id=root if ID.fullmatch(root) else None),
            sender=Sender(id=sender, name=await self._wire.names.of(sender)),
            private=private,
            message_id=id,
        )

    async def _look(self, chat: str, root: str) -> KnownThread:
        posts = posts_in(await self._wire.http.json("GET", f"/posts/{root}/thread", seconds=LOOK_SECONDS))
        me = (await self._wire.bot()).id
        mine = any(text_at(each, "user_id") == me for each in posts)
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
            author=await self._wire.names.of(author),
            kind="forward" if linked else "reply",
            author_id="" if author == (await self._wire.bot()).id else author,
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
