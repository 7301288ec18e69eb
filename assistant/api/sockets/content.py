"""The content of a message over a socket: words, and files as base64 or, in MessagePack, as they are."""

import asyncio

from assistant.api.body.spool import Spool
from assistant.api.chat.content import take_in_part
from assistant.api.chat.wire import FileData, FilePart, ImagePart, ImageUrl, TextPart
from assistant.api.settings import ApiLimits
from assistant.api.sockets.wire import SocketContent, SocketFile, SocketFilePart, SocketImage, SocketPart
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.names import display_name
from assistant.contracts.turns import Upload, Words


async def take_in(content: SocketContent, spool: Spool, limits: ApiLimits) -> tuple[Words | Upload, ...]:
    """Words as they are, files onto the disk, in order. Raises InvalidRequest and its kin, each with the part's path."""
    parts = [TextPart(type="text", text=content)] if isinstance(content, str) else content
    taken = tuple([await _part(part, f"content.{index}", index, spool, limits) for index, part in enumerate(parts)])
    if not any(isinstance(part, Upload) or part.text.strip() for part in taken):
        raise InvalidRequest("The message is empty: it needs text or a file.", param="content")
    return taken


async def _part(part: SocketPart, at: str, index: int, spool: Spool, limits: ApiLimits) -> Words | Upload:
    if isinstance(part, TextPart):
        return await take_in_part(part, at, index, spool, limits)
    if isinstance(part, SocketFilePart):
        if isinstance(part.file.file_data, bytes):
            name = display_name(part.file.filename or "", f"file-{index + 1}")
            return await asyncio.to_thread(_keep, part.file.file_data, name, f"{at}.file.file_data", spool)
        return await take_in_part(_file(part.file), at, index, spool, limits)
    if part.image_url is not None:
        return await take_in_part(ImagePart(type="image_url", image_url=ImageUrl(url=part.image_url.url)), at, index, spool, limits)
    if part.image is None:
        raise InvalidRequest(f"'{at}' holds no image.", param=at)
    return await _image(part.image, at, index, spool, limits)


def _file(file: SocketFile) -> FilePart:
    data = file.file_data if isinstance(file.file_data, str) else None
    return FilePart(type="file", file=FileData(file_data=data, filename=file.filename, file_id=file.file_id))


async def _image(image: SocketImage, at: str, index: int, spool: Spool, limits: ApiLimits) -> Words | Upload:
    if isinstance(image.data, bytes):
        return await asyncio.to_thread(_keep, image.data, f"image-{index + 1}", f"{at}.image.data", spool)
    if image.data is not None:
        file = FileData(file_data=image.data, filename=f"image-{index + 1}")
        return await take_in_part(FilePart(type="file", file=file), at, index, spool, limits)
    return await take_in_part(ImagePart(type="image_url", image_url=ImageUrl(url=image.uri or "")), at, index, spool, limits)


def _keep(data: bytes, name: str, param: str, spool: Spool) -> Upload:
    """Blocks."""
    file = spool.open(name, param)
    file.write(data)
    return file.finish()
