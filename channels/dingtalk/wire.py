"""DingTalk's calls: the session's address, the robot's API, files.

https://open.dingtalk.com/document/orgapp/robot-reply-and-send-messages, …/chatbots-send-one-on-one-chat-messages-in-batches,
…/the-robot-sends-a-group-message, …/types-of-messages-sent-by-robots
"""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from assistant.contracts.channels import ChannelNotes, SendFailed, SendLater, SendRefused
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.inbox import InboundFile
from assistant.contracts.outbox import Media
from channels.dingtalk.kind import ENCRYPTED, GROUP
from channels.dingtalk.settings import DingTalkSettings
from channels.kit.conversation import PlainWire
from channels.kit.forms import Blame
from channels.kit.hosts import is_at
from channels.kit.http import Answered, PlatformError, PlatformHttp, Unanswered, multipart
from channels.kit.planning import MessageRules
from channels.kit.refusals import not_sent, send_failure
from channels.kit.renewed import RenewedToken
from channels.kit.sender import Post
from channels.kit.values import id_at, list_at, number_at, text_at, value_at
from channels.text.blocks import FormattedPart
from channels.text.markdown import Dialect, markdown_parts

PLATFORM: Final = "DingTalk"
_SETTING: Final = "channels.dingtalk.clientSecret"
_DIALECT: Final = Dialect(special=r"\\*_~`\[", pings="")
_LINK: Final = re.compile(r"\]\(<([^>\n]*)>\)")
_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/bmp"})
_DOCUMENTS: Final = frozenset({"xlsx", "pdf", "zip", "rar", "doc", "docx"})
_BY_TYPE: Final = {"application/pdf": "pdf", "application/zip": "zip", "application/msword": "doc", "application/vnd.rar": "rar"}
_FILE_HOSTS: Final = (".dingtalk.com", "wukong-file-im-zjk.oss-cn-zhangjiakou.aliyuncs.com")
_MARGIN: Final = 60.0
"""Seconds before its end at which a session's address is not used any more."""
_REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    "staffid.notexisted": ("chat_not_found", "there is no such person"),
    "invalid.openconversationid": ("chat_not_found", "there is no such group"),
    "openconversationid.notexisted": ("chat_not_found", "there is no such group"),
    "invalidparameter.robotcode.notexsit": ("not_a_member", "the robot is not in this group: add it there"),
    "invalidparameter.robotcode.auth": ("forbidden", "channels.dingtalk.robotCode is not a robot of this app"),
    "invalidparameter.robotcode.invalid": ("forbidden", "channels.dingtalk.robotCode is wrong"),
    "bot.stopped": ("blocked", "the robot is switched off in this group"),
    "template.stopped": ("forbidden", "the robot is switched off"),
    "forbidden.accessdenied.accesstokenpermissiondenied": ("forbidden", "the app lacks the permission qyapi_robot_sendmsg"),
}
"""https://help.dingtalk.io/open/development/the-robot-sends-a-group-message"""
_GONE: Final = frozenset({300001, 310000, 300005, 40035})
"""A session's address is not taken any more."""
_LIMITS: Final = ("throttling", "flowcontrol", "qpslimit")
_OLD_TOKEN: Final = frozenset({40001, 40014, 42001})
_TOO_FAST: Final = frozenset({130101, 410100, 90018})


def dingtalk_parts(markdown: str, limit: int) -> list[FormattedPart]:
    """Link targets stand without angle brackets."""
    parts = markdown_parts(markdown, limit, _DIALECT)
    return [replace(part, text=_LINK.sub(lambda found: f"]({_target(found[1])})", part.text)) for part in parts]


def _target(url: str) -> str:
    return url.replace("(", "%28").replace(")", "%29")


def _document(media: Media) -> str:
    """The type that DingTalk gives such a file; empty: it takes none of its kind."""
    ending = media.name.rpartition(".")[2].lower()
    return ending if ending in _DOCUMENTS else _BY_TYPE.get(media.media_type, "")


RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=dingtalk_parts,
    most_text=3500,  # the parameters of a message hold 15,000 bytes as JSON
    most_file_bytes=20 << 20,
    takes=lambda media: media.media_type in _IMAGES or _document(media) != "",
    takes_words=f"pictures and {', '.join(sorted(_DOCUMENTS))}",
)


