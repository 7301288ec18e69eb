"""What the exports of ChatGPT and Claude have in common: `conversations.json` in a zip file, in a folder, or alone."""

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from assistant.importing.archive import Archive
from assistant.importing.reading import Unreadable, elements, id_of, object_of, read_value, text_of
from assistant.importing.source import CannotImport, FoundFile, FoundSession, Source

_CONVERSATIONS: Final = re.compile(r"(?:.*/)?conversations(?:[-_]\d+)?\.json", re.IGNORECASE)
MOST_MESSAGES: Final = 50_000
"""Of a session."""


class ConversationsExport(Source):
    """An array of conversations, read one by one."""

    def __init__(self, path: Path) -> None:
        """Raises CannotImport."""
        super().__init__()
        self.archive = Archive(path, self.skips)
        found = sorted(name for name in self.archive.files if _CONVERSATIONS.fullmatch(name))
        if not found and len(self.archive.files) == 1 and path.suffix.lower() == ".json":
            found = list(self.archive.files)
        if not found:
            raise CannotImport(f"{path} holds no conversations.json: give the export as it was downloaded, or its folder")
        self._conversations = [self.archive.files[name] for name in found]

    def sessions(self) -> Iterator[FoundSession]:
        for file in self._conversations:
            for number, value in enumerate(self.values(file), 1):
                what = f"{file.name}, conversation {number}"
                if isinstance(value, Unreadable):
                    self.skips.add(what, str(value))
                elif found := self._checked(value, what):
                    yield found

    def values(self, file: FoundFile) -> Iterator[object]:
        """The objects in a file's array; Unreadable for each that can't be read, and for the rest where the file breaks off."""
        try:
            with file.open() as stream:
                for data in elements(stream):
                    try:
                        yield data if isinstance(data, Unreadable) else read_value(data)
                    except Unreadable as error:
                        yield error
        except OSError as error:
            yield Unreadable(f"can't be read ({error.strerror})")
        except ValueError as error:
            yield Unreadable(str(error))

    def close(self) -> None:
        self.archive.close()

    @abstractmethod
    def session(self, value: Mapping[str, object], id: str, what: str) -> FoundSession | None:
        """A conversation; None where it has no message. Raises nothing, whatever it holds."""

    @abstractmethod
    def session_id(self, value: Mapping[str, object]) -> str: ...

    def _checked(self, value: object, what: str) -> FoundSession | None:
        conversation = object_of(value)
        id = self.session_id(conversation)
        if not id:
            self.skips.add(what, "has no id: it is no conversation")
            return None
        found = self.session(conversation, id, what)
        if found is None or not found.messages:
            self.skips.add(what, "has no message that was said or answered")
            return None
        return found


def first_id(value: Mapping[str, object], *names: str) -> str:
    return next((id for name in names if (id := id_of(value.get(name)))), "")


def title_of(value: object) -> str:
    return " ".join(text_of(value, 200).split())
