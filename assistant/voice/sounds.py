"""What a recording is and how long it is, by its own bytes; pure, and cheap for any size."""

import re
from pathlib import Path
from typing import BinaryIO, Final

_MAGIC: Final = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"OggS\0", "ogg"),
        (rb"ID3[\x02-\x04]|\xff[\xfb\xf3\xf2]", "mp3"),
        (rb"\xff[\xf1\xf9]", "aac"),
        (rb"RIFF....WAVE", "wav"),
        (rb"fLaC\0", "flac"),
        (rb"\0...ftypM4[AB]", "m4a"),
        (rb"\0...ftyp(?:isom|iso[2-6]|mp4[12]|avc1|3gp|qt  |MSNV|dash)", "mp4"),
        (rb"\x1aE\xdf\xa3", "webm"),
        (rb"#!AMR(?:-WB)?\n", "amr"),
        (rb"FORM....AIF[FC]", "aiff"),
        (rb"caff\0\x01", "caf"),
    )
)
DEMUXERS: Final = {"m4a": "mov", "mp4": "mov", "webm": "matroska"}
"""Where ffmpeg calls a kind otherwise."""
_OPUS_RATE: Final = 48_000
_TAIL: Final = 128 * 1024
"""Bytes in which the last page of an Ogg file begins: a page has at most 65,307."""


def kind_of(head: bytes) -> str:
    """What a file is that begins with these bytes; empty: no sound that is known."""
    return next((kind for magic, kind in _MAGIC if magic.match(head)), "")


def seconds_of(path: Path, kind: str) -> float | None:
    """How long a recording is, as its own bytes say; None: they do not, or only at a cost. Blocks."""
    with path.open("rb") as file:
        try:
            return _ogg(file) if kind == "ogg" else _wav(file) if kind == "wav" else None
        except (IndexError, ValueError, ZeroDivisionError):
            return None


def _ogg(file: BinaryIO) -> float | None:
    """By the position of the last page (RFC 3533, 6); of Opus in 48ths of a millisecond, whatever was recorded (RFC 7845, 4)."""
    head = file.read(4_096)
    opus = b"OpusHead" in head
    vorbis = head.find(b"\x01vorbis")
    rate = _OPUS_RATE if opus else int.from_bytes(head[vorbis + 12 : vorbis + 16], "little") if vorbis >= 0 else 0
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    last = tail.rfind(b"OggS\0")
    position = int.from_bytes(tail[last + 6 : last + 14], "little", signed=True)
    return position / rate if last >= 0 and position >= 0 else None


def _wav(file: BinaryIO) -> float | None:
    """By its rate and its bytes: the length in its head is made up where it was recorded into a pipe."""
    head = file.read(4_096)
    at = head.index(b"fmt ")
    per_second = int.from_bytes(head[at + 16 : at + 20], "little")
    start = head.index(b"data", at) + 8
    return max(0, file.seek(0, 2) - start) / per_second
