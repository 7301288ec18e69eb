"""A session with the server. A message is sent when the server has answered a ping that was sent behind it, or a room has shown it to all.

A server takes stanzas in their order, so the ping's answer tells as much as an acknowledgement of XEP-0198, and of this message alone: those count
stanzas. An error about the message that comes before is a refusal; when the session breaks first, it may have arrived.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from xml.etree.ElementTree import Element

from slixmpp import JID, ClientXMPP
from slixmpp.exceptions import IqError, IqTimeout, PresenceError, XMPPError
from slixmpp.jid import InvalidJID
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import StanzaPath

from channels.kit.http import Answered, Unanswered, Unreached
from channels.kit.values import Latest
from channels.xmpp.settings import XmppSettings
from channels.xmpp.stanzas import Member, member_in

log = logging.getLogger(__name__)
logging.getLogger("slixmpp").setLevel(logging.CRITICAL)  # its lines quote stanzas
_SECONDS: Final = 20.0
_PLUGINS: Final = ("xep_0030", "xep_0045", "xep_0059", "xep_0199", "xep_0198", "xep_0203", "xep_0313", "xep_0363")
_MOST_MEMBERS: Final = 20_000
_MOST_SENT: Final = 10_000
_ERRORS: Final = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
_STATUS: Final = {
    "not-authorized": 401,
    "resource-constraint": 429,
    "policy-violation": 429,
    "internal-server-error": 500,
    "remote-server-timeout": 500,
    "forbidden": 403,
    "not-allowed": 403,
    "not-acceptable": 403,
    "registration-required": 403,
    "subscription-required": 403,
}
"""What a condition means as an HTTP status; of others: 404."""


def answered(condition: str, kind: str, words: str, stage: str = "") -> Answered:
    """`kind`: the error's type (wait: try again later)."""
    status = _STATUS.get(condition, 404)
    if kind == "wait" and status == 404:
        status = 500
    return Answered(status, " ".join(words.split())[:200] or condition, code=condition, body={"stage": stage})


def error_in(stanza: Element) -> Answered:
    """https://www.rfc-editor.org/rfc/rfc6120#section-8.3"""
    error = next((child for child in stanza if child.tag.endswith("}error")), None)
    found = {child.tag.removeprefix(_ERRORS): child for child in (error if error is not None else ()) if child.tag.startswith(_ERRORS)}
    text = found.pop("text", None)
    condition = next(iter(found), "undefined-condition")
    return answered(condition, error.get("type", "") if error is not None else "", (text.text or "") if text is not None else "")


