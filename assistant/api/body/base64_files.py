"""Files that came as base64 within JSON: measured before they are decoded, decoded piece by piece onto the disk."""

import binascii
from dataclasses import dataclass

from assistant.api.body.spool import Spool
from assistant.contracts.errors import FileTooLarge, InvalidRequest
from assistant.contracts.messages import human_size
from assistant.contracts.turns import Upload

_PIECE = 256 * 1024
"""Characters decoded at a time: under a millisecond in which nothing else in the process runs."""
_WHITESPACE = b" \t\r\n"
_LONGEST_MEDIA_TYPE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedFile:
    """A file of a JSON body: its base64 is `text` from `start` on (so that nothing is copied)."""

    text: str
    start: int
    name: str
    param: str


def parse_data_url(url: str, param: str) -> tuple[str, int]:
    """(media type, where the base64 begins) of `data:<media type>;base64,…`. Raises InvalidRequest for anything else."""
    comma = url.find(",", 0, _LONGEST_MEDIA_TYPE)
    head = url[5:comma].lower().split(";") if comma >= 0 and url[:5].lower() == "data:" else []
    if "base64" not in head[1:]:
        raise InvalidRequest(f"'{param}' must be a data URL such as data:image/png;base64,iVBORw0…", param=param)
    return head[0].strip(), comma + 1


def decode_to_disk(file: EncodedFile, spool: Spool, limit: int) -> Upload:
    """Blocks: call it in a thread. Raises FileTooLarge (before anything is decoded), InvalidRequest for what is not base64."""
    length = len(file.text) - file.start
    if length // 4 * 3 > limit * 1.05 + 1024:  # base64 may be broken into lines; the exact limit is kept while writing
        raise FileTooLarge(f"'{file.name}' is larger than {human_size(limit)}.", param=file.param)
    spooled = spool.open(file.name, file.param)
    carried = b""
    try:
        for position in range(file.start, len(file.text), _PIECE):
            piece = carried + file.text[position : position + _PIECE].encode("ascii").translate(None, _WHITESPACE)
            whole = len(piece) // 4 * 4
            last = position + _PIECE >= len(file.text)
            carried = b"" if last else piece[whole:]
            spooled.write(binascii.a2b_base64(piece if last else piece[:whole], strict_mode=True))
    except (UnicodeEncodeError, binascii.Error):
        raise InvalidRequest(f"'{file.param}' is not valid base64.", param=file.param) from None
    return spooled.finish()
