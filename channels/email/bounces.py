"""Reports of what could not be delivered: https://www.rfc-editor.org/rfc/rfc3464"""

import re
from email.message import Message
from typing import Final, cast

from assistant.contracts.records import record
from channels.email.headers import decoded, header, message_ids

_OURS: Final = re.compile(r"<[A-Za-z0-9]{1,25}\.([0-9a-f]{12}|0)\.nanobot@[^<>\s]+>")
_ID: Final = re.compile(r"^Message-ID:\s*(<[^<>\s]{1,250}>)", re.IGNORECASE | re.MULTILINE)
_MOST_HEADERS: Final = 100_000
_CODES: Final = {"5.1": "no_such_address", "5.2.2": "mailbox_full", "5.3.4": "too_large", "5.7": "blocked"}


def own_id(key: str, thread_id: str | None, domain: str) -> str:
    """The Message-ID of a mail of the assistant's, by the key of its part: the same for every try."""
    return f"<{key}.{thread_id or 0}.nanobot@{domain}>"


def thread_in(message_id: str) -> str | None:
    """The thread that a mail of ours was sent in: "0" for none; None: it is not ours."""
    found = _OURS.fullmatch(message_id)
    return found[1] if found else None


@record
class Bounce:
    message_id: str
    code: str
    words: str


def code_of(status: str) -> str:
    """A code for programs, of an enhanced status (RFC 3463); empty: none of its own."""
    return _CODES.get(status) or _CODES.get(status.rpartition(".")[0], "")


def bounce_of(mail: Message) -> Bounce | None:
    """None: it is no report that a mail of ours was not delivered for good."""
    if mail.get_content_type() != "multipart/report" or not mail.is_multipart():
        return None
    status = words = ours = ""
    for part in cast("list[Message]", mail.get_payload())[:10]:
        kind = part.get_content_type()
        inner = part.get_payload() if part.is_multipart() else part.get_payload(decode=True)
        if kind == "message/delivery-status" and isinstance(inner, list):
            for each in cast("list[Message]", inner)[:100]:
                if header(each, "Action").lower() == "failed":
                    status = header(each, "Status").partition(" ")[0]
                    words = header(each, "Diagnostic-Code").partition(";")[2].strip()
        elif kind == "message/rfc822" and isinstance(inner, list) and inner:
            ours = message_ids(cast("list[Message]", inner)[0])[0]
        elif kind == "text/rfc822-headers" and isinstance(inner, bytes):
            found = _ID.search(inner[:_MOST_HEADERS].decode("ascii", "replace"))
            ours = found[1] if found else ""
    if not status.startswith("5") or thread_in(ours) is None:
        return None
    said = decoded(words)[:200] or f"status {status}"
    return Bounce(message_id=ours, code=code_of(status) or "undelivered", words=f"The receiver's mail server did not take it: {said}")
