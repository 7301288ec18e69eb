"""Plain text in any encoding.

An encoding is told by the byte-order mark, else text is UTF-16 without one, else UTF-8, else what its bytes resemble.
"""

import re

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.markdown import DocumentBuilder, count
from assistant.documents.protocol import ReadLimits
from assistant.documents.wide import guess_wide

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Byte-order marks, longer ones first."""
_SAMPLE = 64 * 1024
_FOREIGN = re.compile("[^\x00-\x7f\ufffd]")
_FEW = 10
_ESCAPES = {
    b"\x1b$B": "iso2022_jp_2",
    b"\x1b$@": "iso2022_jp_2",
    b"\x1b(J": "iso2022_jp_2",
    b"\x1b$(": "iso2022_jp_2",
    b"\x1b$)C": "iso2022_kr",
}
_MEANT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("us-ascii", "ascii", "unknown-8bit", "x-unknown", "binary", "8bit", "7bit"), ()),
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1", "iso8859-1", "x-user-defined"), ("utf-8", "cp1252", "latin-1")),
    **dict.fromkeys(("gb2312", "gbk", "x-gbk"), ("gb18030",)),
    **dict.fromkeys(("shift-jis", "x-sjis", "sjis"), ("cp932",)),
    **dict.fromkeys(("ks-c-5601-1987", "euc-kr", "ks-c-5601"), ("cp949",)),
    **dict.fromkeys(("iso-8859-9", "latin5"), ("cp1254", "iso8859_9")),
    **dict.fromkeys(("iso-8859-8-i", "iso-8859-8-e"), ("iso8859_8",)),
    **dict.fromkeys(("windows-874", "tis-620", "iso-8859-11"), ("cp874",)),
    **dict.fromkeys(("x-mac-roman", "macintosh"), ("mac_roman",)),
    "iso-2022-jp": ("iso2022_jp_2", "iso2022_jp_ext"),
    "big5": ("big5hkscs",),
    "unicode-1-1-utf-8": ("utf-8",),
    "x-mac-cyrillic": ("mac_cyrillic",),
}
"""Declared labels and the encodings that they mean in practice: supersets of what they name (WHATWG Encoding Standard, 4.2)."""
_IN_USE = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874"),
    *("iso8859-1", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-9", "iso8859-15", "koi8-r", "koi8-u"),
    *("cp437", "cp850", "cp852", "cp866", "mac-roman", "mac-cyrillic"),
    *("cp932", "euc_jis_2004", "gb18030", "big5hkscs", "cp949", "euc_kr"),
)
"""Encodings in use before UTF-8. The detector knows many more and mistakes short texts for them."""
_RELATED = frozenset(
    {"cp1250", "iso8859-2", "cp1254", "iso8859-9", "cp1257", "cp437", "cp850", "cp852", "mac-roman", "iso8859-15", "iso8859-1"}
)
"""Those that short Western texts are mistaken for."""
_NEAR = 0.6
"""Of the best one's confidence, what Windows-1252 needs to be preferred to a related encoding: it is by far the most common."""
_PAIR = re.compile(rb"[\xb0-\xfe][\xa1-\xfe]")
_ENOUGH_PAIRS = 12
"""Ideographs of which a quarter would begin with a byte from D0 on in Chinese, and hardly any in Japanese."""
_NOT_WESTERN = re.compile("[šžŠŽðýþÐÝÞõûÕÛ]")
"""Letters that Czech, Turkish and Hungarian texts have where they are decoded as Windows-1252."""
_SIGNS = re.compile("[\x00-\x7f]*(?:[€…‘’“”•–—™£§©®°±²³µ·¼½¾«»]{1,2}[\x00-\x7f]+)*[€…‘’“”•–—™£§©®°±²³µ·¼½¾«»]{0,2}")
"""Text whose only characters beyond ASCII are signs: there is nothing to tell a language by, and Windows-1252 is by far the most common."""
_IMPLAUSIBLE = re.compile(
    "[A-Za-z][\u0370-\u07ff\u0e00-\u0e7f]|[\u0370-\u07ff\u0e00-\u0e7f][A-Za-z]|[\x80-\x9f]|"
    r"[^\W\d_][¡-©«-¹»-¿×÷†‡‰ƒˆ˜←-◿]+[^\W\d_]|[a-zß-öø-ÿ][À-ÖØ-Þ]"
)
"""Two scripts in a word, control characters, symbols inside words, capitals with accents behind small letters."""


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument:
    """The text unchanged, markup included."""
    builder = DocumentBuilder(limits.text_chars)
    text = decode(data)
    builder.add(text)
    if name == "md":
        builder.split_at_headings()
    lines = text.count("\n") + (not text.endswith("\n"))
    return builder.finish(name, facts=(count(lines, "line"),))


def decode(data: bytes) -> str:
    """Never fails: falls back to Windows-1252 with replacement characters."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if encoding := guess_wide(data):
        return data.decode(encoding, "replace")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        if len(_FOREIGN.findall(text)) > _FEW * text.count("\ufffd"):
            return text  # a few damaged bytes among many good ones
        return data.decode(_detect(_sample(data)), "replace")
    return _unescape(data) or text if "\x1b" in text else text


def decode_as(data: bytes, declared: str) -> str:
    """By the encoding that the text's source declares, unless it has a mark, is unknown or does not fit; then by `decode`."""
    name = declared.strip("\"' ").lower().replace("_", "-")
    if not data.startswith(tuple(_MARKS)):
        for encoding in _MEANT.get(name, (name,)):
            try:
                return data.decode(encoding)
            except (LookupError, UnicodeError, ValueError):
                continue
    return decode(data)


def _unescape(data: bytes) -> str:
    """Text in ISO-2022-JP or ISO-2022-KR, whose bytes are ASCII; "" for any other."""
    for mark, encoding in _ESCAPES.items():
        if mark in data:
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                return ""
    return ""


def _detect(sample: bytes) -> str:
    """The likeliest encoding of bytes that are not UTF-8."""
    if _SIGNS.fullmatch(sample.decode("cp1252", "replace")):
        return "cp1252"
    from chardet import detect_all  # noqa: PLC0415 - a tenth of a second that few texts need

    found = detect_all(sample, compat_names=False, include_encodings=_IN_USE, ignore_threshold=True)
    ranked = {item["encoding"]: item["confidence"] for item in found if item["encoding"]}
    plausible = {name: rank for name, rank in ranked.items() if _is_plausible(sample, name)} or ranked
    best = next(iter(plausible), "cp1252")
    if (
        best in _RELATED
        and plausible.get("cp1252", 0) >= _NEAR * plausible[best]
        and not _NOT_WESTERN.search(sample.decode("cp1252", "replace"))
    ):
        return "cp1252"
    if best == "gb18030" and plausible.get("euc_jis_2004", 0) >= _NEAR * plausible[best]:
        leads = [pair[0] for pair in _PAIR.findall(sample)]
        if len(leads) >= _ENOUGH_PAIRS and max(leads) < 0xD0:
            return "euc_jis_2004"
    return best


def _is_plausible(sample: bytes, encoding: str) -> bool:
    return _IMPLAUSIBLE.search(sample.decode(encoding, "replace")) is None


def _sample(data: bytes) -> bytes:
    """Whole lines from the first non-ASCII byte, which may come late in a long file."""
    if len(data) <= _SAMPLE:
        return data
    first = len(data) - len(data.lstrip(bytes(range(128))))
    start = data.rfind(b"\n", 0, first) + 1
    end = data.rfind(b"\n", start, start + _SAMPLE)
    return data[start : end if end > start else start + _SAMPLE]
