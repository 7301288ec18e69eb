"""PDF files that pdfium refuses, by pypdf, which forgives more and takes longer."""

import logging
from io import BytesIO

import pypdf
from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.pdf import check_pages, compose
from assistant.documents.limits import Limits
from assistant.documents.refusals import damaged, encrypted

# pypdf would start a program for JBIG2 pictures; text needs none of them.
pypdf.overwrite_configuration(jbig2dec_binary=None)
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def read_leniently(data: bytes, limits: Limits) -> ReadDocument:
    """Raises Refused where pypdf can't read the file, either."""
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
    """The texts of some pages by their indexes; none where the file is beyond pypdf."""
    try:
        document = pypdf.PdfReader(BytesIO(data), strict=False)
        return {index: text for index in indexes if (text := document.pages[index].extract_text()).strip()}
    except PyPdfError:
        return {}
