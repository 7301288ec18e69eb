"""The format of a file by its bytes; the name only tells kinds of text apart."""

import re
from io import BytesIO
from zipfile import BadZipFile, ZipFile

from assistant.documents.protocol import FileRefused, encrypted, unsupported
from assistant.documents.wide import guess_wide

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"{\\rtf", "rtf"),
)
_UNSUPPORTED: tuple[tuple[int, tuple[bytes, ...], str], ...] = (
    (0, (b"MZ",), "is a Windows program"),
    (0, (b"\x7fELF", b"\xfe\xed\xfa", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"), "is a program"),
    (0, (b"Rar!\x1a\x07",), "is a RAR archive. Unpack it and send the files in it"),
    (0, (b"7z\xbc\xaf\x27\x1c",), "is a 7-Zip archive. Unpack it and send the files in it"),
    (0, (b"\x1f\x8b",), "is a gzip archive. Unpack it and send the files in it"),
    (0, (b"BZh",), "is a bzip2 archive. Unpack it and send the files in it"),
    (0, (b"\xfd7zXZ\x00",), "is an xz archive. Unpack it and send the files in it"),
    (0, (b"\x28\xb5\x2f\xfd",), "is a Zstandard archive. Unpack it and send the files in it"),
    (257, (b"ustar",), "is a tar archive. Unpack it and send the files in it"),
    (0, (b"SQLite format 3\x00",), "is a SQLite database"),
    (0, (b"OggS",), "is a sound or a film"),
    (0, (b"fLaC", b"ID3", b"\xff\xfb"), "is a sound"),
    (8, (b"WAVE",), "is a sound"),
    (8, (b"AVI ",), "is a film"),
    (0, (b"\x1aE\xdf\xa3",), "is a film"),
    (4, (b"ftypheic",), "is a HEIC picture. Send it as JPEG or PNG"),
    (4, (b"ftypmif1",), "is a HEIF picture. Send it as JPEG or PNG"),
    (4, (b"ftypavif",), "is an AVIF picture. Send it as JPEG or PNG"),
    (4, (b"ftyp",), "is a film or a sound"),
    (0, (b"II*\x00", b"MM\x00*"), "is a TIFF picture. Send it as PNG or JPEG"),
    (0, (b"8BPS",), "is a Photoshop picture. Send it as PNG or JPEG"),
    (0, (b"BM",), "is a BMP picture. Send it as PNG or JPEG"),
    (0, (b"\x00\x00\x01\x00",), "is an icon. Send it as PNG"),
    (0, (b"wOF",), "is a font"),
)
"""Offset, marks, description. Checked after text, since words also begin with short marks such as "MZ"."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS: tuple[tuple[str, str], ...] = (
    ("Workbook", "xls"),
    ("Book", "xls"),
    ("WordDocument", "is an old Word document (.doc). Save it as .docx or PDF and send that"),
    ("PowerPoint Document", "is an old PowerPoint document (.ppt). Save it as .pptx or PDF and send that"),
    ("__substg1.0_", "is an Outlook message (.msg). Save it as .eml, PDF or text and send that"),
)
_HTML = re.compile(rb"(?:<\?xml[^>]*>|<!--.*?-->|\s)*<(?:!doctype\s+html|html[\s>]|head[\s>]|body[\s>])", re.IGNORECASE | re.DOTALL)
_MAIL_FIELD = re.compile(
    rb"^(from|to|date|subject|received|return-path|message-id|mime-version|delivered-to|content-type)[ \t]*:[ \t]*(.{0,100})", re.I | re.M
)
_MAIL_DATE = re.compile(rb"(?:[a-z]{3}, *)?[0-9]{1,2} [a-z]{3} [0-9]{2,4} [0-9]{1,2}:[0-9]{2}", re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_HEAD = 512 * 1024
"""Bytes in which the header of a message ends."""
_WIDE_MARKS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\v\b\x1b")
_TEXT_SUFFIXES = {".htm": "html", ".xhtml": "html", ".markdown": "md", ".yml": "yaml"}
_TEXTS = re.compile(
    "md|csv|tsv|json|jsonl|yaml|toml|ini|xml|svg|log|tex|srt|vtt|ics|vcf|diff|patch|sql|css|sh|"
    "py|js|ts|jsx|tsx|java|kt|c|h|cpp|hpp|cs|go|rs|rb|php|swift"
)
"""Suffixes that name a format of text; text with any other suffix is "text"."""


def sniff(data: bytes, suffix: str) -> str:
    """The format of a file: "pdf", "docx", "png" …; for text, the format its suffix names ("csv"), else "text".

    Raises FileRefused for archives, programs, sounds, films, unknown bytes, and encrypted files.
    """
    if not data:
        raise FileRefused("is empty.")
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith(b"PK"):
        return _zip(data)
    if data.startswith(_OLE):
        return _ole(data)
    start = data[:1024].find(b"%PDF-")
    if start == 0 or (start > 0 and b" obj" in data and b"stream" in data):  # text that mentions PDF has no objects
        return "pdf"
    if _is_text(data):
        return _text(data, suffix)
    for offset, marks, what in _UNSUPPORTED:
        if data.startswith(marks, offset):
            raise unsupported(what)
    raise unsupported("is of an unknown kind")


def _zip(data: bytes) -> str:
    try:
        with ZipFile(BytesIO(data)) as archive:
            names = set(archive.namelist())
            kind = archive.read("mimetype")[:100] if "mimetype" in names and archive.getinfo("mimetype").file_size < 100 else b""
            locked = any(entry.flag_bits & 1 for entry in archive.infolist())
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise FileRefused("can't be read: it is a damaged Office file or archive.") from error
    if kind.startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
        return "ods"
    if kind.startswith(b"application/vnd.oasis.opendocument"):
        raise unsupported("is an OpenDocument file. Save it as .docx, .pptx or PDF and send that")
    if kind.startswith(b"application/epub"):
        raise unsupported("is an e-book. Save it as PDF or text and send that")
    if locked:
        raise encrypted()
    for name, mark in (("xlsb", "xl/workbook.bin"), ("docx", "word/"), ("xlsx", "xl/"), ("pptx", "ppt/")):
        if any(entry.startswith(mark) for entry in names):
            return name
    raise unsupported("is a ZIP archive. Unpack it and send the files in it")


def _ole(data: bytes) -> str:
    """For the container of Office files before 2007 and of encrypted ones since. Its directory names streams in UTF-16."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise encrypted()
    for stream, what in _OLE_STREAMS:
        if stream.encode("utf-16-le") in data:
            if what == "xls":
                return what
            raise unsupported(what)
    raise unsupported("is an old Office or system file")


def _is_text(data: bytes) -> bool:
    """Whether at most 1 % of the first 64 KiB are control characters (a log may have a few), or they are UTF-16 or UTF-32."""
    head = data[: 64 * 1024]
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")) or guess_wide(head):
        return True
    controls = sum(1 for byte in head.translate(None, bytes(range(32, 256))) if byte not in _TEXT_CONTROLS)
    return controls * 100 <= len(head)


def _text(data: bytes, suffix: str) -> str:
    head = _narrow(data[:_HEAD])
    if _HTML.match(head[:4096]):
        return "html"
    if _is_mail(head, suffix):
        return "eml"
    claimed = _TEXT_SUFFIXES.get(suffix, suffix[1:])
    if claimed == "html" and re.search(rb"<[a-z]+[^>]*>", head[:65536], re.IGNORECASE):
        return "html"
    return claimed if _TEXTS.fullmatch(claimed) else "text"


def _narrow(head: bytes) -> bytes:
    """The head in ASCII where it is UTF-16 or UTF-32, and without a mark."""
    if encoding := next((name for mark, name in _WIDE_MARKS if head.startswith(mark)), "") or guess_wide(head):
        return head.decode(encoding, "replace").encode("ascii", "replace").lstrip(b"?")
    return head.removeprefix(b"\xef\xbb\xbf")


def _is_mail(head: bytes, suffix: str) -> bool:
    """RFC 5322, 3.6: a message has From and Date. Drafts and stored messages may lack one of them, and texts may begin like one."""
    fields = {match[1].lower(): match[2] for match in _MAIL_FIELD.finditer(_BLANK_LINE.split(head, 1)[0])}
    transport = fields.keys() & {b"received", b"message-id", b"mime-version", b"content-type", b"return-path", b"delivered-to"}
    if b"from" in fields and ((b"subject" in fields and b"date" in fields) or transport):
        return True
    if b"from" in fields and _MAIL_DATE.match(fields.get(b"date", b"")):
        return True
    return len(transport) >= 2 or (suffix == ".eml" and len(fields) >= 2)
