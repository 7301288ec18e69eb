"""A mail as a message: the sender's own words, what is quoted, the files."""

import re
from collections.abc import Iterable, Iterator
from email import message_from_bytes
from email.message import Message
from email.policy import Compat32
from hashlib import sha256
from typing import Final, cast

from assistant.contracts.inbox import InboundFile, Quote
from assistant.contracts.records import record
from channels.email.bounces import thread_in
from channels.email.headers import decoded, header, message_ids, text_of
from channels.email.markup import html_words
from channels.email.quoting import own_words
from channels.kit.files import inbound_file
from channels.text.blocks import clean

_DEEPEST: Final = 20
_MOST_PARTS: Final = 300
_MOST_MULTIPARTS: Final = 60
_MOST_FILES: Final = 50
_MOST_WORDS: Final = 200_000
_REPLY: Final = re.compile(r"^\s*((re|aw|antw|sv|vs|rif|odp|fwd?|wg|tr|rv|res)(\[\d+\])?\s*:\s*)+", re.IGNORECASE)
_NO_FILES: Final = frozenset(
    {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature", "application/ms-tnef"}
)
_MOST_REPORT: Final = 1_000_000
"""Bytes of a report on a mail that was not delivered."""
_MOST_READ: Final = 1_000_000
"""Characters of a part."""
_MOST_HEADER: Final = 20_000
_MOST_PARAMETERS: Final = 3000
"""Of the headers that have them: what reads these takes the square of their length."""


class _ShortHeaders(Compat32):
    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[: _MOST_PARAMETERS if name.lower().startswith("content-") else _MOST_HEADER]


_POLICY: Final = _ShortHeaders()


@record
class Letter:
    """What a mail says, without who sent it."""

    message_id: str
    """Empty: it has none."""
    references: tuple[str, ...]
    """The ids of the mails before it, the oldest first."""
    subject: str
    text: str
    quote: Quote | None
    files: tuple[InboundFile, ...]

    @property
    def thread_id(self) -> str | None:
        """Twelve hex digits of the mail that began the thread. None: it began with a mail that the assistant sent by itself."""
        known = next((found for each in reversed(self.references) if (found := thread_in(each)) is not None), None)
        if known is not None:
            return None if known == "0" else known
        first = self.references[0] if self.references else self.message_id or self.subject + self.text
        return sha256(first.encode()).hexdigest()[:12]


def parsed(raw: bytes) -> Message:
    return message_from_bytes(raw, policy=_POLICY)


def is_sane(raw: bytes) -> bool:
    """Whether parsing takes no longer than the size lets expect: the parser looks at each line once for each part that is open, and makes a message
    of each paragraph of a report."""
    lines, small = raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n"), raw.lower()
    large_report = len(raw) > _MOST_REPORT and b"message/delivery-status" in small
    return lines <= len(raw) // 20 + 10_000 and small.count(b"boundary=") <= _MOST_MULTIPARTS and not large_report


def read_letter(mail: Message, ref: str, *, cut: bool = False) -> Letter:
    """`ref`: of the mail, for its files' refs. `cut`: only its beginning is here, so its files can't be fetched."""
    own_id, references = message_ids(mail)
    texts, markups, files = list[Message](), list[Message](), list[InboundFile]()
    forwarded: Message | None = None
    for place, part in enumerate(_leaves(mail)):
        kind = part.get_content_type()
        if kind == "message/rfc822":
            forwarded = forwarded or _inner(part)
        elif kind in ("text/plain", "text/html") and not _is_file(part):
            (texts if kind == "text/plain" else markups).append(part)
        elif kind not in _NO_FILES and len(files) < _MOST_FILES:
            files.append(_file(part, f"{ref}:{place}", cut=cut))
    body = _joined(map(_text, texts)) or _joined(html_words(_text(each)) for each in markups)
    own, quoted, author, is_forward = own_words(clean(body)[:_MOST_WORDS])
    quote = Quote(text=quoted, author=author, kind="forward" if is_forward else "reply") if quoted else None
    if forwarded is not None:
        inner = read_letter(forwarded, ref, cut=True)
        text = "\n\n".join(filter(None, [inner.subject, inner.text, inner.quote.text if inner.quote else ""]))
        quote = Quote(text=text[:_MOST_WORDS], author=header(forwarded, "From")[:200], kind="forward")
    subject = header(mail, "Subject")[:500]
    return Letter(
        message_id=own_id,
        references=tuple(references),
        subject=subject,
        text=_with_subject(own, subject, answers=bool(references)),
        quote=quote,
        files=tuple(files),
    )


def _joined(texts: Iterable[str]) -> str:
    """As many as are read."""
    out = list[str]()
    for each in texts:
        if each.strip():
            out.append(each)
        if sum(map(len, out)) > _MOST_WORDS:
            break
    return "\n\n".join(out)


def without_prefix(subject: str) -> str:
    """ "Re: AW: Lunch" → "Lunch"."""
    return _REPLY.sub("", subject).strip()


def _with_subject(own: str, subject: str, *, answers: bool) -> str:
    """The subject is a part of what is said, where the mail begins a conversation; not in front of a command."""
    bare = without_prefix(subject)
    if not own.strip():
        return bare if not answers else ""
    if answers or not bare or own.lstrip().startswith("/") or own.lstrip().lower().startswith(bare.lower()):
        return own
    return f"{bare}\n\n{own}"


def file_in(mail: Message, place: int) -> bytes | None:
    """The bytes of a file. None: there is no such part."""
    part = next((part for at, part in enumerate(_leaves(mail)) if at == place), None)
    return _bytes(part) if part is not None else None


def _leaves(mail: Message) -> Iterator[Message]:
    """The parts without parts, in order; a mail in the mail is one of them."""
    waiting: list[tuple[Message, int]] = [(mail, 0)]
    given = 0
    while waiting and given < _MOST_PARTS:
        part, depth = waiting.pop()
        if part.is_multipart() and part.get_content_type() != "message/rfc822":
            inner = cast("list[Message]", part.get_payload()) if depth < _DEEPEST else []
            waiting.extend((each, depth + 1) for each in reversed(inner[:_MOST_PARTS]))
            continue
        given += 1
        yield part


def _inner(part: Message) -> Message | None:
    payload = part.get_payload()
    return cast("list[Message]", payload)[0] if isinstance(payload, list) and payload else None


def _is_file(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(_name(part))


def _name(part: Message) -> str:
    try:
        return decoded(part.get_filename() or "")
    except (LookupError, ValueError, TypeError):  # a name in a broken encoding
        return "file"


def _bytes(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(part: Message) -> str:
    """Never raises."""
    text = text_of(_bytes(part), part.get_content_charset())[:_MOST_READ]
    if str(part.get_param("format", "")).lower() == "flowed":
        return _unwrapped(text, remove=str(part.get_param("delsp", "")).lower() == "yes")
    return text


def _unwrapped(text: str, *, remove: bool) -> str:
    """https://www.rfc-editor.org/rfc/rfc3676: a line that ends with a space goes on in the next, at the same depth of quoting."""
    out: list[list[str]] = []
    open_depth: int | None = None
    for line in text.replace("\r\n", "\n").split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        words = line[depth:].removeprefix(" ")
        if open_depth == depth and out:
            out[-1][-1] = out[-1][-1][:-1] if remove else out[-1][-1]
            out[-1].append(words)
        else:
            out.append([">" * depth + (" " if depth else ""), words])
        open_depth = depth if words.endswith(" ") and words != "-- " else None
    return "\n".join(map("".join, out))


def _file(part: Message, ref: str, *, cut: bool) -> InboundFile:
    kind = part.get_content_type()
    name = _name(part) or f"file.{'eml' if kind.startswith('message/') else part.get_content_subtype().partition('+')[0]}"
    return inbound_file(name, "" if cut else ref, media_type=kind, size=None if cut else len(_bytes(part)))
