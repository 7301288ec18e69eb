"""PDFs, written by hand: the format is simple enough, and nothing else that is installed writes text into pages."""

import textwrap
import zlib

from bench.samples.words import Prose, noise_jpeg

_PAGES = 500


def make_pdf() -> bytes:
    """500 pages of 450 words, compressed, every tenth with a picture."""
    prose = Prose(5)
    pictures = {page: noise_jpeg(page, 580, 410) for page in range(0, _PAGES, 10)}
    return _assemble([zlib.compress(_page(prose.words(450), page in pictures)) for page in range(_PAGES)], pictures, compressed=True)


def make_pdf_of_text() -> bytes:
    """500 pages of 2,180 words in small print, not compressed: as much text as fits."""
    prose = Prose(6)
    return _assemble([_page(prose.words(2180), picture=False) for _ in range(_PAGES)], {}, compressed=False)


def _page(words: str, picture: bool) -> bytes:
    lines = textwrap.wrap(words, 95)
    size = min(11.0, 690 / len(lines))
    shown = b"q 200 0 0 140 200 20 cm /Im0 Do Q\n" if picture else b""
    text = "".join(f"({line}) Tj T*\n" for line in lines)
    return shown + f"BT /F1 {size:.2f} Tf {size:.2f} TL 40 800 Td\n{text}ET\n".encode()


def _assemble(contents: list[bytes], pictures: dict[int, bytes], *, compressed: bool) -> bytes:
    """Objects: 1 the catalogue, 2 the page tree, 3 the font, then for each page itself, its content and its picture."""
    kept = "/Filter /FlateDecode " if compressed else ""
    objects: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    pages: list[int] = []
    for index, content in enumerate(contents):
        number = len(objects) + 1
        pages.append(number)
        shown = f"/XObject << /Im0 {number + 2} 0 R >> " if index in pictures else ""
        resources = f"<< /Font << /F1 3 0 R >> {shown}>>"
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources {resources} /Contents {number + 1} 0 R >>"
        objects += [page.encode(), _stream(kept, content)]
        if index in pictures:
            form = "/Type /XObject /Subtype /Image /Width 580 /Height 410 /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode "
            objects.append(_stream(form, pictures[index]))
    kids = " ".join(f"{number} 0 R" for number in pages)
    objects[1] = f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode()
    return _file(objects)


def _stream(entries: str, data: bytes) -> bytes:
    return b"<< %s/Length %d >>\nstream\n%s\nendstream" % (entries.encode(), len(data), data)


def _file(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.7\n")
    offsets: list[int] = []
    for number, data in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, data)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)
