"""A mail as it is sent: text and HTML, files, and the headers that keep it in its thread and keep machines from answering it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.headerregistry import Address as MailAddress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from typing import Final, Self

from assistant.contracts.outbox import Media, OutboundPart
from channels.email.headers import LOOP
from channels.email.reading import without_prefix
from channels.email.settings import EmailSettings

_POLICY: Final = SMTP.clone(cte_type="7bit")
_ID: Final = re.compile(r"<[^<>\s]{1,250}>")
_MOST_SUBJECT: Final = 70
_MOST_REFERENCES: Final = 20
_PAGE: Final = '<!doctype html><html><head><meta charset="utf-8"></head><body>{}</body></html>'


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadNote:
    """What is kept of a thread, so that answers stay in it."""

    subject: str
    ids: tuple[str, ...]
    """Of its mails, the oldest first: the first, and the last ones."""

    @classmethod
    def read(cls, kept: str | None) -> Self | None:
        if kept is None:
            return None
        given = json.loads(kept)
        return cls(subject=given["subject"], ids=tuple(given["ids"]))

    def written(self) -> str:
        return json.dumps({"subject": self.subject, "ids": self.ids})


def ids_of_thread(ids: Sequence[str]) -> tuple[str, ...]:
    """As many as a References header may have."""
    return tuple(ids) if len(ids) <= _MOST_REFERENCES else (ids[0], *ids[1 - _MOST_REFERENCES :])


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    to: str
    message_id: str
    part: OutboundPart
    styled: bool
    reply_to: str | None
    thread: ThreadNote | None
    contents: Mapping[str, bytes]


def composed(draft: Draft, settings: EmailSettings) -> bytes:
    """Takes time where there are large files."""
    mail = EmailMessage(policy=_POLICY)
    user, _, domain = settings.from_address.partition("@")
    mail["From"] = MailAddress(display_name=_line(settings.from_name), username=user, domain=domain)
    to_user, _, to_domain = draft.to.partition("@")
    mail["To"] = MailAddress(username=to_user, domain=to_domain)
    mail["Date"] = localtime()
    mail["Message-ID"] = draft.message_id
    mail["Subject"] = _subject(draft)
    before = list(draft.thread.ids) if draft.thread is not None else []
    answers = draft.reply_to if draft.reply_to is not None and _ID.fullmatch(draft.reply_to) else (before[-1] if before else None)
    if answers is not None:
        mail["In-Reply-To"] = answers
        mail["References"] = " ".join([*(each for each in before if each != answers), answers])
    mail["Auto-Submitted"] = "auto-replied" if answers is not None else "auto-generated"
    mail["X-Auto-Response-Suppress"] = "OOF, AutoReply"
    mail[LOOP] = settings.from_address
    mail.set_content(draft.part.plain or "\n")
    if draft.styled and draft.part.text:
        mail.add_alternative(_PAGE.format(draft.part.text), subtype="html")
    for media in draft.part.media:
        _attach(mail, media, draft.contents[media.digest])
    return mail.as_bytes()


def _attach(mail: EmailMessage, media: Media, content: bytes) -> None:
    kind, _, subkind = media.media_type.partition("/")
    if not re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", media.media_type) or kind in ("multipart", "message"):
        kind, subkind = "application", "octet-stream"
    mail.add_attachment(content, maintype=kind, subtype=subkind, filename=media.name)


def _subject(draft: Draft) -> str:
    if draft.thread is not None and (draft.thread.ids or draft.thread.subject):
        return f"Re: {_line(without_prefix(draft.thread.subject))}".strip()
    first = next((line.strip() for line in draft.part.plain.splitlines() if line.strip()), "")
    words = first or ", ".join(each.name for each in draft.part.media)
    line = _line(words)
    return line if len(line) <= _MOST_SUBJECT else f"{line[:_MOST_SUBJECT].rsplit(' ', 1)[0]} …"


def _line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
