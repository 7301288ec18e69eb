"""Files of a platform: what the assistant learns about them, and the words for those that are too large."""

import re
from collections.abc import Mapping
from typing import Any, Final

from assistant.contracts.channels import SendRefused
from assistant.contracts.inbox import FileKind, InboundFile
from assistant.contracts.util import display_name

_KINDS: Final[Mapping[str, FileKind]] = {"image": "image", "audio": "audio", "video": "video"}
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}", re.ASCII)
_LARGEST: Final = 1 << 45


def inbound_file(
    name: str, ref: str, *, media_type: str = "", size: Any = None, kind: FileKind | None = None, usual: str = "file"
) -> InboundFile:
    """A file as a platform tells of it, whatever it tells. Empty: it tells none. `size`: None also where it is no number of bytes. `kind`: None: by
    the media type. `usual`: the name where there is none."""
    plain = media_type.partition(";")[0].strip().lower()
    known = plain if _MEDIA_TYPE.fullmatch(plain) else "application/octet-stream"
    counted = isinstance(size, int) and not isinstance(size, bool) and 0 <= size < _LARGEST
    return InboundFile(
        name=display_name(name or usual, usual),
        kind=kind or _KINDS.get(known.partition("/")[0], "document"),
        media_type=known,
        size=size if counted else None,
        ref=ref,
    )


def size_of_limit(most_bytes: int) -> str:
    """A limit for people, of whole MiB or MB as the platforms say it ("10 MB"), else of bytes."""
    whole = next((most_bytes // unit for unit in (1 << 20, 1_000_000) if most_bytes and most_bytes % unit == 0), 0)
    return f"{whole} MB" if whole else f"{most_bytes:,} bytes"


def too_large(most_bytes: int) -> SendRefused:
    return SendRefused("too_large", f"The file is larger than {size_of_limit(most_bytes)}.")
