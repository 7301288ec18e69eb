"""The headers of a mail: who it is from, by whose word, what it answers, and whether a machine sent it. Anyone can write anything into them."""

import codecs
import re
from collections.abc import Sequence
from contextlib import suppress
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from typing import Final

from assistant.contracts.records import record
from channels.email.settings import ADDRESS, UNVERIFIED, EmailSettings, is_address
from channels.text.blocks import clean

_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_COMMENT: Final = re.compile(r"\((?:[^()\\]|\\.)*\)", re.DOTALL)
_FROM: Final = re.compile(rf"\s*(?:[^<>@,;:]*<\s*({ADDRESS})\s*>|({ADDRESS}))\s*")
_NAMED: Final = re.compile(r"\s*(.*?)\s*<[^<>]*>\s*", re.DOTALL)
ID: Final = re.compile(r"<[!-;=?-~]{1,250}>")
"""Of a mail."""
_RESULT: Final = re.compile(r"\s*([a-z0-9-]+)\s*=\s*([a-z]+)", re.IGNORECASE)
_PROPERTY: Final = re.compile(r'(?<![a-z.-])([a-z.-]{1,40})\s*=\s*((?:"(?:[^"\\]|\\.)*"|[^\s;"])+)', re.IGNORECASE)
"""The sender chooses what is in quotes: the part of an address before its @."""
_PROOFS: Final = frozenset({"header.d", "header.i", "header.from", "smtp.mailfrom"})
_MOST_REFERENCES: Final = 50
_MOST_FROM: Final = 1000
_MOST_HEADER: Final = 20_000
"""Characters."""
_NO_CHARSETS: Final = frozenset({"punycode", "idna", "undefined", "unicode-escape", "raw-unicode-escape"})
"""Python's own, which are none of texts; some take the square of the length."""
LOOP: Final = "X-Loop"
_MACHINES: Final = re.compile(r"(mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?|listserv|majordomo)([+@-].*|)", re.IGNORECASE)
_LIST_HEADERS: Final = ("List-Id", "List-Unsubscribe", "List-Post", "X-Autoreply", "X-Autorespond", "X-Auto-Reply-From", "Feedback-Id")


def header(mail: Message, name: str) -> str:
    """Decoded, in one line; empty: there is none. Never raises."""
    return decoded(str(mail.get(name, ""))[:_MOST_HEADER])


def decoded(raw: str) -> str:
    try:
        parts = decode_header(raw)
    except (HeaderParseError, ValueError):
        parts = [(raw, None)]
    words = [value if isinstance(value, str) else text_of(value, charset) for value, charset in parts]
    return clean(" ".join("".join(words).split()))


def text_of(content: bytes, charset: str | None) -> str:
    """What the sender calls it counts, then what it can be. Never raises."""
    for each in (charset or "utf-8", "utf-8", "cp1252"):
        with suppress(LookupError, ValueError):
            if codecs.lookup(each).name not in _NO_CHARSETS:
                return content.decode(each)
    return content.decode("utf-8", errors="replace")


@record
class From:
    address: str
    name: str
    verified: bool

    @property
    def id(self) -> str:
        """By which access is decided: an address that nothing proves is another id."""
        return self.address if self.verified else UNVERIFIED + self.address


def sender_of(mail: Message, settings: EmailSettings) -> From | None:
    """None: the mail does not say in one way who it is from, and so can't be answered."""
    given = mail.get_all("From", [])
    raw = str(given[0]) if len(given) == 1 and len(str(given[0])) <= _MOST_FROM else ""
    found = _FROM.fullmatch(_COMMENT.sub("", _QUOTED.sub("", raw)))
    address = (found[1] or found[2]).lower() if found else ""
    if not is_address(address):
        return None
    named = _NAMED.fullmatch(raw)
    name = decoded(re.sub(r"\\(.)", r"\1", named[1].strip('"'))) if named else ""
    domain = address.partition("@")[2]
    believed = address in settings.trust_from or f"@{domain}" in settings.trust_from
    return From(address=address, name=name[:100] or address, verified=believed or _checked(mail, domain, settings.authserv))


