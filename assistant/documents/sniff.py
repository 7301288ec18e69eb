"""The format of a file by its bytes; the name only tells kinds of text apart."""

import re
from io import BytesIO
from zipfile import BadZipFile, ZipFile

from assistant.documents.protocol import FileRefused, encrypted, unsupported

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
    ("__substg1.0_", "msg"),
)
_HTML = re.compile(rb"(?:<\?xml[^>]*>|<!--.*?-->|\s)*<(?:!doctype\s+html|html[\s>]|head[\s>]|body[\s>])", re.IGNORECASE | re.DOTALL)
_MAIL_FIELD = re.compile(rb"^(from|to|date|subject|received|return-path|message-id|mime-version|delivered-to|content-type):", re.I | re.M)
_NOTEBOOK = re.compile(rb'"nbformat"\s*:\s*\d')
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
    for name, mark in ((b"text", "odt"), (b"presentation", "odp"), (b"graphics", "odp")):
        if kind.startswith(b"application/vnd.oasis.opendocument." + name):
            return mark
    if kind.startswith(b"application/vnd.oasis.opendocument"):
        raise unsupported("is an OpenDocument file. Save it as .docx, .pptx or PDF and send that")
    if kind.startswith(b"application/epub"):
        return "epub"
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
            if what in {"xls", "msg"}:
                return what
            raise unsupported(what)
    raise unsupported("is an old Office or system file")


def _is_text(data: bytes) -> bool:
    """Whether at most 1 % of the first 64 KiB are control characters (a log may have a few), or they are UTF-16 or UTF-32."""
    head = data[: 64 * 1024]
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")) or guess_utf16(head):
        return True
    controls = sum(1 for byte in head.translate(None, bytes(range(32, 256))) if byte not in _TEXT_CONTROLS)
    return controls * 100 <= len(head)


def guess_utf16(head: bytes) -> str:
    """ "utf-16-le" or "utf-16-be" for text without a byte-order mark where nearly every other byte is zero; else ""."""
    size = len(head) // 2
    if size < 2:
        return ""
    even, odd = head[0 : size * 2 : 2].count(0), head[1 : size * 2 : 2].count(0)
    if odd * 10 >= size * 7 and even * 50 <= size:
        return "utf-16-le"
    if even * 10 >= size * 7 and odd * 50 <= size:
        return "utf-16-be"
    return ""


def _text(data: bytes, suffix: str) -> str:
    if _HTML.match(data[:4096]):
        return "html"
    if data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" and _NOTEBOOK.search(data) and re.search(rb'"(?:cells|worksheets)"\s*:', data):
        return "ipynb"
    fields = {match[1].lower() for match in _MAIL_FIELD.finditer(data[:8192].split(b"\n\n")[0].split(b"\r\n\r\n")[0])}
    if {b"from", b"subject"} <= fields and fields & {b"date", b"received", b"message-id", b"mime-version", b"content-type"}:
        return "eml"
    claimed = _TEXT_SUFFIXES.get(suffix, suffix[1:])
    if claimed == "html" and re.search(rb"<[a-z]+[^>]*>", data[:65536], re.IGNORECASE):
        return "html"
    return claimed if _TEXTS.fullmatch(claimed) else "text"
