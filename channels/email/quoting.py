"""Which words of a mail are its sender's own: what is quoted, forwarded, or a signature is not."""

import re
from typing import Final, NamedTuple

_DATED: Final = re.compile(r"\b(19|20)\d\d\b|@|\d\d?[:.]\d\d")
_BEGINS: Final = re.compile(r"(on|am|le|el|il|op|den|em|w dniu|\d{4}|\d\d?[./])\b", re.IGNORECASE)
_WROTE: Final = re.compile(r"([^,<>:]{1,100}?)\s*(?:<[^<>]*>)?\s+(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|skrev|escreveu)\b")
_FORWARDS: Final = re.compile(
    r"^(-{2,}\s*(forwarded message|weitergeleitete nachricht|message transféré|mensaje reenviado|messaggio inoltrato)\s*-{2,}"
    r"|begin forwarded message:|anfang der weitergeleiteten nachricht:)\s*$",
    re.IGNORECASE,
)
_ORIGINALS: Final = re.compile(
    r"^(-{2,}\s*(original message|ursprüngliche nachricht|message d'origine|mensaje original)\s*-{2,}|_{20,})\s*$", re.IGNORECASE
)
_FIELD: Final = re.compile(r"^\*?(from|von|de|da|sent|gesendet|date|datum|to|an|subject|betreff)\*?:\*?\s+\S", re.IGNORECASE)
_AUTHOR: Final = re.compile(r"^\*?(?:from|von|de|da)\*?:\*?\s+(.{1,200})$", re.IGNORECASE)
_BY_DEVICE: Final = re.compile(
    r"^(sent from (my|outlook|mail|proton|yahoo)|get outlook for|von meinem .{1,40} gesendet|gesendet mit|envoyé de(puis)? mon"
    r"|enviado desde mi)\b.{0,80}$",
    re.IGNORECASE,
)


class Words(NamedTuple):
    own: str
    quoted: str
    author: str
    """Of the quoted words, as the mail says; empty: unknown."""
    forwarded: bool


def own_words(text: str) -> Words:
    """Pure, and never raises. Empty own words: the mail only quotes."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    end, forwarded = _end_of_own(lines)
    tail = lines[end:]
    head, author = _without_attributions(lines[:end])
    own = [line for line in head if not line.startswith(">")]
    quoted = [_bare(line) for line in head if line.startswith(">")]
    author = next((found[1].strip() for line in tail[:12] if (found := _AUTHOR.match(line.strip()))), author)
    rest = [_bare(line) for line in tail[1:]]
    return Words(_trimmed(_without_signature(own)), _trimmed([*quoted, *rest]), author[:200], forwarded)


def _end_of_own(lines: list[str]) -> tuple[int, bool]:
    """(the line that begins a mail that hangs below, whether it is forwarded)."""
    for place, line in enumerate(lines):
        bare = line.strip()
        if _FORWARDS.match(bare):
            return place, True
        if _ORIGINALS.match(bare) and sum(bool(_FIELD.match(each.strip())) for each in lines[place + 1 : place + 8]) >= 2:
            return place, False
        if bare.startswith(("From:", "Von:")) and place and sum(bool(_FIELD.match(each.strip())) for each in lines[place : place + 5]) >= 3:
            return place - 1 if not lines[place - 1].strip() else place, False
    return len(lines), False


def _without_attributions(lines: list[str]) -> tuple[list[str], str]:
    """(without the lines that say whom a quote is of ("On … Anna wrote:", often broken into two or three), the author of the last)."""
    out: list[str] = []
    author = ""
    for place, line in enumerate(lines):
        out.append(line)
        below = next((each for each in lines[place + 1 : place + 4] if each.strip()), "")
        if not (line.rstrip().endswith(":") and below.startswith(">") and not line.startswith(">")):
            continue
        several = next((lines for lines in (1, 2, 3) if _BEGINS.match(out[-lines] if len(out) >= lines else "")), 1)
        joined = " ".join(each.strip() for each in out[-several:])
        if len(joined) < 300 and _DATED.search(joined):
            del out[-several:]
            found = _WROTE.search(joined)
            author = found[1].strip() if found else ""
    return out, author


def _without_signature(own: list[str]) -> list[str]:
    place = next((place for place, line in enumerate(own) if line in ("-- ", "--")), len(own))
    own = list(own[:place])
    while own and (not own[-1].strip() or _BY_DEVICE.match(own[-1].strip())):
        own.pop()
    return own


def _bare(line: str) -> str:
    return re.sub(r"^(?:>\s?)", "", line)


def _trimmed(lines: list[str]) -> str:
    return "\n".join(line.rstrip() for line in lines).strip("\n")
