"""The format of a file by its bytes; the name only tells kinds of text apart."""

import re
import zlib
from io import BytesIO
from zipfile import BadZipFile, ZipFile

from assistant.documents.compound import MAGIC, CompoundFile
from assistant.documents.protocol import MIB, FileRefused, encrypted, unsupported
from assistant.documents.wide import guess_wide

_MAGIC: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), name)
    for pattern, name in (
        (rb"\x89PNG\r\n\x1a\n", "png"),
        (rb"\xff\xd8\xff", "jpeg"),
        (rb"GIF8[79]a", "gif"),
        (rb"RIFF....WEBP", "webp"),
        (rb"BM....\0\0\0\0....[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", "bmp"),
        (rb"BM.{10}\0\0(?:\x0c\0\0\0....|[\x28\x34\x38\x40\x6c\x7c]\0\0\0.{8})\x01\0[\x01\x04\x08\x10\x18\x20]\0", "bmp"),
        (rb"II[*+]\0|MM\0[*+]", "tiff"),
        (rb"\0\0\x01\0[\x01-\xff]\0", "ico"),
        (rb"8BPS\0\x01", "psd"),
        (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "jp2"),
        (rb"\0...ftyp(?:avi[fs]|(?:mif1|msf1|miaf)....(?:....){0,8}?avif)", "avif"),
        (rb"\0...ftyp(?:he[iv][a-z]|mif1|msf1)", "heic"),
        (rb"\{\\rtf", "rtf"),
    )
)
_SIGNED = "is a signed or encrypted message (.p7m). Open it in a mail program and send the text, or export it as PDF"
_MAINFRAME = "text of a mainframe (EBCDIC). Save it as UTF-8 and send that"
_ARCHIVE = "archive. Unpack it and send the files in it"
_UNSUPPORTED: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), what)
    for pattern, what in (
        (rb"\x7fELF|\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba\xbe", "is a program"),
        (rb"Rar!\x1a\x07", f"is a RAR {_ARCHIVE}"),
        (rb"7z\xbc\xaf\x27\x1c", f"is a 7-Zip {_ARCHIVE}"),
        (rb"\x1f\x8b\x08", f"is a gzip {_ARCHIVE}"),
        (rb"BZh[1-9]1AY&SY", f"is a bzip2 {_ARCHIVE}"),
        (rb"\xfd7zXZ\0", f"is an xz {_ARCHIVE}"),
        (rb"\x28\xb5\x2f\xfd", f"is a Zstandard {_ARCHIVE}"),
        (rb"MSCF\0\0\0\0", f"is a cabinet {_ARCHIVE}"),
        (rb"(?=[^\0]{1,99}\0).{257}ustar", f"is a tar {_ARCHIVE}"),
        (rb"SQLite format 3\0", "is a SQLite database"),
        (
            rb"\x4c(?:\x6f\xa7\x94\x93|[\x4f\x5a][\xc4\x84][\xd6\x96][\xc3\x83]|[\xc8\x88][\xe3\xa3][\xd4\x94][\xd3\x93])",
            f"is {_MAINFRAME}",
        ),
        (
            rb"OggS\0|RIFF...[\0-\x1f\xff]AVI |\x1aE\xdf\xa3|FLV\x01|\0\0\x01[\xba\xb3]|\x30\x26\xb2\x75\x8e\x66\xcf\x11",
            "is a sound or a film",
        ),
        (rb"fLaC\0|ID3[\x02-\x04]|R(?:IFF|F64)...[\0-\x1f\xff]WAVE|FORM[\0-\x1f]...AIF[FC]", "is a sound"),
        (rb"\.snd\0\0|MThd\0\0|#!AMR(?:-WB)?\n[^\n -~]|\0...ftypM4[ABP]", "is a sound"),
        (rb"\0...ftypcr[x3]", "is a raw photo. Export it as JPEG"),
        (rb"\0...ftyp", "is a film or a sound"),
        (rb"8BPS\0\x02", "is a large Photoshop picture. Export it as PNG or JPEG"),
        (rb"\0\0\0\x0cJXL ", "is a JPEG XL picture. Export it as PNG or JPEG"),
        (rb"gimp xcf (?:file|v[0-9])", "is a GIMP picture. Export it as PNG or JPEG"),
        (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "is a Windows metafile picture. Export it as PNG"),
        (rb"\xc5\xd0\xd3\xc6", "is a PostScript picture. Export it as PDF"),
        (rb"\0{128}DICM", "is a medical picture (DICOM). Export it as PNG or JPEG"),
        (rb"\0\0\x02\0[\x01-\xff]\0|icns\0", "is an icon. Export it as PNG"),
        (rb"wOF[F2](?:\0\x01\0\0|OTTO|true)|OTTO\0|\0\x01\0\0\0|ttcf\0", "is a font"),
        (rb"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "is a OneNote section (.one). Export it as PDF and send that"),
        (rb"\xffWPC", "is a WordPerfect document (.wpd). Export it as PDF and send that"),
        (rb"AT&TFORM....DJV", "is a DjVu document. Export it as PDF and send that"),
        (rb".{60}BOOKMOBI|ITOLITLS", "is an e-book. Export it as PDF or text and send that"),
        (rb"\x78\x9f\x3e\x22", "is a message in Outlook's own form (winmail.dat). Ask for it as plain text or HTML"),
        (rb"ITSF\x03", "is a Windows help file (.chm). Export it as PDF and send that"),
        (rb"\x30[\x80-\x84].{0,8}?\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07", _SIGNED),
        (rb"PAR1.*PAR1\Z|ARROW1\0|\x89HDF\r|\x93NUMPY", "is a file of data. Export it as CSV and send that"),
    )
)
"""Marks that no text begins with."""
_UNSUPPORTED_IF_NOT_TEXT: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), what)
    for pattern, what in (
        (rb"MZ", "is a Windows program"),
        (rb"\xff[\xfb\xf3\xf2\xf1\xf9]", "is a sound"),
        (rb"\x09[\0\2\4\x08][\4\6\x08]\0..[\5\6\x10\x20\x40]\0", "is a very old Excel sheet. Save it as .xlsx and send that"),
        (rb"\xdb\xa5-\0|\x9b\xa5!\0|1\xbe\0\0\0\xab", "is a very old Word document (.doc). Save it as .docx or PDF and send that"),
        (rb"[\1\2]\0\x09\0\0[\1\3]", "is a Windows metafile picture. Export it as PNG"),
        (rb"\xff\x0a", "is a JPEG XL picture. Export it as PNG or JPEG"),
        (rb"AC10[0-9]{2}", "is a drawing (.dwg). Export it as PDF and send that"),
    )
)
"""Short marks, which words begin with, too: asked of what is not text."""

