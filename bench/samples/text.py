"""Plain text and a table of comma-separated values."""

from bench.samples.words import Prose

_SIZE = 9_900_000 + 250_000


def make_text() -> bytes:
    """Paragraphs, with words beyond ASCII now and then."""
    prose = Prose(3)
    parts: list[str] = []
    size = 0
    while size < _SIZE:
        parts.append(f"{prose.words(80)} – naïve Größe, 10 €.\n\n")
        size += len(parts[-1].encode())
    return "".join(parts).encode()


def make_csv() -> bytes:
    """Eight columns."""
    prose = Prose(4)
    parts = ["order,date,customer,article,amount,price,tax,remark\n"]
    size = 0
    while size < _SIZE:
        number = len(parts)
        row = f'{number},2025-{number % 12 + 1:02}-{number % 28 + 1:02},"{prose.words(2)}",{prose.words(1)},{number % 90},{prose.number()}'
        parts.append(f'{row},{prose.number()},"{prose.words(5)}"\n')
        size += len(parts[-1])
    return "".join(parts).encode()
