"""Exports as ChatGPT and Claude make them, small enough to read."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

BEGAN = 1_700_000_000.0


def picture() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(made, "PNG")
    return made.getvalue()


def said(
    role: str, text: str, at: float, *, assets: list[str] | None = None, names: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """A message of ChatGPT's. `assets`: pictures in it; `names`: files by their ids."""
    parts: list[Any] = [{"content_type": "image_asset_pointer", "asset_pointer": f"file-service://{id}"} for id in assets or []]
    return {
        "id": f"m-{at:.0f}",
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": at,
        "content": {"content_type": "multimodal_text" if parts else "text", "parts": [*parts, text]},
        "recipient": "all",
        "metadata": {"model_slug": "gpt-4o", "attachments": [{"id": id, "name": name} for id, name in (names or {}).items()]},
        **more,
    }


def conversation(id: str, title: str, *messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A conversation of ChatGPT's: the messages one after the other, behind the empty root that every one has."""
    mapping: dict[str, Any] = {"root": {"id": "root", "message": None, "parent": None, "children": []}}
    last = "root"
    for message in messages:
        mapping[last]["children"].append(message["id"])
        mapping[message["id"]] = {"id": message["id"], "message": message, "parent": last, "children": []}
        last = message["id"]
    return {"title": title, "create_time": BEGAN, "mapping": mapping, "current_node": last, "conversation_id": id, "id": id, **more}


def trip() -> dict[str, Any]:
    """One with a hidden instruction, a picture, a text file, a call of a tool, and a branch that was given up."""
    made = conversation(
        "c-rome",
        "A week in Rome",
        said("system", "", BEGAN, metadata={"is_visually_hidden_from_conversation": True}),
        said("user", "Where did I take this?", BEGAN + 10, assets=["file-PIC1"], names={"file-TXT2": "notes.txt"}),
        said("assistant", "search('fountain')", BEGAN + 11, recipient="browser"),
        said("tool", "a page about fountains", BEGAN + 12),
        said("assistant", "That is the Fontana di Trevi.", BEGAN + 13),
    )
    made["mapping"]["given-up"] = {"id": "given-up", "parent": "root", "children": [], "message": said("user", "Never mind", BEGAN + 5)}
    return made


def chatgpt_zip(path: Path, *conversations: Any, more: Mapping[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps(list(conversations)))
        archive.writestr("chat.html", "<html>")
        for name, data in (more or {}).items():
            archive.writestr(name, data)
    return path


def trip_zip(path: Path, *further: Any) -> Path:
    more = {"file-PIC1-fountain.png": picture(), "file-TXT2-notes.txt": b"Bring the blue umbrella."}
    return chatgpt_zip(path, trip(), *further, more=more)


def claude_zip(path: Path) -> Path:
    conversations: list[dict[str, Any]] = [
        {
            "uuid": "u-soup",
            "name": "Soup for six",
            "created_at": "2025-03-01T10:00:00.000000Z",
            "chat_messages": [
                {
                    "uuid": "s-1",
                    "sender": "human",
                    "text": "What can I cook?",
                    "content": [{"type": "text", "text": "What can I cook?"}],
                    "created_at": "2025-03-01T10:00:01Z",
                    "attachments": [{"file_name": "pantry.pdf", "file_size": 9, "extracted_content": "Leeks, potatoes, thyme."}],
                    "files": [{"file_name": "photo.jpg"}],
                },
                {
                    "uuid": "s-2",
                    "sender": "assistant",
                    "text": "thinking… Leek soup.",
                    "content": [{"type": "thinking", "thinking": "leeks"}, {"type": "text", "text": "Leek soup."}],
                    "created_at": "2025-03-01T10:00:05Z",
                },
            ],
        },
        {"uuid": "u-empty", "name": "", "created_at": "2025-03-02T10:00:00Z", "chat_messages": []},
    ]
    memory = "**Work**\n\nAda lives in Lisbon and keeps bees.\n\n- Prefers metric units\n- [ ] Is allergic to hazelnuts\n- Name:\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/conversations.json", json.dumps(conversations))
        archive.writestr("data/memories.json", json.dumps([{"conversations_memory": memory, "account_uuid": "a"}]))
    return path