class DingTalkWire(PlainWire):
    platform = PLATFORM

    def __init__(self, http: PlatformHttp, settings: DingTalkSettings, notes: ChannelNotes) -> None:
        self._http = http
        self._settings = settings
        self._notes = notes
        setting = "channels.dingtalk.clientId and clientSecret"
        self.token = RenewedToken(
            self._asked, platform=PLATFORM, setting=setting, header=lambda token: {"x-acs-dingtalk-access-token": token}
        )

    async def post(self, post: Post) -> str | None:
        chat, part = post.sending.address.chat_id, post.form.part
        if part.media:
            return await self._by_robot(chat, *await self._upload(part.media[0], post.contents[part.media[0].digest]))
        title = " ".join(part.plain.split())[:40] or "…"
        session = await self._session(chat)
        if session:
            if await self._by_session(session, title, post.words):
                return None
            await self._forget(chat)
        return await self._by_robot(chat, "sampleMarkdown", {"title": title, "text": post.words})

    def blamed(self, error: PlatformError) -> Blame | None:
        return None

    def failure(self, error: PlatformError) -> SendFailed:
        code = text_at(error.body, "code").lower() if isinstance(error, Answered) else ""
        if code in _REFUSED:
            return SendRefused(_REFUSED[code][0], f"{PLATFORM} refused it: {_REFUSED[code][1]}.")
        if isinstance(error, Answered) and (error.status == 429 or any(each in code for each in _LIMITS)):
            return SendLater("flood_wait", f"{PLATFORM} asks to wait.", retry_after=error.retry_after or 60.0, counts=False)
        if isinstance(error, Answered) and error.status < 500 and code and error.status != 401:
            return SendRefused("refused", f"{PLATFORM} refused it with code {code[:80]}.")
        return send_failure(error, PLATFORM, setting=_SETTING)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        body = {"downloadCode": file.ref, "robotCode": self._settings.robot}
        url = text_at(await self._call("/v1.0/robot/messageFiles/download", body), "downloadUrl")
        if not url:
            raise SendRefused("gone", "The file is no longer there.")
        ours = (self._http.base, self._settings.oapi_base)
        if url.startswith("http://") and not is_at(url, ours):  # DingTalk says so; what is signed in it is not the scheme
            url = f"https://{url.removeprefix('http://')}"
        await self._http.download(url, into, most_bytes, hosts=[*_FILE_HOSTS, *ours])

    async def session_came(self, chat: str, url: str, until: int) -> None:
        """`until`: milliseconds. Only an address of DingTalk's own is kept: calls are not signed over what they say."""
        if self._settings.session_replies and url.startswith(f"{self._settings.oapi_base}/robot/") and len(url) < 2000:
            await self._notes.keep(f"session:{chat}", f"{until} {url}")

    async def _session(self, chat: str) -> str:
        """The address of the latest question there, as long as it is taken; empty: there is none."""
        if not self._settings.session_replies:
            return ""
        try:
            noted = await self._notes.get(f"session:{chat}")
        except StoreUnavailable:
            return ""
        until, _, url = (noted or "0").partition(" ")
        if int(until) / 1000 - _MARGIN > time.time():
            return url
        if noted:
            await self._forget(chat)
        return ""

    async def _forget(self, chat: str) -> None:
        """The address of a session that is over."""
        with suppress(StoreUnavailable):  # the next message finds it again
            await self._notes.drop(f"session:{chat}")

    async def _by_session(self, url: str, title: str, text: str) -> bool:
        """False: it is not taken any more."""
        answer = await self._http.json("POST", url, json={"msgtype": "markdown", "markdown": {"title": title, "text": text}})
        code = value_at(answer, "errcode")
        if code == 0:
            return True
        if not isinstance(code, int):
            raise Unanswered("the answer has no code")
        if code in _GONE:
            return False
        if code in _TOO_FAST:
            raise SendLater("flood_wait", f"{PLATFORM} takes 20 messages a minute there.", retry_after=60.0, counts=False)
        if code == -1:
            raise SendLater("not_now", f"{PLATFORM} is busy.")
        raise SendRefused("refused", f"{PLATFORM} refused it with code {code}.")

    async def _by_robot(self, chat: str, kind: str, about: Mapping[str, str]) -> str | None:
        body: dict[str, Any] = {"robotCode": self._settings.robot, "msgKey": kind, "msgParam": orjson.dumps(about).decode()}
        if ENCRYPTED.fullmatch(chat):
            raise SendRefused("never_started", "DingTalk does not tell this person's user id: they have to write first.")
        if GROUP.fullmatch(chat):
            found = await self._call("/v1.0/robot/groupMessages/send", {**body, "openConversationId": chat})
        else:
            found = await self._call("/v1.0/robot/oToMessages/batchSend", {**body, "userIds": [chat]})
            if chat in list_at(found, "invalidStaffIdList"):
                raise SendRefused(
                    "chat_not_found", f"{PLATFORM} refused it: there is no such person, or they are out of the robot's reach."
                )
            if chat in list_at(found, "flowControlledStaffIdList"):
                raise SendLater("flood_wait", f"{PLATFORM} asks to wait.", retry_after=60.0, counts=False)
        return id_at(found, "processQueryKey") or None

    async def _call(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self.token.used(lambda headers: self._http.json("POST", path, json=body, headers=headers))

    async def _upload(self, media: Media, content: bytes) -> tuple[str, Mapping[str, str]]:
        """(the kind of message, what it holds). https://open.dingtalk.com/document/orgapp/upload-media-files"""
        image, token = media.media_type in _IMAGES, await self.token.get()
        params = {"access_token": token, "type": "image" if image else "file"}
        form = multipart({}, [("media", media.name, media.media_type, content)])
        try:
            found = await self._http.json("POST", f"{self._settings.oapi_base}/media/upload", params=params, form=form)
        except Answered:
            raise
        except PlatformError as error:
            raise not_sent(error, PLATFORM) from error
        id = text_at(found, "media_id")
        code = number_at(found, "errcode")
        if code in _OLD_TOKEN:
            self.token.drop(token)
            raise SendLater("not_now", f"{PLATFORM} wants a new token; nothing was posted.", counts=False)
        if not id:
            raise SendRefused("file_refused", f"{PLATFORM} does not take {media.name} (code {code}).")
        if image:
            return "sampleImageMsg", {"photoURL": id}
        return "sampleFile", {"mediaId": id, "fileName": media.name, "fileType": _document(media)}

    async def _asked(self) -> tuple[str, float]:
        body = {"appKey": self._settings.client_id, "appSecret": self._settings.secret}
        answer = await self._http.json("POST", "/v1.0/oauth2/accessToken", json=body)
        return text_at(answer, "accessToken"), number_at(answer, "expireIn")
