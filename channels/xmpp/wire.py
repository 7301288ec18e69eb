"""XMPP's calls: send and correct messages, upload and fetch files."""

import re
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Final

from yarl import URL

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendFailed, Sending, SendLater, SendRefused
from assistant.contracts.inbox import InboundFile
from assistant.contracts.outbox import Media
from channels.kit.conversation import PlainWire
from channels.kit.forms import Blame
from channels.kit.hosts import is_at
from channels.kit.http import Answered, PlatformError, PlatformHttp
from channels.kit.planning import MessageRules
from channels.kit.refusals import send_failure
from channels.kit.sender import Post
from channels.text.splitting import plain_parts
from channels.xmpp.session import XmppSession, answered, jid_of
from channels.xmpp.settings import XmppSettings
from channels.xmpp.stanzas import add, archived

PLATFORM: Final = "The XMPP server"
_MOST_TEXT: Final = 5000
_WAIT: Final = re.compile(r"\b(\d{1,5})\s*(?:s|secs?|seconds?)\b", re.IGNORECASE)


def rules_of(settings: XmppSettings) -> MessageRules:
    return MessageRules(platform="XMPP", texts=plain_parts, most_text=_MOST_TEXT, most_files=1, most_file_bytes=settings.max_file_bytes)


class XmppWire(PlainWire):
    """There is no message without words, so a preview that becomes a file stays."""

    platform = PLATFORM

    def __init__(self, settings: XmppSettings, session: XmppSession, http: PlatformHttp) -> None:
        self._settings = settings
        self._session = session
        self._http = http
        self._edits = count(1)
        self._uploads: str | None = None

    async def post(self, post: Post) -> str | None:
        body, url = post.words, None
        if post.form.part.media:
            media = post.form.part.media[0]
            body = url = await self._upload(media, post.contents[media.digest])
        await self._send(post.sending.address.chat_id, body, post.key, reply_to=post.form.reply_to, url=url)
        return post.key

    async def edit(self, post: Post, message_id: str) -> bool:
        await self._send(post.sending.address.chat_id, post.words, f"{post.key}e{next(self._edits)}", replaces=message_id)
        return True

    def blamed(self, error: PlatformError) -> Blame | None:
        if isinstance(error, Answered) and error.at("stage") == "upload" and error.status != 401:
            return ("files",), f"{PLATFORM}: {error.words}"
        return None

    def failure(self, error: PlatformError) -> SendFailed:
        if not isinstance(error, Answered):
            return send_failure(error, PLATFORM)
        words = f"{PLATFORM} answered: {error.words}"
        match error.status:
            case 401:
                return send_failure(error, PLATFORM, setting="channels.xmpp.password")
            case 429:
                found = _WAIT.search(error.words)
                return SendLater("flood_wait", words, retry_after=float(found[1]) if found else None, counts=False)
            case 500:
                return SendLater("server_error", words)
            case 403:
                return SendRefused("blocked", words)
            case _:
                return SendRefused("chat_not_found" if error.at("stage") == "" else error.code or "refused", words)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        if not file.ref:
            words = "The file is not at the sender's server or ours; channels.xmpp.fileHosts names further ones."
            raise SendRefused("not_fetched", words)
        await self._http.download(file.ref, into, most_bytes, hosts=[file.ref])  # `may_fetch` was asked when the message was read

    async def show_typing(self, address: Address) -> None:
        client = await self._session.client()
        message = client.make_message(mto=jid_of(address.chat_id), mtype=self._type(address.chat_id))
        add(message.xml, "{http://jabber.org/protocol/chatstates}composing")
        add(message.xml, "{urn:xmpp:hints}no-store")
        message.send()

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        client = await self._session.client()
        id = f"p{client.new_id()[:20]}"
        await self._send(address.chat_id, text, id, reply_to=None if message_id else reply_to, replaces=message_id)
        return message_id or id

    def may_fetch(self, url: str, sender: str) -> bool:
        """Whether a file's address is one that the sender's server, or ours, gave it (at any port): not any address that a person can write."""
        servers = [each for each in (self._settings.domain, sender.partition("@")[2], *self._settings.file_hosts) if "." in each]
        try:
            at = URL(url, encoded=True).with_port(None)
            at = at.with_scheme("https") if at.scheme == "http" and self._settings.plain else at
        except ValueError:
            return False
        return is_at(str(at), [*servers, *self._settings.file_hosts, *(f".{each}" for each in servers)])

    async def _send(
        self, chat: str, body: str, id: str, *, reply_to: str | None = None, replaces: str | None = None, url: str | None = None
    ) -> None:
        """Raises PlatformError."""
        to, kind = jid_of(chat), self._type(chat)
        client = await self._session.client()
        if kind == "groupchat":
            await self._session.join(chat, maxstanzas=0)
        message = client.make_message(mto=to, mbody=body, mtype=kind)
        message["id"] = id
        xml = message.xml
        add(xml, "{urn:xmpp:sid:0}origin-id", id=id)
        add(xml, "{http://jabber.org/protocol/chatstates}active")
        if kind == "chat":
            add(xml, "{urn:xmpp:receipts}request")
        if reply_to is not None:
            add(xml, "{urn:xmpp:reply:0}reply", id=reply_to, **({"to": chat} if kind == "chat" else {}))
        if replaces is not None:
            add(xml, "{urn:xmpp:message-correct:0}replace", id=replaces)
        if url is not None:
            add(add(xml, "{jabber:x:oob}x"), "{jabber:x:oob}url", url)
        await self._session.send(message, id)

    def _type(self, chat: str) -> str:
        return "groupchat" if chat in self._settings.rooms else "chat"

    async def earlier(self, sending: Sending) -> str | None:
        """The message of an earlier try, if the archive of the account (or of the room) has it. A server without an archive: none."""
        chat, since = sending.address.chat_id, sending.again - timedelta(seconds=60) if sending.again is not None else None
        client = await self._session.client()
        room = jid_of(chat) if self._type(chat) == "groupchat" else None
        if room is not None:
            await self._session.join(chat, maxstanzas=0)
        own = chat if room is not None else self._settings.jid
        call = client.plugin["xep_0313"].iterate(
            jid=room, start=since, with_jid=None if room is not None else jid_of(chat), rsm={"max": 50}, total=500
        )

        async def look() -> bool:
            async for each in call:
                inner = archived(each.xml, own)
                if inner is not None and inner.get("id") == sending.key:
                    return True
            return False

        try:
            return sending.key if await self._session.ask(look()) else None
        except Answered:
            return None

    async def _upload(self, media: Media, content: bytes) -> str:
        """https://xmpp.org/extensions/xep-0363.html. Raises PlatformError, with the stage "upload"."""
        client = await self._session.client()
        plugin = client.plugin["xep_0363"]
        if self._uploads is None:
            info = await self._session.ask(plugin.find_upload_service())
            if info is None:
                raise answered("feature-not-implemented", "cancel", "it has no place for files (XEP-0363)", "upload")
            self._uploads = str(info["from"])
        try:
            slot = await self._session.ask(plugin.request_slot(jid_of(self._uploads), media.name, media.size, media.media_type))
        except Answered as error:
            raise Answered(413, error.words, code=error.code, body={"stage": "upload"}) from None
        given = slot["http_upload_slot"]
        headers = {
            each["name"]: each["value"]
            for each in given["put"]["headers"]
            if each["name"].lower() in ("authorization", "cookie", "expires")
        }
        kind = {"Content-Type": media.media_type}
        try:
            await self._http.call("PUT", str(given["put"]["url"]), data=content, headers={**kind, **headers})
        except PlatformError as error:  # nothing was said yet: it may be tried again
            raise answered("internal-server-error", "wait", f"the file could not be put there ({error})", "put") from error
        return str(given["get"]["url"])
