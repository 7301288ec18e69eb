"""Zulip's calls that post, edit and show, and what its answers mean. https://zulip.com/api/rest"""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, SendFailed, SendRefused, SendUnclear
from assistant.contracts.inbox import InboundFile, InboundMessage
from channels.kit.forms import ANY_BUT_KIND, Blame
from channels.kit.http import Answered, PlatformError, PlatformHttp, Unanswered, multipart
from channels.kit.planning import MessageRules
from channels.kit.refusals import before_post, channel_failure, connecting, send_failure
from channels.kit.sender import Post
from channels.kit.values import Latest, number_at, text_at, value_at
from channels.text.markdown import Dialect, markdown_parts
from channels.zulip.kind import CHANNEL, USERS
from channels.zulip.settings import ZulipSettings

PLATFORM: Final = "Zulip"
SETTING: Final = "channels.zulip.apiKey"
_MOST_TEXT: Final = 9_500
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


RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=lambda markdown, limit: markdown_parts(markdown, limit, _DIALECT),
    most_text=_MOST_TEXT,
    most_caption=4000,  # with it are the links of the files
    most_files=8,
    most_file_bytes=100 << 20,  # an organization may allow less
    most_bytes=100 << 20,
)


class ZulipBot(NamedTuple):
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
        self._bots = Latest[bool]()

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
        with connecting(failure=connection_failure):
            found = await self.call("GET", "/users/me")
        id, name = number_at(found, "user_id"), text_at(found, "full_name")
        if not (id and name):
            raise ChannelFailed(f"{PLATFORM} does not tell which account the key is of.")
        return ZulipBot(id, name)

    async def is_bot(self, user_id: int) -> bool:
        """Raises PlatformError. Users whom Zulip does not show are its own bots."""
        return await self._bots.or_ask(str(user_id), self._is_bot)

    async def _is_bot(self, user_id: str) -> bool:
        try:
            return value_at(await self.call("GET", f"/users/{user_id}"), "user", "is_bot") is not False
        except Answered as error:
            if error.status not in (400, 403, 404):
                raise
            return True

    async def post(self, post: Post) -> str | None:
        links = [await self._upload(media.name, post.contents[media.digest]) for media in post.form.part.media]
        content = "\n\n".join(filter(None, [post.quiet(_DIALECT.quiet), "\n".join(links)]))
        return await self._create(post.sending.address, content)

    async def edit(self, post: Post, message_id: str) -> bool:
        return await self._update(message_id, post.quiet(_DIALECT.quiet))

    async def remove(self, post: Post, message_id: str) -> None:
        await self.call("DELETE", f"/messages/{message_id}")

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
        found = text_at(await self.call("GET", file.ref), "url")
        if not found.startswith("/") or found.startswith("//"):
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
        return await self._create(address, text)

    async def _create(self, address: Address, content: str) -> str | None:
        id = number_at(await self.call("POST", "/messages", self._where(address), content=content), "id")
        return str(id) if id else None

    def _where(self, address: Address) -> dict[str, object]:
        chat = address.chat_id
        if CHANNEL.fullmatch(chat):
            return {"type": "stream", "to": int(chat[1:]), "topic": address.thread_id or self._settings.topic}
        if not USERS.fullmatch(chat):
            raise SendRefused("chat_not_found", "There is no such chat.")
        return {"type": "direct", "to": [int(each) for each in chat.split(",")]}

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
        try:
            with before_post(PLATFORM):
                form = multipart({}, [("filename", name, "application/octet-stream", content)])
                answer = await self.http.json("POST", "/user_uploads", form=form)
                if not (url := text_at(answer, "url") or text_at(answer, "uri")):
                    raise Unanswered("the answer has no file")
        except Answered as error:
            if error.status in (400, 403, 413):
                raise Answered(error.status, error.words, code=_UPLOAD, body=error.body) from error
            raise
        return f"[{_DIALECT.quiet(name).replace('[', '(').replace(']', ')')}]({url})"


def code_of(error: Answered) -> str:
    """Zulip's code, where it says more than that the request was refused."""
    code = text_at(error.body, "code")
    return code if re.fullmatch("[A-Z_]{1,60}", code) and code != "BAD_REQUEST" else ""


def connection_failure(error: PlatformError) -> ChannelFailed:
    if isinstance(error, Answered) and code_of(error) in _KEY_CODES:
        return ChannelFailed(f"{PLATFORM} does not accept {SETTING}: {error.words}.", fatal=True)
    return channel_failure(error, PLATFORM, setting=SETTING)