def _checked(mail: Message, domain: str, servers: Sequence[str]) -> bool:
    """Whether the newest Authentication-Results header, which has to be the own server's, says that the mail is from this domain.

    https://www.rfc-editor.org/rfc/rfc8601: a server puts its header on top, and removes others of its name.
    """
    newest = str(next(iter(mail.get_all("Authentication-Results", [])), ""))
    server, _, results = _without_comments(newest).partition(";")
    words = server.split()
    if not words or words[0].lower().rstrip(".") not in servers:
        return False
    proofs: set[str] = set()
    for result in results.split(";"):
        found = _RESULT.match(result)
        if found is None:
            continue
        method, verdict = found[1].lower(), found[2].lower()
        if method == "dmarc" and verdict not in ("pass", "none", "bestguesspass"):
            return False
        properties = [(name.lower(), value) for name, value in _PROPERTY.findall(result) if name.lower() in _PROOFS]
        about = {name: value.strip('"').lower().rpartition("@")[2].rstrip(".") for name, value in properties}
        if len(about) < len(properties):
            continue  # twice: one of them is the sender's
        names = {"dmarc": ("header.from",), "dkim": ("header.d", "header.i"), "spf": ("smtp.mailfrom",)}.get(method, ())
        shown = next((about[name] for name in names if name in about), "")
        if verdict == "pass" and (shown == domain or (method != "dmarc" and _is_above(shown, domain))):
            proofs.add(method)
    return bool(proofs)


def _is_above(shown: str, domain: str) -> bool:
    """Whether `shown` is a domain that `domain` is a part of; not one of a single label (org)."""
    return "." in shown and domain.endswith(f".{shown}")


def _without_comments(text: str) -> str:
    """Comments may be nested; there are none in quotes."""
    out: list[str] = []
    depth, quoted, escaped = 0, False, False
    for char in text[:10_000]:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"' and depth == 0:
            quoted = not quoted
        elif char == "(" and not quoted:
            depth += 1
        elif char == ")" and depth and not quoted:
            depth -= 1
            continue
        if depth == 0:
            out.append(" " if quoted and char == ";" else char)
    return "".join(out)


def message_ids(mail: Message) -> tuple[str, list[str]]:
    """(its own id, or empty; the ids of what it answers, the oldest first)."""
    own = ID.search(str(mail.get("Message-ID", "")))
    before = ID.findall(str(mail.get("References", ""))[:_MOST_HEADER])[-_MOST_REFERENCES:]
    last = ID.findall(str(mail.get("In-Reply-To", "")))[:1]
    return own[0] if own else "", before + [each for each in last if each not in before]


def machine_made(mail: Message, sender: str, own: str) -> str:
    """Why a mail is never answered: a machine or a list sent it, or the assistant itself. Empty: a person did, by all signs.

    https://www.rfc-editor.org/rfc/rfc3834#section-2
    """
    auto = header(mail, "Auto-Submitted").partition(";")[0].strip().lower()
    if sender == own or any(own in str(each).lower() for each in mail.get_all(LOOP, [])):
        return "own"
    if auto not in ("", "no"):
        return "auto-submitted"
    if header(mail, "Precedence").lower() in ("bulk", "junk", "list", "auto_reply"):
        return "precedence"
    if listed := next((name for name in _LIST_HEADERS if mail.get(name) is not None), ""):
        return listed.lower()
    suppress = header(mail, "X-Auto-Response-Suppress").lower()
    if any(word in suppress for word in ("all", "oof", "autoreply")):
        return "auto-response-suppress"
    if mail.get("Return-Path") is not None and header(mail, "Return-Path") in ("<>", ""):
        return "bounce"
    return "machine" if _MACHINES.fullmatch(sender.partition("@")[0]) or mail.get_content_type() == "multipart/report" else ""
