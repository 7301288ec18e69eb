"""Sounds made of a few lines: their heads and lengths are true, and there is nothing to be heard in them."""

import io
import math
import struct
import wave


def opus(seconds: float, *, salt: bytes = b"") -> bytes:
    """OGG/Opus (RFC 7845) without checksums. `salt`: makes it another file."""
    head = b"OpusHead\x01\x01" + struct.pack("<HIhB", 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 4) + b"test" + struct.pack("<I", 0)
    sound = b"\xfc\xff\xfe" + salt
    pages = [(head, 0, 2), (tags, 0, 0), (sound, round(seconds * 48_000), 4)]
    return b"".join(_page(data, position, flags, number) for number, (data, position, flags) in enumerate(pages))


def _page(data: bytes, position: int, flags: int, number: int) -> bytes:
    return b"OggS\0" + struct.pack("<BqIIIBB", flags, position, 1, number, 0, 1, len(data)) + data


def wav(seconds: float, *, rate: int = 8_000) -> bytes:
    """A tone that ffmpeg and every player take."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", int(9_000 * math.sin(i / 5))) for i in range(int(seconds * rate))))
    return written.getvalue()
