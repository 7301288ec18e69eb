"""Documents of nearly 10 MB, one of each kind: made once from a seed, then kept beside the code."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.samples.office import make_docx, make_pptx, make_xlsx, make_xlsx_of_numbers
from bench.samples.pdf import make_pdf, make_pdf_of_text
from bench.samples.pictures import make_jpeg, make_png
from bench.samples.text import make_csv, make_text

_CACHE: Final = Path(__file__).parents[1] / ".cache"
_LEAST, _MOST = 9.5 * 1024 * 1024, 9.99 * 1024 * 1024
_MAKERS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "pdf": ("report.pdf", make_pdf),
    "pdf, text only": ("book.pdf", make_pdf_of_text),
    "docx": ("report.docx", make_docx),
    "xlsx": ("orders.xlsx", make_xlsx),
    "xlsx, numbers only": ("readings.xlsx", make_xlsx_of_numbers),
    "pptx": ("talk.pptx", make_pptx),
    "png": ("scan.png", make_png),
    "jpeg": ("photo.jpg", make_jpeg),
    "txt": ("book.txt", make_text),
    "csv": ("orders.csv", make_csv),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    name: str
    """What it is called in the table."""
    path: Path
    size: int
    """Bytes: 9.5 to 9.99 MiB."""


def all_samples(say: Callable[[str], None]) -> list[Sample]:
    """Every kind; those that are not in the cache are made first, which takes some seconds each."""
    _CACHE.mkdir(exist_ok=True)
    samples: list[Sample] = []
    for name, (file, make) in _MAKERS.items():
        path = _CACHE / file
        if not path.exists():
            say(f"making {file}")
            data = make()
            if not _LEAST <= len(data) <= _MOST:
                raise ValueError(f"{file} came out at {len(data):,} bytes, which is not nearly 10 MB")
            path.write_bytes(data)
        samples.append(Sample(name=name, path=path, size=path.stat().st_size))
    return samples
