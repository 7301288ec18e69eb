"""E-mail messages: the main header fields, every part that says something of its own, and the attached files.

Of multipart/alternative one part is read, since they say the same; the parts of any other multipart are read in their order (RFC 2046, 5.1).
"""

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import collapse_rfc2231_value
from pathlib import PurePath
from typing import cast

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.documents.formats.attached import AttachedReader
from assistant.documents.formats.calendar import read_calendar
from assistant.documents.formats.html import read_page, to_markdown
from assistant.documents.formats.markdown import DocumentBuilder, count, shorten
from assistant.documents.formats.text import decode, decode_as
from assistant.documents.protocol import ReadLimits
from assistant.documents.wide import guess_wide

_FIELDS = ("From", "To", "Cc", "Date", "Subject")
_SUFFIXES = {"text/csv": ".csv", "text/html": ".html", "text/markdown": ".md", "application/json": ".json", "message/rfc822": ".eml"}
_SHOWN = frozenset({"text/plain", "text/html", "text/calendar", "text/enriched", "text/x-amp-html", "text/watch-html"})
"""Types of text that are a message's body; other texts are files."""
_SIGNATURES = re.compile(r"application/(?:x-)?pkcs7-signature|application/pgp-(?:signature|encrypted|keys)")
_TOO_SHORT = 5
"""A plain part with fewer than this part of the HTML's words only points to it."""
_MAX_PARTS = 500
_DEEPEST = 30


def read(data: bytes, name: str, limits: ReadLimits, attached: AttachedReader | None = None) -> ReadDocument:
    """`attached`: the reader of the message's own files, where it is itself attached to another."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or guess_wide(data[:4096]):
        data = decode(data).encode("utf-8", "replace")
    return _MailReader(limits, attached or AttachedReader(limits)).read(data.removeprefix(b"\xef\xbb\xbf"), name)


class _MailReader:
    def __init__(self, limits: ReadLimits, attached: AttachedReader) -> None:
        self._builder = DocumentBuilder(limits.text_chars)
        self._attached = attached
        self._files: list[tuple[str, EmailMessage]] = []
        self._parts = 0

    def read(self, data: bytes, name: str) -> ReadDocument:
        message = message_from_bytes(data.lstrip(b"\r\n"), policy=policy.default)
        self._builder.add(_head(message))
        self._show(message, 0)
        for label, part in self._files:
            self._read_file(label, part)
        return self._builder.finish(name, facts=("1 message", count(len(self._files), "attached file")))

    def _show(self, part: EmailMessage, depth: int) -> None:
        """Adds a part's text, and keeps those that are files for later."""
        self._parts += 1
        if self._parts > _MAX_PARTS or depth > _DEEPEST:
            return
        kind = part.get_content_type()
        if kind == "message/rfc822" and not _is_file(part):
            for message in _children(part):
                self._builder.add("---------- Forwarded message ----------\n" + _head(message))
                self._show(message, depth + 1)
        elif kind == "multipart/alternative":
            self._show_alternative(part, depth)
        elif kind == "message/external-body":
            self._builder.add(f"Attached file: {_name(part)} is kept elsewhere and not in the message.")
        elif kind.startswith("message/") and kind not in {"message/rfc822", "message/global"}:
            for child in _children(part):  # reports of delivery and reading, which consist of fields
                self._builder.add("\n".join(f"{key}: {_field(child, key)}" for key in child))
        elif part.is_multipart() and kind != "message/rfc822":
            for child in _children(part):
                self._show(child, depth + 1)
        elif (kind in _SHOWN or part.get_content_maintype() == "multipart") and not _is_file(part):
            for block in _read_body(part, kind):
                self._builder.add(block)
        elif not _SIGNATURES.fullmatch(kind) and _payload(part):
            self._files.append((_name(part), part))

    def _show_alternative(self, part: EmailMessage, depth: int) -> None:
        """The plain part unless it is only a hint at the other; of the rest only calendar entries and files, which say more."""
        parts = list(_children(part))
        words = {id(item): len(" ".join(_words(item)).split()) for item in parts}
        richest = max(words.values(), default=0)
        chosen = next((item for item in parts if words[id(item)] and words[id(item)] * _TOO_SHORT >= richest), None)
        for item in parts:
            if item is chosen or item.get_content_type() == "text/calendar":
                self._show(item, depth + 1)
            else:
                self._files += [(_name(leaf), leaf) for leaf in item.walk() if _is_other_file(leaf)]

    def _read_file(self, label: str, part: EmailMessage) -> None:
        data = _payload(part)
        suffix = PurePath(label).suffix.lower()[:16] or _SUFFIXES.get(part.get_content_type(), "")
        self._attached.depth += 1
        found = self._attached.read(data, suffix)
        self._attached.depth -= 1
        if isinstance(found, str):
            self._builder.add(f"Attached file: {label} {found}")
        elif isinstance(found, ReadImage):
            self._builder.add(f"[Picture: {label}, {found.original}]")
        else:
            missing = f"; not read: {found.missing}" if found.missing else ""
            self._builder.begin(f"attached file: {label}")
            self._builder.add(f"## Attached file: {label} ({', '.join((found.format, *found.facts))}{missing})")
            self._builder.add(found.text)


