"""Rich text (RTF)."""

from striprtf.striprtf import rtf_to_text

from assistant.contracts.documents import ReadDocument
from assistant.documents.draft import Draft
from assistant.documents.limits import Limits
from assistant.documents.refusals import damaged


def read(data: bytes, name: str, limits: Limits) -> ReadDocument:
    """Its paragraphs, with table rows as lines with bars."""
    try:
        text = rtf_to_text(data.decode("latin-1"), errors="replace")
    except (ValueError, KeyError, IndexError, LookupError) as error:
        raise damaged("an RTF document") from error
    draft = Draft(limits.text_chars)
    for block in text.split("\n\n"):
        draft.add(block)
    return draft.finish(name)
