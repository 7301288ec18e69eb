"""Plain text in any encoding."""

import re

from charset_normalizer import from_bytes

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.markdown import DocumentBuilder, count
from assistant.documents.protocol import ReadLimits
from assistant.documents.sniff import guess_utf16

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Byte-order marks, longer ones first."""
_SAMPLE = 64 * 1024
_FOREIGN = re.compile("[^\x00-\x7f\ufffd]")
_FEW = 10
_IN_USE = (
    *("cp1252", "cp1250", "iso8859_2", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
"""Encodings in use before UTF-8. The detector knows many more and mistakes short texts for them."""
_LATIN = frozenset({"cp1252", "cp1250", "iso8859_2", "cp1254", "cp1257"})
_NOT_WESTERN = re.compile("[šžŠŽðýþÐÝÞ]|[A-Za-zÀ-ÿ][¡-¿×÷†‡‰Œœƒˆ˜]+[A-Za-zÀ-ÿ]")
"""Signs that text decoded as Windows-1252 is not: Czech or Turkish letters, symbols inside words."""


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
    """Decodes by the byte-order mark, else as UTF-8, else as UTF-16 where zero bytes suggest it, else by detection.

    Never fails: falls back to Windows-1252 with replacement characters.
    """
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        if len(_FOREIGN.findall(text)) > _FEW * text.count("\ufffd"):
            return text  # a few damaged bytes among many good ones
    if encoding := guess_utf16(data[:_SAMPLE]):
        return data.decode(encoding, "replace")
    return data.decode(_detect(data), "replace")


def _detect(data: bytes) -> str:
    """The likeliest encoding of bytes that are not UTF-8; Windows-1252 is preferred among Latin ones, which share most letters."""
    sample = _sample(data)
    best = from_bytes(sample, cp_isolation=list(_IN_USE)).best()
    encoding = "cp1252" if best is None else best.encoding
    if encoding in _LATIN and not _NOT_WESTERN.search(sample.decode("cp1252", "replace")):
        return "cp1252"
    return encoding


def _sample(data: bytes) -> bytes:
    """Whole lines from the first non-ASCII byte, which may come late in a long file."""
    if len(data) <= _SAMPLE:
        return data
    first = len(data) - len(data.lstrip(bytes(range(128))))
    start = data.rfind(b"\n", 0, first) + 1
    end = data.rfind(b"\n", start, start + _SAMPLE)
    return data[start : end if end > start else start + _SAMPLE]
