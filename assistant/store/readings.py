"""What was read in a file ↔ the JSON beside it."""

from typing import Any

import orjson

from assistant.contracts.documents import ReadDocument, ReadImage, Section

READER_VERSION = 1
"""Raise it when a reader finds more in the same bytes than it did: earlier readings are then made anew when the file is sent again."""


def encode_reading(reading: ReadDocument | ReadImage) -> bytes:
    """The JSON of all but an image's bytes."""
    if isinstance(reading, ReadDocument):
        return orjson.dumps({"version": READER_VERSION, "kind": "document", "document": reading})
    image = {"media_type": reading.media_type, "width": reading.width, "height": reading.height, "original": reading.original}
    return orjson.dumps({"version": READER_VERSION, "kind": "image", "image": image})


def is_current(stored: bytes) -> bool:
    """Whether today's readers made it."""
    return orjson.loads(stored)["version"] == READER_VERSION


def decode_document(stored: bytes) -> ReadDocument | None:
    """The document of any version; None: it is an image's."""
    raw: dict[str, Any] | None = orjson.loads(stored).get("document")
    if raw is None:
        return None
    sections = tuple(Section(label=section["label"], start=section["start"]) for section in raw["sections"])
    return ReadDocument(format=raw["format"], text=raw["text"], sections=sections, facts=tuple(raw["facts"]), missing=raw["missing"])


def decode_image(stored: bytes, data: bytes) -> ReadImage | None:
    """The image of any version; None: it is a document's."""
    raw: dict[str, Any] | None = orjson.loads(stored).get("image")
    return ReadImage(**raw, data=data) if raw is not None else None
