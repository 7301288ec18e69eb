"""Plain text of any encoding."""

from charset_normalizer import from_bytes

from assistant.contracts.documents import ReadDocument
from assistant.documents.draft import Draft, count
from assistant.documents.limits import Limits
from assistant.documents.sniff import guess_utf16

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_SAMPLE = 64 * 1024
_STRICTER = {
    "shift_jis_2004": "cp932",
    "shift_jisx0213": "cp932",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "johab": "cp949",
}
"""What the detector may call it → the encoding that programs really write, which reads the same and more."""


def read(data: bytes, name: str, limits: Limits) -> ReadDocument:
    """The text as it is: its markup, if it has any, is part of what it says."""
    draft = Draft(limits.text_chars)
    text = decode(data)
    draft.add(text)
    if name == "md":
        draft.divide()
    lines = text.count("\n") + (not text.endswith("\n"))
    return draft.finish(name, facts=(count(lines, "line"),))


def decode(data: bytes) -> str:
    """The characters: by the byte-order mark, else as UTF-8, else as UTF-16 where the zeros say so, else by what the bytes look like.

    Never fails: what no encoding explains is read as Windows-1252, with a replacement character for each byte that this lacks.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start > 0.9 * len(data) and error.reason == "unexpected end of data":
            return data.decode("utf-8", "replace")
    if encoding := guess_utf16(data[:_SAMPLE]):
        return data.decode(encoding, "replace")
    return data.decode(_detect(data), "replace")


def _detect(data: bytes) -> str:
    """The likeliest encoding of bytes that are not UTF-8."""
    best = from_bytes(_sample(data), cp_exclusion=["utf_7"]).best()
    encoding = "cp1252" if best is None else _STRICTER.get(best.encoding, best.encoding)
    return "cp1252" if encoding in {"ascii", "utf_8", "latin_1", "cp1250"} and _fits(data, "cp1252") else encoding


def _fits(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _sample(data: bytes) -> bytes:
    """Whole lines around the first byte that is not ASCII: what tells encodings apart may come late in a long file."""
    if len(data) <= _SAMPLE:
        return data
    first = len(data) - len(data.lstrip(bytes(range(128))))
    start = data.rfind(b"\n", 0, first) + 1
    end = data.rfind(b"\n", start, start + _SAMPLE)
    return data[start : end if end > start else start + _SAMPLE]
