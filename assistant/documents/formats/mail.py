"""E-mail messages: the main header fields, the text, and the names of attachments."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import collapse_rfc2231_value
from itertools import islice

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.html import to_markdown
from assistant.documents.formats.markdown import DocumentBuilder, count, shorten
from assistant.documents.formats.text import decode
from assistant.documents.protocol import ReadLimits

_FIELDS = ("From", "To", "Cc", "Date", "Subject")
_MAX_PARTS = 500


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument:
    message = message_from_bytes(data, policy=policy.default)
    parts = [part for part in islice(message.walk(), _MAX_PARTS) if not part.is_multipart()]
    bodies = [part for part in parts if not _is_attached(part)]
    attached = [part for part in parts if _is_attached(part)]
    plain = [part for part in bodies if part.get_content_type() == "text/plain"]
    builder = DocumentBuilder(limits.text_chars)
    builder.add("\n".join(f"{key}: {' '.join(str(message[key]).split())}" for key in _FIELDS if key in message))
    for part in plain or bodies:
        for block in _read_body(part):
            builder.add(block)
    names = [shorten(collapse_rfc2231_value(part.get_filename() or part.get_content_type())) for part in attached]
    if names:
        builder.add(f"Attached files (not read): {', '.join(names)}")
    return builder.finish(name, facts=("1 message", count(len(names), "attached file")))


def _is_attached(part: EmailMessage) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_content_maintype() != "text"


def _read_body(part: EmailMessage) -> list[str]:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        text = data.decode(part.get_content_charset() or "utf-8")
    except (LookupError, UnicodeDecodeError):
        text = decode(data)
    return to_markdown(text) if part.get_content_type() == "text/html" else [text]
