"""A person with a program of their own, a real prosody, a wire that breaks, and the channel."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from xml.etree.ElementTree import fromstring

from aiohttp import web
from slixmpp import JID, ClientXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import StanzaPath

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import Failure, Said, Seen
from channels.xmpp.adapter import XmppChannel
from channels.xmpp.kind import KIND
from channels.xmpp.settings import XmppSettings
from channels.xmpp.stanzas import add
from tests.doubles.prosody import PASSWORD, Prosody
from tests.doubles.served import OpenedPlatform
from tests.flow.xmpp.wires import BreakingWire, breaking_wire

_NUMBERS = count(1)


class Person:
    """A client of a person, who has given the assistant no leave to see when they are there."""

    def __init__(self, jid: str, port: int) -> None:
        self.jid = jid
        self.client: Any = ClientXMPP(
            jid, PASSWORD, plugin_config={"feature_mechanisms": {"unencrypted_scram": True, "unencrypted_plain": True}}
        )
        self.client.register_plugin("xep_0045")
        self.client.register_plugin("xep_0199")
        self.client.enable_plaintext, self.client.enable_starttls, self.client.enable_direct_tls = True, False, False
        self.port = port
        self.heard: list[Any] = []
        self.receipts: set[str] = set()
        self.said = ""
        self.receipt, self.words = asyncio.Event(), asyncio.Event()
        self.client.register_handler(Callback("all", StanzaPath("message"), self._hear))

    def _hear(self, message: Any) -> None:
        self.heard.append(message)
        if (receipt := message.xml.find("{urn:xmpp:receipts}received")) is not None:
            self.receipts.add(receipt.get("id"))
            self.receipt.set()
        if message["body"]:
            self.words.set()

    async def connect(self) -> None:
        started = asyncio.ensure_future(self.client.wait_until("session_start", 30))
        self.client.connect("127.0.0.1", self.port)
        await started
        self.client.send_presence()

    async def close(self) -> None:
        await self.client.disconnect(wait=1.0)
        self.client._run_out_filters.cancel()

    def say(self, to: str, text: str, *, id: str, room: bool = False, url: str = "", **more: Any) -> None:
        message = self.client.make_message(mto=JID(to), mbody=text or url, mtype="groupchat" if room else "chat")
        message["id"] = self.said = id
        add(message.xml, "{urn:xmpp:sid:0}origin-id", id=id)
        add(message.xml, "{urn:xmpp:receipts}request")
        if url:
            add(add(message.xml, "{jabber:x:oob}x"), "{jabber:x:oob}url", url)
        for tag, attributes in more.get("children", ()):
            child = add(message.xml, tag, **{name: value for name, value in attributes.items() if name != "end"})
            if "end" in attributes:
                add(child, "{urn:xmpp:fallback:0}body", start="0", end=attributes["end"])
        message.send()


class XmppPlatform(OpenedPlatform[XmppChannel]):
    kind = KIND
    receives = True
    abilities = frozenset({"groups", "replies", "edits", "files", "files_in", "quotes_in", "edits_in", "reconnects"})
    failures = frozenset({"refuse", "limit", "lose", "hold", "server_error", "unauthorized", "blocked"})
    most_text = 5000
    most_file = 10_485_760

    def __init__(self, prosody: Prosody, relay: BreakingWire, folder: Path, **settings: object) -> None:
        number = next(_NUMBERS)
        self.prosody, self.relay = prosody, relay
        self.bot, self.name = prosody.account(f"bot{number}"), f"bot{number}"
        self.person = Person(prosody.account(f"anna{number}"), prosody.port)
        self.other = Person(self.bot + "/other", prosody.port)
        self.room = f"team{number}@rooms.localhost"
        self.address = Address(channel="xmpp", chat_id=self.person.jid)
        self.group = Address(channel="xmpp", chat_id=self.room)
        self.bad_addresses = tuple(
            Address(channel="xmpp", chat_id=chat) for chat in ("anna", "anna@localhost/phone", "a b@localhost", "@localhost", self.bot)
        )
        self.uploads: dict[str, bytes] = {}
        self.uploads_url = ""
        given: dict[str, object] = {
            "enabled": True,
            "jid": self.bot,
            "password": PASSWORD,
            "host": "127.0.0.1",
            "port": relay.port,
            "rooms": [self.room],
            "nick": "helper",
            "fileHosts": ["127.0.0.1"],
        }
        super().__init__(folder, XmppSettings.model_validate(given | settings))

    def open(self) -> XmppChannel:
        return XmppChannel(self.settings, self.context, pause=0.01)

    def seen(self) -> Sequence[Seen]:
        found: dict[str, Seen] = {}
        for line in self.prosody.seen(self.name):
            stanza = fromstring(line)
            each = _seen(stanza)
            replaced = next((child.get("id", "") for child in stanza if child.tag.endswith("}replace")), "")
            if replaced:
                found[replaced] = Seen(id=replaced, text=each.text, chat_id=each.chat_id, edited=True)
            else:
                found[each.id] = each
        return list(found.values())

    def fail(self, how: Failure) -> None:
        if how == "unauthorized":
            self.prosody.set_password(self.name, "other")
            self.drop()
        elif how in ("lose", "hold"):
            self.relay.next = how
        else:
            self.prosody.fail(self.name, how)

    def heal(self) -> None:
        self.prosody.account(self.name)

    def write(self, said: Said) -> str:
        id = said.id or f"m{next(_NUMBERS)}"
        url = ""
        for name, content in said.files:
            self.uploads[name] = content
            url = f"{self.uploads_url}/{quote(name)}"
        to = self.room if said.group else self.bot
        text = f"helper: {said.text}" if said.mention else said.text
        children: list[tuple[str, dict[str, str]]] = []
        if said.quotes:
            quoted = f"> {said.quotes}\n"
            text = quoted + text
            children.append(("{urn:xmpp:reply:0}reply", {"id": "x", "to": self.bot}))
            children.append(("{urn:xmpp:fallback:0}fallback", {"for": "urn:xmpp:reply:0", "end": str(len(quoted))}))
        if said.answers_us:
            children.append(("{urn:xmpp:reply:0}reply", {"id": "x", "to": f"{self.room}/helper"}))
        if said.edits:
            children.append(("{urn:xmpp:message-correct:0}replace", {"id": said.edits}))
        (self.other if said.by == "assistant" else self.person).say(to, text, id=id, room=said.group, url=url, children=children)
        return id

    def acknowledged(self) -> bool:
        return self.person.said in self.person.receipts

    def drop(self) -> None:
        self.relay.drop()

    def garble(self) -> None:
        for raw in (
            f"<message to='{self.bot}'><body/></message>",
            f"<message to='{self.bot}' type='headline'><body>w9</body></message>",
            f"<message to='{self.bot}'><body>{' ' * 9}</body><x xmlns='jabber:x:oob'/></message>",
            f"<message to='{self.bot}'><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'/></result></message>",
            f"<message to='{self.bot}'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>"
            f"<message xmlns='jabber:client' from='{self.bot}'><body>w8</body></message></forwarded></received></message>",
            f"<message to='{self.bot}' type='error' id='zzz'><error type='cancel'/></message>",
            f"<presence to='{self.bot}' type='subscribe'/>",
        ):
            self.person.client.send_raw(raw)


def _seen(stanza: Any) -> Seen:
    def child(name: str) -> Any:
        return next((each for each in stanza if each.tag.endswith(f"}}{name}") or each.tag == name), None)

    body, oob, reply = child("body"), child("x"), child("reply")
    text = (body.text or "") if body is not None else ""
    files = ()
    if oob is not None:
        files, text = (unquote(text.rpartition("/")[2]),), ""
    return Seen(
        id=stanza.get("id"), text=text, chat_id=stanza.get("to"), files=files, reply_to=reply.get("id") if reply is not None else None
    )


@asynccontextmanager
async def serving(files: dict[str, bytes]) -> AsyncGenerator[str]:
    """The place that a person's server keeps files at."""

    async def give(request: web.Request) -> web.Response:
        return web.Response(body=files[request.match_info["name"]])

    app = web.Application()
    app.router.add_get("/{name}", give)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def xmpp_platform(prosody: Prosody, folder: Path, **settings: object) -> AsyncGenerator[XmppPlatform]:
    async with breaking_wire(prosody.port) as relay:
        platform = XmppPlatform(prosody, relay, folder, **settings)
        await platform.person.connect()
        await platform.person.client.plugin["xep_0045"].join_muc_wait(JID(platform.room), "anna", maxstanzas=0, timeout=30)
        async with serving(platform.uploads) as platform.uploads_url:
            yield platform
            await platform.channel.close()
            await platform.person.close()
