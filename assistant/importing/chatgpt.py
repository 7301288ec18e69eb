"""ChatGPT's export (Settings → Data controls): a tree of messages for each conversation, of which the branch that was last open is taken.

`mapping` holds nodes by id, each with its `parent`; `current_node` is the newest of that branch. Pictures and files lie beside it, their names
beginning with the id by which messages refer to them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from assistant.contracts.util import display_name
from assistant.importing.exports import MOST_MESSAGES, ConversationsExport, first_id, title_of
from assistant.importing.reading import id_of, list_of, number_of, object_of, text_of, time_of
from assistant.importing.source import FoundFile, FoundMessage, FoundSession

_ASSET: Final = re.compile(r"file[-_][A-Za-z0-9]+")
_POINTER: Final = re.compile(r"[a-z-]+://(file[-_][A-Za-z0-9]+)")
_MOST_FILES: Final = 20
"""Of a message."""


class ChatGptExport(ConversationsExport):
    name = "chatgpt"

    def __init__(self, path: Path) -> None:
        """Raises CannotImport."""
        super().__init__(path)
        self._assets = {
            found[0]: file for name, file in self.archive.files.items() if (found := _ASSET.match(PurePosixPath(name).name)) is not None
        }

    def session_id(self, value: Mapping[str, object]) -> str:
        return first_id(value, "conversation_id", "id")

    def session(self, value: Mapping[str, object], id: str, what: str) -> FoundSession | None:
        nodes = object_of(value.get("mapping"))
        branch = _branch(nodes, id_of(value.get("current_node")))
        if len(branch) > MOST_MESSAGES:
            self.skips.add(what, f"has more than {MOST_MESSAGES:,} messages; the oldest are left out")
        messages = [message for node in branch[-MOST_MESSAGES:] if (message := self._message(node, what))]
        if not messages:
            return None
        begun = time_of(value.get("create_time")) or next((message.at for message in messages if message.at), None)
        return FoundSession(id=id, title=title_of(value.get("title")), at=begun, messages=tuple(messages))

    def _message(self, node: Mapping[str, object], what: str) -> FoundMessage | None:
        said = object_of(node.get("message"))
        about = object_of(said.get("metadata"))
        role = object_of(said.get("author")).get("role")
        id = first_id(said, "id") or first_id(node, "id")
        if role not in ("user", "assistant") or not id or about.get("is_visually_hidden_from_conversation") is True:
            return None
        if said.get("recipient") not in (None, "all"):
            return None  # a call of a tool
        content = object_of(said.get("content"))
        texts, assets = _parts(content)
        files = self._files(assets, about, what)
        text = "\n\n".join(texts)
        if not text.strip() and not files:
            return None
        model = text_of(about.get("model_slug"), 100)
        at = time_of(said.get("create_time"))
        return FoundMessage(id=id, role="user" if role == "user" else "assistant", at=at, text=text, files=files, model=model)

    def _files(self, assets: Sequence[str], about: Mapping[str, object], what: str) -> tuple[FoundFile, ...]:
        """What the export has of the files that a message refers to."""
        names: dict[str, str] = {}
        for attachment in map(object_of, list_of(about.get("attachments"))):
            if id := id_of(attachment.get("id")):
                names[id] = text_of(attachment.get("name"), 1_000)
        wanted = list(dict.fromkeys([*assets, *names]))
        found: list[FoundFile] = []
        for id in wanted[:_MOST_FILES]:
            shown = display_name(names.get(id, ""), id)
            file = self._assets.get(id)
            if file is None:
                self.skips.add(what, f"the export has no file {shown}")
            else:
                found.append(replace(file, name=shown if names.get(id) else PurePosixPath(file.name).name))
        return tuple(found)


def _parts(content: Mapping[str, object]) -> tuple[list[str], list[str]]:
    """(texts, ids of pictures and files)"""
    if content.get("content_type") not in ("text", "multimodal_text"):
        return [], []  # thoughts, calls of tools, what a page said
    texts: list[str] = []
    assets: list[str] = []
    for part in list_of(content.get("parts")):
        inner = object_of(part)
        if text := text_of(part) or text_of(inner.get("text")):
            texts.append(text)
        if pointer := _POINTER.match(text_of(inner.get("asset_pointer"), 1_000)):
            assets.append(pointer[1])
    return texts, assets


def _branch(nodes: Mapping[str, object], current: str) -> list[Mapping[str, object]]:
    """The nodes from the first to `current`, by their parents; where that is missing, to the newest one. A circle ends where it closes."""
    if current not in nodes:
        current = max(nodes, key=lambda id: number_of(object_of(object_of(nodes[id]).get("message")).get("create_time")) or 0, default="")
    branch: list[Mapping[str, object]] = []
    seen: set[str] = set()
    while current in nodes and current not in seen:
        seen.add(current)
        node = object_of(nodes[current])
        branch.append(node)
        current = id_of(node.get("parent"))
    return branch[::-1]
