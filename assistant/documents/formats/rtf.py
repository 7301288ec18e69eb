"""Rich text (RTF)."""

from typing import cast

from striprtf.striprtf import rtf_to_text  # pyright: ignore[reportUnknownVariableType] - it has no types

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.draft import Draft
from assistant.documents.limits import Limits


def read(data: bytes, name: str, limits: Limits) -> ReadDocument:
    """Its paragraphs, with table rows as lines with bars."""
    text = cast("str", rtf_to_text(data.decode("latin-1"), errors="replace"))
    draft = Draft(limits.text_chars)
    for block in text.split("\n\n"):
        draft.add(block)
    return draft.finish(name)
