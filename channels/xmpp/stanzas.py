"""Message stanzas as what they say. Pure: elements in, values out."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import unquote
from xml.etree.ElementTree import Element, SubElement

from assistant.contracts.inbox import InboundFile
from assistant.contracts.records import record
from channels.kit.files import inbound_file
from channels.text.blocks import clean

_CLIENT: Final = "{jabber:client}"
_IDS: Final = "{urn:xmpp:sid:0}"
_ARCHIVE: Final = "{urn:xmpp:mam:2}result"
_FORWARDED: Final = "{urn:xmpp:forward:0}forwarded"
_DELAY: Final = "{urn:xmpp:delay}delay"
_OOB: Final = "{jabber:x:oob}x"
_REPLY: Final = "{urn:xmpp:reply:0}reply"
_MUC: Final = "{http://jabber.org/protocol/muc#user}"
_FALLBACK: Final = "{urn:xmpp:fallback:0}"
_PICTURES: Final = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp"}
_PLACE: Final = re.compile(r"[0-9]{1,6}")
_MOST_CHARS: Final = 200_000


@record
class Stanza:
    """A message that says something."""

    sender: str
    """The bare address that it is from: of a person, or of a room."""
    nick: str
    """In a room, of who wrote it; else the resource."""
    in_room: bool
    id: str
    """What a receipt, an edit or an answer refers to; empty: it has none."""
    key: str
    """Known by this when it comes again."""
    occupant: str
    """XEP-0421: who wrote it, in a room that hides addresses; empty: the room does not say."""
    body: str
    quote: str
    files: tuple[InboundFile, ...]
    answers: str
    """The full address of whom it answers; empty: it does not say."""
    wants_receipt: bool
    at: datetime | None
    """When it was sent, where it was kept for a while."""


@dataclass(frozen=True, slots=True)
class Member:
    """Who has a nick in a room now."""

    jid: str
    """The bare address; empty: the room hides it."""
    occupant: str


def member_in(presence: Element) -> tuple[str, Member | None]:
    """(the room and nick, who has it; None: the one who had it has left)."""
    item = presence.find(f"{_MUC}x/{_MUC}item")
    jid = item.get("jid", "").partition("/")[0].lower() if item is not None else ""
    gone = presence.get("type", "") != "" or item is None
    return presence.get("from", ""), None if gone else Member(jid, _occupant(presence))


def _occupant(stanza: Element) -> str:
    found = stanza.find("{urn:xmpp:occupant-id:0}occupant-id")
    return found.get("id", "") if found is not None else ""


def archived(stanza: Element, own: str) -> Element | None:
    """The message in a result of our own archive (XEP-0313), with the time that it was stored at. None: it is no such result."""
    result = stanza.find(_ARCHIVE)
    if result is None or stanza.get("from", own).partition("/")[0] != own:
        return None
    forwarded = result.find(_FORWARDED)
    inner = forwarded.find(f"{_CLIENT}message") if forwarded is not None else None
    delay = forwarded.find(_DELAY) if forwarded is not None else None
    if inner is not None and delay is not None:
        for claimed in inner.findall(_DELAY):
            inner.remove(claimed)
        inner.append(delay)
    return inner


def read_stanza(stanza: Element) -> Stanza | None:
    """None: it says nothing (a receipt, a chat state, a subject), or is an error."""
    kind = stanza.get("type", "normal")
    sender, _, nick = stanza.get("from", "").partition("/")
    body = clean(stanza.findtext(f"{_CLIENT}body") or "")[:_MOST_CHARS]
    if kind not in ("chat", "normal", "groupchat") or "@" not in sender:
        return None
    if kind != "groupchat" and stanza.find(f"{_MUC}x") is not None:
        return None  # invitations, and what members of a room write in private
    urls = [url.strip() for each in stanza.findall(_OOB) if (url := each.findtext("{jabber:x:oob}url"))]
    if body.strip() in urls:
        body = ""
    if not (body.strip() or urls):
        return None
    origin = stanza.find(f"{_IDS}origin-id")
    stored = stanza.find(f"{_IDS}stanza-id")
    own_id, in_room = stanza.get("id", ""), kind == "groupchat"
    stored_id = stored.get("id", "") if stored is not None and (not in_room or stored.get("by") == sender) else ""
    unique = (origin.get("id", "") if origin is not None else "") or stored_id or own_id
    reply = stanza.find(_REPLY)
    words, quote = _without_fallback(stanza, body) if reply is not None else (body, "")
    return Stanza(
        sender=sender.lower(),
        nick=nick,
        in_room=in_room,
        id=(stored_id if in_room else "") or own_id,
        key=sha256(f"{sender.lower()} {nick if in_room else ''} {unique or body}".encode()).hexdigest()[:40],
        occupant=_occupant(stanza),
        body=words,
        quote=quote,
        files=tuple(map(_file, urls[:20])),
        answers=reply.get("to", "") if reply is not None else "",
        wants_receipt=stanza.find("{urn:xmpp:receipts}request") is not None,
        at=_time(stanza.find(_DELAY)),
    )


def _without_fallback(stanza: Element, body: str) -> tuple[str, str]:
    """(the words, what clients without replies are shown of the message that is answered). https://xmpp.org/extensions/xep-0461.html"""
    for each in stanza.findall(f"{_FALLBACK}fallback"):
        part = each.find(f"{_FALLBACK}body")
        start, end = (part.get("start", "0"), part.get("end", "")) if part is not None else ("", "")
        known = each.get("for") == "urn:xmpp:reply:0" and _PLACE.fullmatch(start) and _PLACE.fullmatch(end)
        if known and int(start) <= int(end) <= len(body):
            quoted = body[int(start) : int(end)]
            return body[: int(start)] + body[int(end) :], re.sub(r"(?m)^> ?", "", quoted).strip()
    return body, ""


def _file(url: str) -> InboundFile:
    name = unquote(re.split(r"[?#]", url, maxsplit=1)[0].rpartition("/")[2])
    return inbound_file(name, url, media_type=_PICTURES.get(name.rpartition(".")[2].lower(), ""))


def _time(delay: Element | None) -> datetime | None:
    """None also for a time that is still to come. The sender may have written it."""
    try:
        at = datetime.fromisoformat(delay.get("stamp", "")).astimezone(UTC) if delay is not None else None
    except (ValueError, OverflowError):
        return None
    return at if at is not None and at <= datetime.now(UTC) else None


def add(message: Element, tag: str, text: str | None = None, **attributes: str) -> Element:
    """A child with its namespace in braces."""
    child = SubElement(message, tag, attributes)
    child.text = text
    return child
