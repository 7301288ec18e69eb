"""The content of a user's message in JSON: its words, and the files within it."""

import asyncio
from collections.abc import Sequence

from assistant.api.body.base64_files import EncodedFile, decode_to_disk, parse_data_url
from assistant.api.body.spool import Spool
from assistant.api.chat.wire import ContentPart, FilePart, ImagePart, TextPart
from assistant.api.settings import ApiLimits
from assistant.contracts.errors import InvalidRequest, UnsupportedContent
from assistant.contracts.names import display_name
from assistant.contracts.turns import Upload, Words

_SUFFIXES = {"jpeg": "jpg", "svg+xml": "svg", "plain": "txt", "markdown": "md", "x-yaml": "yaml"}


async def take_in(content: str | Sequence[ContentPart] | None, param: str, spool: Spool, limits: ApiLimits) -> tuple[Words | Upload, ...]:
    """Words as they are, files onto the disk, in order. Raises InvalidRequest and its kin, each with the part's path."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (Words(text=content),)
    return tuple([await take_in_part(part, f"{param}.{index}", index, spool, limits) for index, part in enumerate(content)])


async def take_in_part(part: ContentPart, at: str, index: int, spool: Spool, limits: ApiLimits) -> Words | Upload:
    """One of them, whose path is `at`."""
    if isinstance(part, TextPart):
        return Words(text=part.text)
    if isinstance(part, FilePart) and part.file.file_id is not None:
        return await _named(part.file.file_id, part, at, spool)
    file = _image(part, at, index) if isinstance(part, ImagePart) else _file(part, at, index)
    return await asyncio.to_thread(decode_to_disk, file, spool, limits.file_bytes)


def words_only(content: str | Sequence[ContentPart] | None, param: str) -> str:
    """The text of a system or developer message. Raises UnsupportedContent for one with files."""
    if content is None or isinstance(content, str):
        return content or ""
    for index, part in enumerate(content):
        if not isinstance(part, TextPart):
            raise UnsupportedContent("Only a user message may hold images or files.", param=f"{param}.{index}.type")
    return "\n".join([part.text for part in content if isinstance(part, TextPart)])


def _image(part: ImagePart, at: str, index: int) -> EncodedFile:
    return encoded_image(part.image_url.url, f"{at}.image_url.url", index)


def encoded_image(url: str, param: str, index: int) -> EncodedFile:
    """A picture by its data URL; `index`: the part's place, which names it. Raises UnsupportedContent, InvalidRequest."""
    if url[:8].lower().startswith(("http://", "https://")):
        raise UnsupportedContent("Images are not fetched from the web: send the image itself, as a data URL.", param=param)
    media_type, start = parse_data_url(url, param)
    return EncodedFile(text=url, start=start, name=f"image-{index + 1}{_suffix(media_type)}", param=param)


async def _named(file_id: str, part: FilePart, at: str, spool: Spool) -> Upload:
    if part.file.file_data is not None:
        raise InvalidRequest("Send the file's id or the file itself, not both.", param=f"{at}.file.file_id")
    return await spool.take_named(file_id, f"{at}.file.file_id")


def _file(part: FilePart, at: str, index: int) -> EncodedFile:
    return encoded_file(part.file.file_data, part.file.filename, f"{at}.file.file_data", index)


def encoded_file(data: str | None, filename: str | None, param: str, index: int) -> EncodedFile:
    """A file by its data URL or its base64; `index`: the part's place, which names it where nothing else does. Raises InvalidRequest."""
    if data is None:
        raise InvalidRequest(f"'{param}' is missing.", param=param)
    media_type, start = parse_data_url(data, param) if data[:5].lower() == "data:" else ("", 0)
    name = display_name(filename or "", f"file-{index + 1}{_suffix(media_type)}")
    return EncodedFile(text=data, start=start, name=name, param=param)


def _suffix(media_type: str) -> str:
    """A name's end for a file that came without a name: display only, the file's own bytes say what it is."""
    kind = media_type.rpartition("/")[2]
    suffix = _SUFFIXES.get(kind, kind)
    return f".{suffix}" if suffix.isalnum() and len(suffix) <= 5 else ""
