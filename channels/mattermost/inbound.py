"""Mattermost's posts and presses as messages for the assistant, by the rules for channels."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import FileKind, InboundFile, InboundMessage, Quote, Sender
from assistant.contracts.util import display_name
from channels.kit.commands import command_of, pressed
from channels.kit.hearing import Hearing, Overheard
from channels.kit.http import value_at
from channels.kit.threads import KnownThread, KnownThreads
from channels.kit.values import list_at, number_at, text_at
from channels.mattermost.api import MattermostApi, MattermostBot, posts_in
from channels.mattermost.kind import ID
from channels.mattermost.settings import MattermostSettings

SIGNS: Final = "/!"
"""Mattermost's clients keep "/" for themselves."""
_WORDS_OF_PEOPLE: Final = frozenset({"", "me", "slack_attachment"})
_KINDS: Final[dict[str, FileKind]] = {"image": "image", "video": "video", "audio": "audio"}
_MOST_LISTED: Final = 20
_MOST_QUOTED: Final = 4000
_LOOK_SECONDS: Final = 3.0


class MattermostReader:
    """Reads the posts for one bot. What it remembers is bounded."""

    def __init__(self, settings: MattermostSettings, api: MattermostApi, hearing: Hearing, bot: MattermostBot) -> None:
        self._settings = settings
        self._api = api
        self._hearing = hearing
        self._bot = bot
        self._threads = KnownThreads(self._look)
        calls = "|".join(re.escape(call) for call in bot.calls)
        self._call = re.compile(rf"(?<![\w.@-])(?:{calls})(?![\w@-]|\.\w)", re.IGNORECASE)

    async def post(self, post: Any, kind: str, sender_name: str = "") -> InboundMessage | None:
        """A post, or an edit of one; None: it is not for the assistant. `kind`: the channel's type."""
        id, chat, sender, root = [text_at(post, name) for name in ("id", "channel_id", "user_id", "root_id")]
        made, edited = number_at(post, "create_at"), number_at(post, "edit_at")
        known = ID.fullmatch(id) and ID.fullmatch(chat) and ID.fullmatch(sender) and (not root or ID.fullmatch(root))
        if not known or not made or sender == self._bot.id or text_at(post, "type") not in _WORDS_OF_PEOPLE or value_at(post, "delete_at"):
            return None
        private = kind == "D"
        if not private and self._settings.allow_channels and chat not in self._settings.allow_channels:
            return None
        raw = text_at(post, "message")
        by_bot = any(value_at(post, "props", name) in ("true", True) for name in ("from_bot", "from_webhook"))
        own = self._call.sub("", raw, count=1).strip() if self._call.match(raw.lstrip()) else raw.strip()
        command = command_of(own, signs=SIGNS)
        external_id = f"{id}:{edited or made}"
        looked = bool(root) and (private or self._settings.groups != "off")
        thread = await self._threads.about(chat, root) if looked else KnownThread(mine=False)
        heard = Overheard(
            chat_id=chat,
            external_id=external_id,
            private=private,
            mentions_me=bool(self._call.search(raw)),
            answers_me=thread.mine,
            command=command,
            by_bot=by_bot,
        )
        if not self._hearing.hears(heard):
            return None
        thread_id = root or (id if self._settings.reply_in_thread and not private else None)
        if thread_id is not None and not private:
            self._threads.asked(chat, thread_id)
        text = "\n".join(filter(None, [own, *(_attached(post) if by_bot else [])]))
        files, quote = _files(post), await self._quote(post, thread.first)
        if not (text or files or quote) and not heard.mentions_me:
            return None
        return InboundMessage(
            external_id=external_id,
            address=Address(channel="mattermost", chat_id=chat, thread_id=thread_id),
            sender=Sender(id=sender, name=sender_name or await self._api.name_of(sender)),
            private=private,
            text=text or ("" if files or quote else raw),
            quote=quote,
            files=files,
            command=command,
            trusted=not by_bot,
            message_id=id,
            at=datetime.fromtimestamp((edited or made) / 1000, UTC),
        )

    async def press(self, call: Any, kind: str, now: datetime) -> InboundMessage | None:
        """A press whose context was found to be ours."""
        chat, sender, id = [text_at(call, name) for name in ("channel_id", "user_id", "post_id")]
        found = pressed(text_at(call, "context", "value"), text_at(call, "context", "label"))
        private = kind == "D"
        allowed = private or (
            self._settings.groups != "off" and (not self._settings.allow_channels or chat in self._settings.allow_channels)
        )
        if found is None or not allowed or not all(ID.fullmatch(each) for each in (chat, sender, id)) or sender == self._bot.id:
            return None
        root = text_at(await self._api.http.json("GET", f"/posts/{id}", seconds=_LOOK_SECONDS), "root_id")
        press = sha256(text_at(call, "trigger_id").encode(errors="replace")).hexdigest()[:24]
        return InboundMessage(
            external_id=f"{id}:press:{press}",
            address=Address(channel="mattermost", chat_id=chat, thread_id=root if ID.fullmatch(root) else None),
            sender=Sender(id=sender, name=await self._api.name_of(sender)),
            private=private,
            text=found[0],
            command=found[1],
            chosen=True,
            message_id=id,
            at=now,
        )

    async def _look(self, chat: str, root: str) -> KnownThread:
        posts = posts_in(await self._api.http.json("GET", f"/posts/{root}/thread", seconds=_LOOK_SECONDS))
        return KnownThread(
            mine=any(text_at(each, "user_id") == self._bot.id for each in posts),
            first=next((each for each in posts if text_at(each, "id") == root), None),
        )

    async def _quote(self, post: Any, first: Mapping[str, Any] | None) -> Quote | None:
        """The post that it links to; else the first post of a thread that the assistant comes into."""
        embeds = [
            value_at(each, "data", "post")
            for each in list_at(post, "metadata", "embeds")[:_MOST_LISTED]
            if text_at(each, "type") == "permalink"
        ]
        shown, kind = (embeds[0], "forward") if embeds else (first, "reply")
        author, words, files = text_at(shown, "user_id"), text_at(shown, "message"), _files(shown)
        if not ID.fullmatch(author) or not (words or files):
            return None
        mine = author == self._bot.id
        quote = Quote(text=words[:_MOST_QUOTED], author=await self._api.name_of(author), author_id="" if mine else author, files=files)
        return quote if kind == "reply" else Quote(text=quote.text, author=quote.author, kind="forward", author_id=quote.author_id)


def _attached(post: Any) -> list[str]:
    """The words of a bot's message attachments. https://docs.mattermost.com/developers/integrate/reference/message-attachments"""
    attachments = list_at(post, "props", "attachments")[:_MOST_LISTED]
    said = [[text_at(each, name) for name in ("pretext", "title", "text")] or [text_at(each, "fallback")] for each in attachments]
    return [line for lines in said for line in lines if line]


def _files(post: Any) -> tuple[InboundFile, ...]:
    found: list[InboundFile] = []
    for each in list_at(post, "metadata", "files")[:_MOST_LISTED]:
        id, media_type, size = text_at(each, "id"), text_at(each, "mime_type") or "application/octet-stream", value_at(each, "size")
        if ID.fullmatch(id):
            name = display_name(text_at(each, "name") or "file", "file")
            kind = _KINDS.get(media_type.partition("/")[0], "document")
            bytes = size if isinstance(size, int) and size >= 0 else None
            found.append(InboundFile(name=name, kind=kind, media_type=media_type, size=bytes, ref=id))
    return tuple(found)
