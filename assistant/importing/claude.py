"""Claude's export (Settings → Privacy): conversations with their `chat_messages`, what was extracted from files, and what it remembered."""

import io
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import PurePosixPath

from assistant.contracts.util import display_name
from assistant.importing.exports import MOST_MESSAGES, ConversationsExport, first_id, title_of
from assistant.importing.reading import Unreadable, list_of, object_of, text_of, time_of
from assistant.importing.source import FoundFile, FoundMemory, FoundMessage, FoundSession
from assistant.importing.statements import statements_of


class ClaudeExport(ConversationsExport):
    name = "claude"

    def session_id(self, value: Mapping[str, object]) -> str:
        return first_id(value, "uuid")

    def session(self, value: Mapping[str, object], id: str, what: str) -> FoundSession | None:
        said = list_of(value.get("chat_messages"))
        if len(said) > MOST_MESSAGES:
            self.skips.add(what, f"has more than {MOST_MESSAGES:,} messages; the oldest are left out")
        messages = [message for each in said[-MOST_MESSAGES:] if (message := self._message(object_of(each), what))]
        return FoundSession(id=id, title=title_of(value.get("name")), at=time_of(value.get("created_at")), messages=tuple(messages))

    def memories(self) -> Iterator[FoundMemory]:
        for name, file in self.archive.files.items():
            if PurePosixPath(name).name != "memories.json":
                continue
            for value in self.values(file):
                if isinstance(value, Unreadable):
                    self.skips.add(name, str(value))
                    continue
                kept = object_of(value)
                for text in (kept.get("conversations_memory"), *object_of(kept.get("project_memories")).values()):
                    yield from (FoundMemory(text=statement) for statement in statements_of(text_of(text)))

    def _message(self, value: Mapping[str, object], what: str) -> FoundMessage | None:
        id, sender = first_id(value, "uuid"), value.get("sender")
        if not id or sender not in ("human", "assistant"):
            return None
        spoken = [text_of(part.get("text")) for part in map(object_of, list_of(value.get("content"))) if part.get("type") == "text"]
        text = "\n\n".join(filter(str.strip, spoken)) or text_of(value.get("text"))
        files: list[FoundFile] = []
        for attachment in map(object_of, list_of(value.get("attachments"))):
            name, extracted = text_of(attachment.get("file_name"), 1_000), text_of(attachment.get("extracted_content"), 4_000_000)
            if extracted.strip():
                files.append(_text_file(display_name(name, "attachment"), extracted))
        for file in map(object_of, list_of(value.get("files"))):
            self.skips.add(what, f"the export has no file {display_name(text_of(file.get('file_name'), 1_000), 'file')}")
        if not text.strip() and not files:
            return None
        at = time_of(value.get("created_at"))
        return FoundMessage(id=id, role="user" if sender == "human" else "assistant", at=at, text=text, files=tuple(files))


def _text_file(name: str, text: str) -> FoundFile:
    """The text of a file, as the export has it in place of the file."""
    data = text.encode()
    shown = name if name.lower().endswith((".txt", ".md", ".csv")) else f"{name}.txt"
    return FoundFile(name=shown, size=len(data), open=lambda: nullcontext(io.BytesIO(data)))
