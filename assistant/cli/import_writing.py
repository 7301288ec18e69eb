"""What `nanobot import` found, counted and written: each thing once, however often it is imported."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from assistant.app.schedules import open_later
from assistant.config import ConfigError, Loaded
from assistant.config.aliases import without_effect
from assistant.config.changes import ConfigChanges, previewed, write_changes
from assistant.config.extensions import ConfiguredChannels
from assistant.config.file import read_file
from assistant.contracts.addresses import Address, parse_address
from assistant.contracts.documents import DocumentReader, ReadImage
from assistant.contracts.errors import InvalidAddress, NanobotError
from assistant.contracts.messages import AssistantMessage, Image, Json, Part, Text, UserMessage
from assistant.contracts.schedules import NewSchedule, ScheduleNotFound
from assistant.contracts.statements import normal
from assistant.contracts.turns import Upload
from assistant.contracts.util import derived_id, display_name, utc_now
from assistant.importing.source import FoundFile, FoundMessage, FoundSchedule, FoundSession, Source
from assistant.store.imported import ImportedMessage, mark_of
from assistant.store.store import Store
from assistant.turns.intake import document_parts

MOST_FILE_BYTES: Final = 50 * 1024 * 1024
_DOCUMENT_CHARS: Final = 20_000
"""Of a document in a message; all of it can be read by its attachment."""
_SESSION: Final = "api:"
"""Before the key of a session: it goes on as `session_id` over the API, or by `nanobot chat --session`."""
_AT_ONCE: Final = 32
"""Sessions that are written in one transaction."""
_BLOCK: Final = 1 << 20


@dataclass(slots=True)
class Counts:
    """What there is of a kind, and how much of it is new here."""

    found: int = 0
    new: int = 0

    def add(self, more: "Counts") -> None:
        self.found += more.found
        self.new += more.new

    def count(self, *, new: bool) -> None:
        self.found += 1
        self.new += new


@dataclass(slots=True)
class ImportPlan:
    sessions: Counts = field(default_factory=Counts)
    messages: Counts = field(default_factory=Counts)
    attachments: Counts = field(default_factory=Counts)
    memories: Counts = field(default_factory=Counts)
    schedules: Counts = field(default_factory=Counts)
    files: Counts = field(default_factory=Counts)
    settings: Counts = field(default_factory=Counts)

    def rows(self) -> list[tuple[str, str, str]]:
        kinds = {name.replace("files", "workspace files"): getattr(self, name) for name in self.__dataclass_fields__}
        return [(name, f"{counts.found:,}", f"{counts.new:,}") for name, counts in kinds.items() if counts.found]

    @property
    def anything(self) -> bool:
        return any(getattr(self, name).new for name in self.__dataclass_fields__)


class Importer:
    """Writes what a source has for one person. `skips` of the source says what could not be. Raises StoreUnavailable."""

    def __init__(self, loaded: Loaded, store: Store, source: Source, owner: str, *, reader: DocumentReader, workspace: Path) -> None:
        """`workspace`: the person's own folder, which need not exist yet."""
        self._loaded = loaded
        self._store = store
        self._source = source
        self._owner = owner
        self._reader = reader
        self._files = workspace / "imported" / source.name
        self._suggested = loaded.home / "imported" / f"{source.name}-memories.jsonl"
        self._channels = ConfiguredChannels(loaded.config.channels.by_name())
        self._book = open_later(store, self._channels, store.people).book

    async def plan(self, step: Callable[[], object]) -> ImportPlan:
        """Look through everything. `step` is called after each session."""
        plan = ImportPlan()
        for session in self._source.sessions():
            known = await self._store.imported.known(self._owner, self._key(session))
            new = [message for message in session.messages if self._mark(session, message) not in known]
            plan.sessions.count(new=not known)
            plan.messages = Counts(plan.messages.found + len(session.messages), plan.messages.new + len(new))
            for message in session.messages:
                for _ in message.files:
                    plan.attachments.count(new=message in new)
            step()
        suggestions, found = await self._suggestions()
        plan.memories = Counts(found, len(suggestions))
        for schedule in self._source.schedules():
            plan.schedules.count(new=not await self._has(schedule))
        for path, _ in self._source.files():
            plan.files.count(new=not (self._files / path).exists())
        plan.settings = Counts(len(self._source.settings().values), len(self.changes().values))
        return plan

    async def sessions(self, step: Callable[[], object]) -> Counts:
        """(sessions that gained messages, messages)"""
        done = Counts()
        with TemporaryDirectory(prefix="nanobot-import-") as folder:
            writing: list[tuple[str, Awaitable[int]]] = []
            for session in self._source.sessions():
                key = self._key(session)
                if made := await self._made(session, await self._store.imported.known(self._owner, key), Path(folder)):
                    writing.append((key, self._store.imported.add(self._owner, key, made)))
                if len(writing) == _AT_ONCE:
                    done.add(await self._written(writing))
                    writing.clear()
                step()
            done.add(await self._written(writing))
        return done

    async def _written(self, writing: Sequence[tuple[str, Awaitable[int]]]) -> Counts:
        """Sessions that share a commit."""
        added = await asyncio.gather(*[each for _, each in writing])
        for (key, _), count in zip(writing, added, strict=True):
            if not count:
                self._source.skips.add(key, "went on here; its new messages are left out")
        return Counts(sum(map(bool, added)), sum(added))

    async def schedules(self) -> int:
        """Paused: the person sets each going (`nanobot schedule resume`)."""
        done = 0
        for found in self._source.schedules():
            if await self._has(found):
                continue
            new = NewSchedule(
                owner=self._owner,
                kind="ask",
                rule=found.rule,
                zone=found.zone or (await self._store.people.zone(self._owner)).key,
                text=found.text,
                address=self._address(found.to),
                provenance="file",
                turn_id=self._schedule_mark(found),
            )
            try:
                made = await self._book.add(new)
                await self._book.pause(self._owner, made.id)
                done += 1
            except NanobotError as error:
                self._source.skips.add(f"schedule {found.id}", error.message)
        return done

    async def memories(self) -> tuple[Path, int]:
        """Add to the suggestions; (the file that `nanobot memory import` reads, how many are new in it)"""
        suggestions, _ = await self._suggestions()
        self._suggested.parent.mkdir(mode=0o700, exist_ok=True)
        with self._suggested.open("ab") as file:
            file.writelines(orjson.dumps(each) + b"\n" for each in suggestions)
        return self._suggested, len(suggestions)

    def files(self) -> int:
        done = 0
        for path, file in self._source.files():
            target = self._files / path
            if target.exists():
                continue
            part = target.with_name(f".{target.name[:200]}.part")
            try:
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with part.open("xb") as copy:
                    self._copy(file, copy.write)
                part.replace(target)
                done += 1
            except (OSError, ValueError) as error:
                self._source.skips.add(file.name, str(error))
            finally:
                with suppress(OSError):
                    part.unlink()
        return done

    def changes(self) -> ConfigChanges:
        """The settings that nothing is said of here yet, as far as they are valid here."""
        found = self._source.settings()
        here = read_file(self._loaded.source) if self._loaded.source is not None else {}
        values = {path: value for path, value in found.values.items() if not _is_set(here, path) and _has_effect(path, value)}
        changes = ConfigChanges(values)
        while changes:
            used = orjson.dumps(list(changes.values.values())).decode()
            changes.secrets = {name: value for name, value in found.secrets.items() if f"${{{name}}}" in used}
            try:
                previewed(changes, self._loaded, os.environ)
                break
            except ConfigError as error:
                wrong = {path for path in changes.values for problem in error.problems if _meet(path, problem.path)} or set(changes.values)
                for path in wrong:
                    del changes.values[path]
                    self._source.skips.add(".".join(path), "not valid here")
        return changes

    def write_settings(self) -> int:
        changes = self.changes()
        if changes:
            self._loaded = write_changes(changes, self._loaded, os.environ)
        return len(changes.values)

    def _key(self, session: FoundSession) -> str:
        return f"{_SESSION}{self._source.name}:{session.id}"

    def _mark(self, session: FoundSession, message: FoundMessage) -> str:
        return mark_of(self._source.name, session.id, message.id)

    async def _made(self, session: FoundSession, known: frozenset[str], folder: Path) -> list[ImportedMessage]:
        """The messages that are new, as they are stored here."""
        made: list[ImportedMessage] = []
        at = session.at or utc_now()
        for place, found in enumerate(session.messages):
            at = found.at or at
            mark = self._mark(session, found)
            if mark in known:
                continue
            parts, held = await self._attached(session, found, folder)
            id = derived_id("msg", mark)
            if found.role == "assistant":
                named = [f"[file: {file.name}]" for file in found.files]
                text = "\n".join(filter(None, [found.text, *named]))
                made.append(
                    ImportedMessage(mark=mark, at=at, message=AssistantMessage(id=id, text=text, model=found.model), attachments=held)
                )
                continue
            title = f'From {self._source.name}, {at:%Y-%m-%d}: "{session.title}"' if place == 0 and session.title else ""
            whence = [Text(text=title, quoted=True, provenance="file")] if title else []
            own = [Text(text=found.text)] if found.text.strip() else []
            message = UserMessage(id=id, parts=(*whence, *own, *parts) or (Text(text="[empty]", quoted=True),))
            made.append(ImportedMessage(mark=mark, at=at, message=message))
        return made

    async def _attached(self, session: FoundSession, found: FoundMessage, folder: Path) -> tuple[list[Part], tuple[str, ...]]:
        """(A message's files as its parts, their attachments)"""
        parts: list[Part] = []
        held: list[str] = []
        for file in found.files:
            path = folder / "file"
            digest, size = sha256(), 0
            try:
                with path.open("wb") as copy:
                    size = self._copy(file, lambda data, copy=copy, digest=digest: (copy.write(data), digest.update(data)))
                upload = Upload(name=display_name(file.name, "file"), path=path, size=size, digest=digest.hexdigest())
                read = await self._reader.read(upload)
                attachment = await self._store.attachments.keep(self._owner, self._key(session), upload, read)
            except (OSError, ValueError) as error:
                self._source.skips.add(f"{self._key(session)}, {file.name}", str(error))
                continue
            except NanobotError as error:
                self._source.skips.add(self._key(session), error.message)
                continue
            held.append(attachment)
            if isinstance(read, ReadImage):
                about: dict[str, Any] = {"width": read.width, "height": read.height, "size": size, "original": read.original}
                parts.append(Image(attachment_id=attachment, name=upload.name, media_type=read.media_type, **about))
            else:
                parts += document_parts(upload, attachment, read, _DOCUMENT_CHARS, 0)
        return parts, tuple(held)

    def _copy(self, file: FoundFile, write: Callable[[bytes], object]) -> int:
        """Raises OSError, ValueError."""
        size = 0
        with file.open() as stream:
            while data := stream.read(_BLOCK):
                size += len(data)
                if size > MOST_FILE_BYTES:
                    raise ValueError(f"is larger than {MOST_FILE_BYTES >> 20} MiB")
                write(data)
        return size

    async def _suggestions(self) -> tuple[Sequence[dict[str, str]], int]:
        """(What is neither remembered nor suggested yet, in the lines of `nanobot memory import`; how many statements there are)"""
        remembered = {normal(each.text) for each in await self._store.memories.list(self._owner, history=True, limit=100_000)}
        lines = self._suggested.read_bytes().splitlines() if self._suggested.exists() else []
        remembered |= {normal(str(orjson.loads(line)["text"])) for line in lines}
        found: dict[str, dict[str, str]] = {}
        for each in self._source.memories():
            seen: datetime = each.at or utc_now()
            line = {"text": each.text, "kind": "fact", "provenance": "file", "seen_at": seen.isoformat()}
            found.setdefault(normal(each.text), line)
        return [line for text, line in found.items() if text not in remembered], len(found)

    def _schedule_mark(self, found: FoundSchedule) -> str:
        return derived_id("turn", "imported", self._source.name, found.id)

    async def _has(self, found: FoundSchedule) -> bool:
        try:
            await self._store.schedules.get(self._owner, derived_id("sch", self._schedule_mark(found), "0"))
        except ScheduleNotFound:
            return False
        return True

    def _address(self, written: str) -> Address | None:
        """The chat, where its channel is here; else the answers go into the schedule's session."""
        try:
            address = self._channels.check(parse_address(written)) if written else None
        except InvalidAddress:
            return None
        return address


def _is_set(here: object, path: Sequence[str]) -> bool:
    """Whether a configuration says something at this path, or at one that it leads through."""
    for name in path:
        if not isinstance(here, dict):
            return True
        if name not in here:
            return False
        here = here[name]  # pyright: ignore[reportUnknownVariableType]
    return True


def _has_effect(path: Sequence[str], value: Json) -> bool:
    for name in reversed(path):
        value = {name: value}
    return isinstance(value, dict) and bool(without_effect(value, frozenset(), {}))


def _meet(path: Sequence[str], wrong: Sequence[str]) -> bool:
    """Whether one of two paths leads through the other."""
    shared = min(len(path), len(wrong))
    return bool(wrong) and tuple(path[:shared]) == tuple(wrong[:shared])