def _children(part: EmailMessage) -> Iterator[EmailMessage]:
    payload = part.get_payload()
    return iter(cast("list[EmailMessage]", payload) if isinstance(payload, list) else ())


def _head(message: EmailMessage) -> str:
    return "\n".join(f"{key}: {words}" for key in _FIELDS if (words := _field(message, key)))


def _field(message: EmailMessage, key: str) -> str:
    """A field's text with its encoded words decoded, also where it breaks the rules or holds bytes of any encoding."""
    raw = next((str(value) for name, value in message.raw_items() if name.lower() == key.lower()), "")
    if any("\udc80" <= sign <= "\udcff" for sign in raw):
        raw = decode(raw.encode("utf-8", "surrogateescape"))
    else:
        try:
            return " ".join(str(message[key] or "").split())
        except (ValueError, IndexError, AttributeError, TypeError, LookupError, MessageError):
            pass
    try:
        return " ".join(str(make_header(decode_header(raw))).split())
    except (ValueError, LookupError, MessageError):
        return " ".join(raw.split())


def _name(part: EmailMessage) -> str:
    try:
        name = collapse_rfc2231_value(part.get_filename() or "")
    except (ValueError, IndexError, AttributeError, TypeError, LookupError, MessageError):
        name = ""
    return shorten(name or part.get_content_type())


def _is_file(part: EmailMessage) -> bool:
    return part.get_content_disposition() == "attachment"


def _is_other_file(part: EmailMessage) -> bool:
    """Whether a leaf is a file that a chosen alternative need not repeat."""
    return not part.is_multipart() and (_is_file(part) or part.get_content_maintype() not in {"text", "multipart"})


def _words(part: EmailMessage) -> Iterator[str]:
    """The text of an alternative, to compare its length."""
    for leaf in part.walk():
        if leaf.get_content_type() in {"text/plain", "text/html"} and not _is_file(leaf):
            yield from _read_body(leaf, leaf.get_content_type())


def _payload(part: EmailMessage) -> bytes:
    """The bytes of a part; of an attached message its source."""
    if part.is_multipart():
        return b"\n".join(child.as_bytes(policy=policy.compat32) for child in _children(part))
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _read_body(part: EmailMessage, kind: str) -> list[str]:
    data, declared = _payload(part), part.get_content_charset()
    if kind.endswith("html"):
        return to_markdown(decode_as(data, declared)) if declared else read_page(data)
    text = decode_as(data, declared) if declared else decode(data)
    if kind == "text/calendar":
        return read_calendar(text) or [text]
    if str(part.get_param("format", "")).lower() == "flowed":
        text = _unflow(text, joined=str(part.get_param("delsp", "")).lower() == "yes")
    return [text]


def _unflow(text: str, *, joined: bool) -> str:
    """The paragraphs of format=flowed: lines that end with a space go on in the next one of the same quote depth (RFC 3676, 4.2–4.5)."""
    done: list[str] = []
    open_depth = -1
    for line in text.replace("\r\n", "\n").split("\n"):
        words = line.lstrip(">")
        depth = len(line) - len(words)
        words = words.removeprefix(" ")
        flows = words.endswith(" ") and words != "-- "
        if joined and flows:
            words = words[:-1]
        if depth == open_depth and words != "-- ":
            done[-1] += words
        else:
            done.append(f"{'>' * depth} {words}" if depth else words)
        open_depth = depth if flows else -1
    return "\n".join(done)
