"""TIFF: a picture, or a document of pages, as fax machines and scanners write them."""

from functools import partial
from io import BytesIO

from PIL import Image

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.documents.formats import images
from assistant.documents.formats.markdown import DocumentBuilder, count
from assistant.documents.formats.pictures import DocumentPictures, EncodedPicture
from assistant.documents.protocol import IllustratedDocument, ReadLimits


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument | ReadImage | IllustratedDocument:
    pages = _count(data, limits.pdf_pages + 1)
    if pages <= 1 or not limits.pictures:
        return images.read(data, name, limits)
    builder, pictures = DocumentBuilder(limits.text_chars), DocumentPictures(limits)
    for number in range(1, min(pages, limits.pdf_pages) + 1):
        builder.begin(f"page {number}")
        builder.add(f"## Page {number}")
        builder.add(pictures.page(f"page {number}", partial(_page, data, number - 1, limits)))
    facts = ("more than " if pages > limits.pdf_pages else "") + count(min(pages, limits.pdf_pages), "page")
    missing = f"what follows page {limits.pdf_pages:,} (documents.pdfPages)" if pages > limits.pdf_pages else ""
    return pictures.illustrate(builder.finish(name, facts=(facts, "no text (scans)"), missing=missing))


def _count(data: bytes, most: int) -> int:
    """The frames of a TIFF, counted up to `most`; 0 where it is damaged."""
    pages = 0
    try:
        with Image.open(BytesIO(data), formats=["TIFF"]) as source:
            while pages < most:
                source.seek(pages)
                pages += 1
    except (*images.BROKEN, Image.DecompressionBombError):
        return pages
    return pages


def _page(data: bytes, index: int, limits: ReadLimits) -> EncodedPicture:
    with Image.open(BytesIO(data), formats=["TIFF"]) as source:
        source.seek(index)
        return EncodedPicture(*images.encode_source(source, limits))
