"""Zulip's calls that post, edit and show, and what its answers mean. https://zulip.com/api/rest"""

import base64
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, SendFailed, SendRefused, SendUnclear
from assistant.contracts.inbox import InboundFile, InboundMessage
from channels.kit.forms import ANY_BUT_KIND, Blame
from channels.kit.http import Answered, PlatformError, PlatformHttp, Unanswered, value_at
from channels.kit.planning import MessageRules
from channels.kit.refusals import channel_failure, not_sent, send_failure
from channels.kit.sender import Post
from channels.kit.values import Latest, number_at, text_at
from channels.text.blocks import FormattedPart
from channels.text.markdown import Dialect, markdown_parts
from channels.zulip.settings import ZulipSettings

log = logging.getLogger(__name__)
PLATFORM: Final = "Zulip"
SETTING: Final = "channels.zulip.apiKey"
MOST_TEXT: Final = 9_500
"""A message has at most 10,000 characters; what is longer is cut off without an error. https://zulip.com/api/send-message"""
_DIALECT: Final = Dialect(special="", pings=r"@(?=_?\*|$)", read=frozenset({"quote", "quoted", "spoiler"}))
"""Zulip has no escapes: https://github.com/zulip/zulip/blob/main/zerver/lib/markdown/__init__.py. A mention is `@**name**`.
Blocks of code in "languages" of its own are quotes and hidden texts."""
_KEY_CODES: Final = frozenset({"INVALID_API_KEY", "UNAUTHORIZED", "USER_DEACTIVATED", "REALM_DEACTIVATED"})
"""https://zulip.com/api/rest-error-handling"""
_REFUSED: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"no longer using|deactivated|direct messages are disabled", re.IGNORECASE), "blocked"),
    (re.compile(r"does not exist|invalid (user|channel|stream|email)", re.IGNORECASE), "chat_not_found"),
    (re.compile(r"not authorized|permission", re.IGNORECASE), "forbidden"),
)
_NOT_EDITED: Final = re.compile(r"invalid message|time limit|permission to edit|editing is disabled", re.IGNORECASE)
_UPLOAD: Final = "upload"
_MOST_USERS: Final = 4096


def zulip_parts(markdown: str, limit: int) -> list[FormattedPart]:
    return markdown_parts(markdown, limit, _DIALECT)


RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=zulip_parts,
    most_text=MOST_TEXT,
    most_caption=4000,  # with it are the links of the files
    most_files=8,
    most_file_bytes=100 << 20,  # an organization may allow less
    most_bytes=100 << 20,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZulipBot:
    id: int
    name: str


