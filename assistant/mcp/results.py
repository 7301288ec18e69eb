"""What a server answers, as the result of a tool."""

from collections.abc import Awaitable, Callable
from typing import Final

import orjson

from assistant.contracts.errors import NanobotError, ToolFailed
from assistant.contracts.messages import Document, Image, Json, human_size
from assistant.contracts.records import record
from assistant.contracts.secrets import Secrets
from assistant.contracts.tools import ToolContext, ToolResult
from assistant.contracts.util import replace_surrogates

KeepFile = Callable[[str, str, str, bytes], Awaitable[Image | Document]]
"""(owner, session, name, bytes) → the file as an attachment of the session, read. Raises NanobotError where it can't be read."""
MOST_TEXT: Final = 2_000_000
"""Characters of all texts of a result."""
_MOST_FILES: Final = 10


@record
class ResultBlock:
    """A part of an answer: a text, or the bytes of a file."""

    text: str = ""
    data: bytes | None = None
    media_type: str = ""
    name: str = ""


@record
class RemoteResult:
    """An answer. `structured`: the same once more, for programs."""

    blocks: tuple[ResultBlock, ...]
    structured: Json = None
    failed: bool = False


async def result_of(answer: RemoteResult, ctx: ToolContext, keep: KeepFile, secrets: Secrets) -> ToolResult:
    """Texts joined, files kept as attachments, pictures shown. Raises ToolFailed with the server's words where it says that the call failed."""
    texts: list[str] = []
    images: list[Image] = []
    files = 0
    for block in answer.blocks:
        if block.data is None:
            texts.append(block.text)
            continue
        files += 1
        if files > _MOST_FILES:
            texts.append(f"[{block.name or 'a file'} is left out: at most {_MOST_FILES} files are kept]")
            continue
        try:
            kept = await keep(ctx.owner, ctx.session, block.name.rpartition("/")[2] or "file", block.data)
        except NanobotError as error:
            texts.append(f"[a file ({block.media_type or 'unknown'}, {human_size(len(block.data))}) can't be read: {error.message}]")
            continue
        if isinstance(kept, Image):
            images.append(kept)
            texts.append(f"[picture {kept.name}, {kept.original}]")
        else:
            texts.append(f'[file {kept.name}, id "{kept.attachment_id}"]\n{kept.text}\n{kept.missing}'.rstrip())
    if answer.structured is not None and not any(block.text.strip() for block in answer.blocks):
        texts.append(orjson.dumps(answer.structured, option=orjson.OPT_INDENT_2).decode())
    text = secrets.hide(replace_surrogates("\n".join(texts)))[:MOST_TEXT]
    if answer.failed:
        raise ToolFailed(f"The tool failed: {text[:4_000] or 'it does not say why'}")
    return ToolResult(text=text or "Done; the tool says nothing.", images=tuple(images))
