"""PDF files and pages that pdfium fails on, read by pypdf, which is slower and more lenient."""

import logging
from io import BytesIO

import pypdf
from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.pdf import check_pages, compose
from assistant.documents.protocol import ReadLimits, damaged, encrypted

pypdf.overwrite_configuration(jbig2dec_binary=None)  # would start a program for JBIG2 pictures
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def read_document(data: bytes, limits: ReadLimits) -> ReadDocument:
    """Raises FileRefused where pypdf fails, too."""
    try:
        document = pypdf.PdfReader(BytesIO(data), strict=False)
        if document.is_encrypted and not document.decrypt(""):
            raise encrypted()
        total = len(document.pages)
        texts = [document.pages[index].extract_text() for index in range(check_pages(total, limits))]
    except (FileNotDecryptedError, DependencyError) as error:
        raise encrypted() from error
    except PyPdfError as error:
        raise damaged("a PDF") from error
    if not texts:
        raise damaged("a PDF")
    return compose(texts, [""] * len(texts), total, limits)


def read_pages(data: bytes, indexes: list[int]) -> dict[int, str]:
    """The texts of pages by index; empty where pypdf fails."""
    try:
        document = pypdf.PdfReader(BytesIO(data), strict=False)
        return {index: text for index in indexes if (text := document.pages[index].extract_text()).strip()}
    except PyPdfError:
        return {}