_ZIP = re.compile(rb"PK(?:\x03\x04|\x05\x06|\x07\x08|00PK)")
_OLE_STREAMS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        ("__properties_version1.0|__substg1.0_.*", "msg"),
        ("worddocument", "is an old Word document (.doc). Save it as .docx or PDF and send that"),
        ("workbook|book", "xls"),
        ("powerpoint document", "is an old PowerPoint document (.ppt). Save it as .pptx or PDF and send that"),
        ("visiodocument", "is a Visio drawing (.vsd). Export it as PDF and send that"),
        ("quill", "is a Publisher document (.pub). Export it as PDF and send that"),
        ("matost|mm", "is a Works document (.wps). Save it as .docx or PDF and send that"),
        ("fileheader", "is a Hangul document (.hwp). Export it as PDF and send that"),
        ("props(?:9|12|14)?", "is a Microsoft Project plan (.mpp). Export it as PDF and send that"),
    )
)
"""What a compound file is, by the stream at its root; streams below are of files within it."""
_IWORK = {".pages": "is a Pages document (.pages)", ".key": "is a Keynote presentation (.key)", ".numbers": "is a Numbers sheet (.numbers)"}
_MANIFEST = "META-INF/manifest.xml"
_OWN_KIND = re.compile(rb"[\"'](application/vnd\.oasis\.opendocument\.[a-z-]+)[\"']")
"""The first one is that of the whole."""
_LONGEST_KIND = 100
_IN_ZIP = (
    (
        re.compile(r"(?:.*/)?Index(?:\.zip|/Document\.iwa)|(?:index\.xml|(?:index|presentation)\.apxl)(?:\.gz)?$"),
        "is a Pages, Keynote or Numbers document",
    ),
    (re.compile(r"visio/"), "is a Visio drawing (.vsdx)"),
    (re.compile(r"FixedDoc(?:ument)?Seq(?:uence)?\.fdseq|FixedDocSeq", re.IGNORECASE), "is an XPS document"),
    (re.compile(r"Contents/section0\.xml"), "is a Hangul document (.hwpx)"),
)
_PDF_OBJECT = re.compile(rb"(?:%[^\r\n]{0,200}\s{1,9})?\d{1,9} \d{1,5} obj\b")
"""How a PDF begins that has lost its first line."""
_HTML = re.compile(rb"(?:<\?xml[^>]*>|<!--.*?-->|\s)*<(?:!doctype\s+html|html[\s>]|head[\s>]|body[\s>])", re.IGNORECASE | re.DOTALL)
_MAIL_FIELD = re.compile(
    rb"^(from|to|date|subject|received|return-path|message-id|mime-version|delivered-to|content-type)[ \t]*:[ \t]*(.{0,100})", re.I | re.M
)
_MAIL_DATE = re.compile(rb"(?:[a-z]{3}, *)?[0-9]{1,2} [a-z]{3} [0-9]{2,4} [0-9]{1,2}:[0-9]{2}", re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_HEAD = 512 * 1024
"""Bytes in which the header of a message ends."""
_WIDE_MARKS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
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
        if magic.match(data):
            return name
    if _ZIP.match(data):
        return _zip(data, suffix)
    if data.startswith(MAGIC):
        return _ole(data)
    for magic, what in _UNSUPPORTED:
        if magic.match(data):
            raise unsupported(what)
    start = data[:1024].find(b"%PDF-")
    if start == 0 or (start > 0 and b" obj" in data and b"stream" in data):  # text that mentions PDF has no objects
        return "pdf"
    if _PDF_OBJECT.match(data) and b"endobj" in data and b"trailer" in data:
        return "pdf"
    if _is_text(data):
        return _text(data, suffix)
    for magic, what in _UNSUPPORTED_IF_NOT_TEXT:
        if magic.match(data):
            raise unsupported(what)
    raise unsupported("is of an unknown kind")


def _zip(data: bytes, suffix: str) -> str:
    try:
        with ZipFile(BytesIO(data)) as archive:
            names = {name.replace("\\", "/") for name in archive.namelist()}
            kind = _open_kind(archive)
            locked = any(entry.flag_bits & 1 for entry in archive.infolist())
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:
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
    for mark, what in _IN_ZIP:
        if any(mark.match(entry) for entry in names):
            raise unsupported(f"{_IWORK.get(suffix, what)}. Export it as PDF and send that")
    raise unsupported(f"is a ZIP {_ARCHIVE}")


def _open_kind(archive: ZipFile) -> bytes:
    """The media type of an OpenDocument file or an e-book, which the first says of itself in its manifest, too; empty for another archive."""
    sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    if 0 < sizes.get("mimetype", 0) < _LONGEST_KIND:
        return archive.read("mimetype")
    if "content.xml" in sizes and 0 < sizes.get(_MANIFEST, 0) < MIB:
        found = _OWN_KIND.search(archive.read(_MANIFEST))
        return found[1] if found else b""
    return b""


def _ole(data: bytes) -> str:
    """For a compound file. Where its directory can't be read, what its bytes mention."""
    container = CompoundFile(data)
    names = container.root_names()
    if not container.is_readable:
        names = {name for name in ("encryptedpackage", "__properties_version1.0", "worddocument") if _mentions(data, name)}
    if "encryptedpackage" in names:
        raise encrypted()
    for pattern, what in _OLE_STREAMS:
        if any(pattern.fullmatch(name) for name in names):
            if what in {"xls", "msg"}:
                return what
            raise unsupported(what)
    raise unsupported("is an old Office or system file. Export it as PDF and send that")


def _mentions(data: bytes, name: str) -> bool:
    return name.encode("utf-16-le") in data.lower()


def _is_text(data: bytes) -> bool:
    """Whether at most 1 % of the first 64 KiB are control characters (a log may have a few), or they are UTF-16 or UTF-32."""
    head = data[: 64 * 1024]
    if head.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")) or guess_wide(head):
        return True
    controls = sum(1 for byte in head.translate(None, bytes(range(32, 256))) if byte not in _TEXT_CONTROLS)
    return controls * 100 <= len(head)


def _text(data: bytes, suffix: str) -> str:
    head = _narrow(data[:_HEAD])
    if _HTML.match(head[:4096]):
        return "html"
    if data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" and _NOTEBOOK.search(data) and re.search(rb'"(?:cells|worksheets)"\s*:', data):
        return "ipynb"
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
