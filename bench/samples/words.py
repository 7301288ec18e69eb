"""Words that mean nothing, the same ones every time, and noise that no compression makes smaller."""

import random
from io import BytesIO

from PIL import Image

_SYLLABLES = (
    "ba",
    "cor",
    "den",
    "e",
    "fil",
    "gra",
    "ho",
    "in",
    "ka",
    "lum",
    "mer",
    "no",
    "or",
    "pre",
    "quin",
    "ro",
    "sta",
    "ter",
    "u",
    "ver",
)


class Prose:
    """Paragraphs from a vocabulary of 4,000 words, drawn with a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        draw = random.Random(0)
        self._vocabulary = ["".join(draw.choices(_SYLLABLES, k=draw.randint(1, 5))) for _ in range(4000)]

    def words(self, count: int) -> str:
        return " ".join(self._random.choices(self._vocabulary, k=count))

    def number(self) -> float:
        """Any of a wide range, with two decimals."""
        return round(self._random.uniform(-1e6, 1e6), 2)


def noise_jpeg(seed: int, width: int, height: int, quality: int = 85) -> bytes:
    """A picture of noise: as large as a photograph of that size can be."""
    return encode(noise(seed, width, height), "JPEG", quality=quality)


def noise(seed: int, width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), random.Random(seed).randbytes(3 * width * height))


def encode(image: Image.Image, kind: str, *, quality: int = 85) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, quality=quality)
    return buffer.getvalue()
