"""ntfy's calls: publish, fetch a file. https://docs.ntfy.sh/publish/"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson

from assistant.contracts.channels import SendFailed, SendRefused
from assistant.contracts.inbox import InboundFile
from assistant.contracts.outbox import Button
from channels.kit.commands import button_value
from channels.kit.conversation import PlainWire
from channels.kit.forms import ANY_BUT_KIND, Blame, Piece
from channels.kit.http import Answered, PlatformError, PlatformHttp
from channels.kit.planning import ButtonRules, MessageRules
from channels.kit.refusals import send_failure
from channels.kit.sender import Post
from channels.kit.values import number_at, text_at
from channels.ntfy.settings import NtfySettings, NtfyTopic
from channels.text.splitting import plain_parts

PLATFORM: Final = "ntfy"
SETTING: Final = "channels.ntfy.token"
_MOST_BYTES: Final = 4096
"""Of a message; a longer one becomes a file. https://docs.ntfy.sh/publish/#limitations"""
_BUTTONS: Final = ButtonRules(rows=1, in_row=3, text=200, can_link=lambda url: url.startswith(("https://", "http://")))
RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=plain_parts,
    most_text=_MOST_BYTES // 4,  # a character has at most four bytes
    most_caption=_MOST_BYTES // 4,
    most_file_bytes=15 * 1024 * 1024,
    buttons=_BUTTONS,
)
ONE_WAY: Final = replace(RULES, buttons=replace(_BUTTONS, text=0))
"""Of a topic without replies: a button can't say anything."""
_FILE_CODES: Final = frozenset({40013, 40014, 40015, 41301, 41302, 42905})
"""Refusals of attachments. https://github.com/binwiederhier/ntfy/blob/main/server/errors.go"""
_ACTION_CODES: Final = frozenset({40018})


class NtfyWire(PlainWire):
    platform = PLATFORM

    def __init__(self, http: PlatformHttp, settings: NtfySettings) -> None:
        self._http = http
        self._settings = settings

    async def post(self, post: Post) -> str | None:
        topic = self.topic_of(post.sending.address.chat_id)
        actions = [
            self._action(button, topic, f"{row}.{column}")
            for row, line in enumerate(post.form.part.buttons)
            for column, button in enumerate(line)
        ]
        actions = [action for action in actions if action is not None]
        if not post.form.part.media:
            body: dict[str, Any] = {"topic": topic.topic, "message": post.words}
            answer = await self._http.json("POST", "/", json=body | ({"actions": actions} if actions else {}))
        else:
            media = post.form.part.media[0]
            query = {"filename": media.name, "message": post.words or media.name}
            query |= {"actions": orjson.dumps(actions).decode()} if actions else {}
            answer = await self._http.json("PUT", f"/{topic.topic}", data=post.contents[media.digest], params=query)
        return text_at(answer, "id") or None

    def blamed(self, error: PlatformError) -> Blame | None:
        if not isinstance(error, Answered) or error.status not in (400, 413, 429):
            return None
        code = number_at(error.body, "code")
        pieces: tuple[Piece, ...] | None = ("files",) if code in _FILE_CODES else ("buttons",) if code in _ACTION_CODES else None
        if pieces is None:
            return (ANY_BUT_KIND, f"{PLATFORM}: {error.words}") if error.status == 400 else None
        return pieces, f"{PLATFORM}: {error.words}"

    def failure(self, error: PlatformError) -> SendFailed:
        return send_failure(error, PLATFORM, setting=SETTING)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """What was uploaded to the server, and nothing else of it: everyone who knows the topic may name any address as an attachment."""
        if not file.ref.startswith(f"{self._http.base}/file/") or "/." in file.ref:
            raise SendRefused("not_fetched", f"{file.name} is not at {self._http.base}: send the file itself, or the link as text.")
        await self._http.download(file.ref, into, most_bytes)

    def topic_of(self, name: str) -> NtfyTopic:
        if name not in self._settings.topics:
            raise SendRefused("unknown_topic", f"There is no topic {name!r} in channels.ntfy.topics.")
        return self._settings.topics[name]

    def _action(self, button: Button, topic: NtfyTopic, place: str) -> Mapping[str, Any] | None:
        """A press publishes to the topic of replies. https://docs.ntfy.sh/publish/#action-buttons"""
        if button.url is not None:
            return {"action": "view", "label": button.text, "url": button.url}
        if topic.replies is None:
            return None
        url = f"{self._http.base}/{quote(topic.replies)}"
        return {
            "action": "http",
            "label": button.text,
            "method": "POST",
            "url": url,
            "body": button_value(button, place, 1000),
            "clear": True,
        }