class ZulipWire:
    platform = PLATFORM

    def __init__(self, settings: ZulipSettings, context: ChannelContext) -> None:
        key = settings.api_key.get_secret_value().strip() if settings.api_key else ""
        login = base64.b64encode(f"{settings.email}:{key}".encode()).decode()
        self.site = settings.site.rstrip("/")
        self.http = PlatformHttp(
            "zulip",
            version=context.version,
            proxy=settings.proxy,
            secrets=[key, login],
            headers={"Authorization": f"Basic {login}"},
            base=f"{self.site}/api/v1",
        )
        self._settings = settings
        self._bots = Latest[bool](_MOST_USERS)

    async def call(
        self, method: str, path: str, more: Mapping[str, object] | None = None, *, seconds: float | None = None, **arguments: object
    ) -> Any:
        """`more`: further arguments. Texts go as they are, others as JSON. Raises PlatformError."""
        arguments |= more or {}
        form = {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in arguments.items()}
        given: dict[str, Any] = {"params": form} if method == "GET" else {"form": form}
        return await self.http.json(method, path, seconds=seconds, **given)

    async def bot(self) -> ZulipBot:
        """Raises ChannelFailed."""
        try:
            found = await self.call("GET", "/users/me")
        except PlatformError as error:
            raise connection_failure(error) from error
        return ZulipBot(id=number_at(found, "user_id"), name=text_at(found, "full_name"))

    async def is_bot(self, user_id: int) -> bool:
        """Raises PlatformError. Users whom Zulip does not show are its own bots."""
        if (known := self._bots.get(str(user_id))) is not None:
            return known
        try:
            is_bot = value_at(await self.call("GET", f"/users/{user_id}"), "user", "is_bot") is True
        except Answered as error:
            if error.status != 400:
                raise
            is_bot = True
        self._bots.put(str(user_id), is_bot)
        return is_bot

    async def post(self, post: Post) -> str | None:
        links = [await self._upload(media.name, post.contents[media.digest]) for media in post.form.part.media]
        content = "\n\n".join(filter(None, [post.quiet(_DIALECT.quiet), "\n".join(links)]))
        answer = await self.call("POST", "/messages", self._where(post.sending.address), content=content)
        id = value_at(answer, "id")
        return str(id) if isinstance(id, int) else None

    async def edit(self, post: Post, message_id: str) -> bool:
        return await self._update(message_id, post.quiet(_DIALECT.quiet))

    async def remove(self, post: Post, message_id: str) -> None:
        try:
            await self.call("DELETE", f"/messages/{message_id}")
        except PlatformError as error:
            log.info("zulip.preview_stays error=%s", type(error).__name__)

    def blamed(self, error: PlatformError) -> Blame | None:
        if not isinstance(error, Answered):
            return None
        words = f"{PLATFORM}: {error.words}"
        if error.code == _UPLOAD:
            return ("files",), words
        known = code_of(error) or any(found.search(error.words) for found, _ in _REFUSED)
        return (ANY_BUT_KIND, words) if error.status == 400 and not known else None

    def failure(self, error: PlatformError) -> SendFailed:
        if not isinstance(error, Answered):
            return send_failure(error, PLATFORM, setting=SETTING)
        if code_of(error) in _KEY_CODES:
            return send_failure(Answered(401, error.words), PLATFORM, setting=SETTING)
        if error.status >= 500 and error.status != 503:
            return SendUnclear("server_error", f"{PLATFORM} failed (status {error.status}); the message may have arrived.")
        if error.status in (400, 403):
            code = next((code for found, code in _REFUSED if found.search(error.words)), "refused")
            return SendRefused(code, f"{PLATFORM} refused it ({code_of(error) or error.status}).")
        return send_failure(error, PLATFORM, setting=SETTING)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """`ref`: the path of an upload, for which Zulip gives a URL that is good for a minute. https://zulip.com/api/get-file-temporary-url"""
        found = value_at(await self.call("GET", file.ref), "url")
        if not (isinstance(found, str) and found.startswith("/") and not found.startswith("//")):
            raise SendRefused("gone", f"{file.name}: {PLATFORM} does not give it out.")
        await self.http.download(self.site + found, into, most_bytes)

    async def react(self, message: InboundMessage, emoji: str) -> None:
        try:
            await self.call("POST", f"/messages/{message.message_id}/reactions", emoji_name=emoji)
        except Answered as error:
            if code_of(error) != "REACTION_ALREADY_EXISTS":
                raise

    async def show_typing(self, address: Address) -> None:
        where = self._where(address)
        if where["type"] == "stream":
            where = {"type": "stream", "stream_id": where["to"], "topic": where["topic"]}
        await self.call("POST", "/typing", where, op="start")

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        if message_id is not None:
            return message_id if await self._update(message_id, text) else None
        return str(value_at(await self.call("POST", "/messages", self._where(address), content=text), "id"))

    def _where(self, address: Address) -> dict[str, object]:
        if address.chat_id.startswith("c") and address.chat_id[1:].isascii() and address.chat_id[1:].isdigit():
            return {"type": "stream", "to": int(address.chat_id[1:]), "topic": address.thread_id or self._settings.topic}
        users = address.chat_id.split(",")
        if not all(each.isascii() and each.isdigit() for each in users):
            raise SendRefused("chat_not_found", "There is no such chat.")
        return {"type": "direct", "to": [int(each) for each in users]}

    async def _update(self, message_id: str, text: str) -> bool:
        try:
            await self.call("PATCH", f"/messages/{message_id}", content=text)
        except Answered as error:
            if error.status == 400 and _NOT_EDITED.search(error.words):
                return False
            raise
        return True

    async def _upload(self, name: str, content: bytes) -> str:
        """A link to a file that was uploaded; nothing is posted."""
        form = aiohttp.FormData()
        form.add_field("filename", content, filename=name, content_type="application/octet-stream")
        try:
            answer = await self.http.json("POST", "/user_uploads", form=form)
        except Unanswered as error:
            raise not_sent(error, PLATFORM) from error
        except Answered as error:
            if error.status in (400, 403, 413):
                raise Answered(error.status, error.words, code=_UPLOAD, body=error.body) from error
            raise
        url = value_at(answer, "url") or value_at(answer, "uri")
        return f"[{_DIALECT.quiet(name).replace('[', '(').replace(']', ')')}]({url})"


def code_of(error: Answered) -> str:
    """Zulip's code, where it says more than that the request was refused."""
    code = error.at("code")
    return code if isinstance(code, str) and code != "BAD_REQUEST" else ""


def connection_failure(error: PlatformError) -> ChannelFailed:
    if isinstance(error, Answered) and code_of(error) in _KEY_CODES:
        return ChannelFailed(f"{PLATFORM} does not accept {SETTING}: {error.words}.", fatal=True)
    return channel_failure(error, PLATFORM, setting=SETTING)
