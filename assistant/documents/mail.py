"""E-mail messages: the fields that people read, the text, and the names of what is attached."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import collapse_rfc2231_value

from assistant.contracts.documents import ReadDocument
from assistant.documents.draft import Draft, count, shorten
from assistant.documents.html import to_markdown
from assistant.documents.limits import Limits
from assistant.documents.refusals import damaged
from assistant.documents.text import decode

_FIELDS = ("From", "To", "Cc", "Date", "Subject")
_MOST_PARTS = 500


def read(data: bytes, name: str, limits: Limits) -> ReadDocument:
    try:
        message = message_from_bytes(data, policy=policy.default)
        fields = [f"{key}: {' '.join(str(value).split())}" for key in _FIELDS for value in message.get_all(key, [])[:1]]
        parts = [part for _, part in zip(range(_MOST_PARTS), message.walk(), strict=False) if not part.is_multipart()]
        attached = [part for part in parts if _is_attached(part)]
        bodies = [part for part in parts if part not in attached]
        kept = [part for part in bodies if part.get_content_type() == "text/plain"] or [
            part for part in bodies if part.get_content_type() == "text/html"
        ]
        blocks = [block for part in kept for block in _read_body(part)]
    except (ValueError, KeyError, IndexError, AttributeError, TypeError, LookupError) as error:  # broken fields fail in the library in many ways
        raise damaged("an e-mail") from error
    draft = Draft(limits.text_chars)
    draft.add("\n".join(fields))
    for block in blocks:
        draft.add(block)
    names = [shorten(collapse_rfc2231_value(part.get_filename() or part.get_content_type())) for part in attached]
    if names:
        draft.add(f"Attached files (not read): {', '.join(names)}")
    return draft.finish(name, facts=("1 message", count(len(names), "attached file")))


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