class XmppSession:
    """Opened by the first that needs it; opened anew after it broke."""

    def __init__(self, settings: XmppSettings, *, heard: Callable[[Element], None]) -> None:
        """`heard`: gets every message stanza that is no answer to one of ours."""
        self._settings = settings
        self._heard = heard
        self._client: Any = None
        self._opening = asyncio.Lock()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._sent_to: Latest[str] = Latest(_MOST_SENT)
        """The address of each message that was sent, by its id: an error about it comes from there, and others may have seen the id."""
        self._shown: set[str] = set()
        """Of those, the ids of messages to rooms."""
        self.rooms: set[str] = set()
        self.members: dict[str, Member] = {}
        """By room and nick."""
        self.stamping: set[str] = set()
        """Rooms that give each member an id (XEP-0421), and let no one write another."""
        self.ended = asyncio.Event()

    async def client(self) -> Any:
        """The connected client (slixmpp has types in parts only). Raises Unreached, and Answered with 401."""
        async with self._opening:
            if self._client is None or not self._client.is_connected():
                self._client = await self._open()
            return self._client

    async def send(self, message: Any, id: str) -> None:
        """Send a stanza, once. Raises PlatformError."""
        client = await self.client()
        to_room = message["type"] == "groupchat"
        waiter = self._waiting[id] = asyncio.get_running_loop().create_future()
        self._sent_to[id] = str(message["to"].bare)
        if to_room:
            self._shown.add(id)
        try:
            message.send()
            ping: asyncio.Future[Any] | None = (
                None if to_room else client.plugin["xep_0199"].send_ping(JID(self._settings.domain), timeout=_SECONDS)
            )
            if ping is not None:
                ping.add_done_callback(partial(_answered_by, waiter))
            async with asyncio.timeout(_SECONDS):
                await waiter
        except TimeoutError:
            raise Unanswered("the server did not acknowledge it") from None
        finally:
            self._waiting.pop(id, None)
            self._shown.discard(id)

    async def join(self, room: str, **history: Any) -> None:
        """Be in a room. Raises PlatformError."""
        client = await self.client()
        if room in self.rooms:
            return
        try:
            await client.plugin["xep_0045"].join_muc_wait(JID(room), self._settings.nick, timeout=_SECONDS, **history)
        except PresenceError as error:
            raise answered(str(error.condition), str(error.etype), str(error.text or ""), "join") from None
        except TimeoutError:
            raise Unreached("the room does not answer") from None
        self.rooms.add(room)
        info = await self.ask(client.plugin["xep_0030"].get_info(jid=JID(room)))
        if "urn:xmpp:occupant-id:0" in info["disco_info"]["features"]:
            self.stamping.add(room)

    async def ask(self, call: Any) -> Any:
        """The result of an IQ. Raises PlatformError; an IQ may be repeated."""
        try:
            async with asyncio.timeout(_SECONDS):
                return await call
        except IqError as error:
            raise answered(str(error.condition), str(error.etype), str(error.text or ""), "ask") from None
        except (IqTimeout, XMPPError, TimeoutError):
            raise Unreached("the server does not answer") from None

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.cancel_connection_attempt()
            await client.disconnect(wait=1.0)
            self._drop(client)

    async def _open(self) -> Any:
        own = self._settings
        password = own.password.get_secret_value() if own.password else ""
        config = {
            "feature_mechanisms": {"unencrypted_plain": own.plain, "unencrypted_scram": own.plain},
            "xep_0198": {"allow_resume": False},
        }
        client: Any = ClientXMPP(own.jid, password, plugin_config=config)
        for plugin in _PLUGINS:
            client.register_plugin(plugin)
        client.enable_plaintext, client.enable_direct_tls = own.plain, own.tls == "direct"
        client.enable_starttls = own.tls == "starttls" and not own.plain
        if own.ca_file:
            client.ca_certs = own.ca_file
        client.auto_subscribe = False
        client.register_handler(Callback("nanobot messages", StanzaPath("message"), lambda stanza: self._received(stanza.xml)))
        client.register_handler(Callback("nanobot members", StanzaPath("presence"), lambda stanza: self._present(stanza.xml)))
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ends: dict[str, Exception | None] = {
            "session_start": None,
            "failed_all_auth": Answered(401, "the login was refused, or there is no TLS for it"),
            "connection_failed": Unreached("there is no connection"),
            "ssl_invalid_chain": Unreached("its certificate is not trusted"),
            "disconnected": Unreached("the connection broke"),
        }

        def happened(event: str, _: object) -> None:
            _end(outcome, ends[event])
            if event == "disconnected":
                self._broke(client)

        for event in ends:
            client.add_event_handler(event, partial(happened, event))
        self.ended.clear()
        for each in (self.rooms, self.members, self.stamping):
            each.clear()
        client.connect(own.host, own.port) if own.host else client.connect()
        try:
            async with asyncio.timeout(_SECONDS):
                await outcome
        except BaseException as error:
            client.cancel_connection_attempt()
            client.abort()
            self._drop(client)
            if isinstance(error, TimeoutError):
                raise Unreached("there was no session in time") from None
            raise
        return client

    def _drop(self, client: Any) -> None:
        """slixmpp's own task that sends what waits has no other end."""
        task = client._run_out_filters
        if task is not None:
            task.cancel()

    def _broke(self, client: Any) -> None:
        self._drop(client)
        self.ended.set()
        for waiter in self._waiting.values():
            _end(waiter, Unanswered("the connection broke"))

    def _present(self, presence: Element) -> None:
        place, member = member_in(presence)
        if member is None:
            self.members.pop(place, None)
        elif place.partition("/")[0] in self._settings.rooms and len(self.members) < _MOST_MEMBERS:
            self.members[place] = member

    def _received(self, stanza: Element) -> None:
        id = stanza.get("id", "")
        if stanza.get("type") == "error" and stanza.get("from", "").partition("/")[0].lower() != self._sent_to.get(id):
            log.info("xmpp.error_of_another id=%s", id)
        elif id in self._waiting and stanza.get("type") == "error":
            self._settle(id, error_in(stanza))
        elif id in self._shown and stanza.get("type") == "groupchat" and stanza.get("from", "").endswith(f"/{self._settings.nick}"):
            self._settle(id)
        else:
            self._heard(stanza)

    def _settle(self, id: str, error: Exception | None = None) -> None:
        _end(self._waiting[id], error)


def _end(waiter: "asyncio.Future[None]", error: Exception | None) -> None:
    if not waiter.done():
        waiter.set_result(None) if error is None else waiter.set_exception(error)


def _answered_by(waiter: "asyncio.Future[None]", ping: "asyncio.Future[Any]") -> None:
    """A server that knows no ping answers as well."""
    error = None if ping.cancelled() else ping.exception()
    _end(waiter, None if error is None or isinstance(error, IqError) else Unanswered("the server did not acknowledge it"))


def jid_of(chat: str) -> Any:
    """Raises Answered: there can be no such address."""
    with contextlib.suppress(InvalidJID):
        return JID(chat)
    raise Answered(404, "there can be no such address", code="jid-malformed")
