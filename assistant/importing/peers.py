"""What the folders of nanobot and OpenClaw have in common: a workspace, memory in Markdown, jobs with rules, keys beside their settings."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Final

from assistant.contracts.messages import Json
from assistant.contracts.schedules import At, Cron, Every, Rule
from assistant.importing.archive import Archive, safe_path
from assistant.importing.reading import MOST_BYTES, Unreadable, id_of, list_of, number_of, object_of, read_value, text_of, time_of
from assistant.importing.source import FoundFile, FoundMemory, FoundSchedule, FoundSettings, Source
from assistant.importing.statements import statements_of

_SECRET: Final = re.compile(r"(api_?key|token|secret|password|passwd|encrypt_?key|signing_?key)$", re.IGNORECASE)
_SECRET_SECTIONS: Final = frozenset({"env", "headers", "extraHeaders", "extra_headers"})
_NO_WORD: Final = re.compile(r"[^A-Z0-9]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LEFT_OUT: Final = frozenset({".git", "node_modules", "__pycache__", ".venv", "sessions", "cron", ".nanobot", ".openclaw"})
_MOST_FILES: Final = 5_000
_KEPT_FILES: Final = ("MEMORY.md", "USER.md")
"""Names of the files in which such assistants remember."""


class PeerFolder(Source):
    """The state's folder of another assistant, or a zip file of it."""

    def __init__(self, path: Path) -> None:
        """Raises CannotImport."""
        super().__init__()
        self.archive = Archive(path, self.skips)

    def close(self) -> None:
        self.archive.close()

    def workspaces(self) -> Sequence[str]:
        """The folders of workspaces in the source."""
        return ("workspace",)

    def files(self) -> Iterator[tuple[PurePosixPath, FoundFile]]:
        count = 0
        for workspace in self.workspaces():
            for name, file in self.archive.below(workspace).items():
                path = safe_path(name if workspace == "workspace" else f"{PurePosixPath(workspace).name}/{name}")
                own = PurePosixPath(name).name.startswith(".") or name.endswith(".lock")
                if path is None or own or _LEFT_OUT & set(PurePosixPath(name).parts[:-1]):
                    continue
                count += 1
                if count > _MOST_FILES:
                    self.skips.add(workspace, f"has more than {_MOST_FILES:,} files; the others are left out")
                    return
                yield path, file

    def memories(self) -> Iterator[FoundMemory]:
        for workspace in self.workspaces():
            inside = self.archive.below(workspace)
            for name in (*_KEPT_FILES, *[f"memory/{name}" for name in _KEPT_FILES]):
                for text in statements_of(self.text(inside[name])) if name in inside else ():
                    yield FoundMemory(text=text)

    def text(self, file: FoundFile) -> str:
        return self.data(file).decode(errors="replace")

    def data(self, file: FoundFile) -> bytes:
        """What a file holds; nothing, and a line, where it can't be read."""
        try:
            with file.open() as stream:
                data = stream.read(MOST_BYTES + 1)
        except OSError as error:
            self.skips.add(file.name, f"can't be read ({error.strerror})")
            return b""
        except ValueError as error:
            self.skips.add(file.name, str(error))
            return b""
        if len(data) > MOST_BYTES:
            self.skips.add(file.name, f"is larger than {MOST_BYTES >> 20} MiB")
            return b""
        return data

    def value(self, name: str) -> Mapping[str, object]:
        """The object of a JSON file; empty where there is none."""
        file = self.archive.files.get(name)
        data = self.data(file) if file is not None else b""
        try:
            return object_of(read_value(data)) if data else {}
        except Unreadable as error:
            self.skips.add(name, str(error))
            return {}

    def scheduled(self, job: Mapping[str, object], what: str, *, local: str) -> FoundSchedule | None:
        """A job as a schedule. `local`: the zone of times without one."""
        id, payload = id_of(job.get("id")), object_of(job.get("payload"))
        if payload.get("kind") in ("system_event", "heartbeat"):
            return None
        text = text_of(payload.get("message")) or text_of(payload.get("text"))
        when = object_of(job.get("schedule"))
        rule = rule_of(when)
        if not id or not text.strip() or rule is None:
            self.skips.add(what, "has no rule or no words that are understood here")
            return None
        delivery = object_of(job.get("delivery"))
        channel, to = "", ""
        for where, of_channel, of_chat in (
            (payload, "channel", "to"),
            (delivery, "channel", "to"),
            (payload, "originChannel", "originChatId"),
            (payload, "origin_channel", "origin_chat_id"),
        ):
            channel, to = channel or text_of(where.get(of_channel), 50), to or text_of(where.get(of_chat), 200)
        zone = text_of(when.get("tz"), 64) or local
        return FoundSchedule(id=id, rule=rule, zone=zone, text=text, to=f"{channel}:{to}" if channel and to else "")


def rule_of(when: Mapping[str, object]) -> Rule | None:
    """None: it is no rule that there is here."""
    match when.get("kind"):
        case "at":
            at = time_of(next((each for each in map(when.get, ("atMs", "at_ms", "at")) if each is not None), None))
            return None if at is None else At(at=at)
        case "every":
            every = number_of(next((each for each in map(when.get, ("everyMs", "every_ms")) if each is not None), None))
            return Every(seconds=int(every / 1000)) if every and 60_000 <= every < 1e12 else None
        case "cron":
            words = text_of(when.get("expr"), 200).split()
            return Cron(cron=" ".join(words)) if len(words) == 5 else None
        case _:
            return None


def settings_of(values: Mapping[tuple[str, ...], object], off: Sequence[str]) -> FoundSettings:
    """The leaves of these values that say something, and the secrets among them."""
    found: dict[tuple[str, ...], Json] = {}
    secrets: dict[str, str] = {}
    for path, value in values.items():
        for leaf, inner in _leaves(path, value):
            hidden = _SECRET.search(leaf[-1]) or _SECRET_SECTIONS & set(leaf[:-1])
            if not hidden or (isinstance(inner, str) and "${" in inner):
                found[leaf] = inner
            elif isinstance(inner, str | int | float) and not isinstance(inner, bool):
                name = variable_of(leaf)
                secrets[name] = str(inner)
                found[leaf] = f"${{{name}}}"
    return FoundSettings(values=found, secrets=secrets, off=off)


def variable_of(path: Sequence[str]) -> str:
    """The variable of a secret: ("channels", "telegram", "token") is TELEGRAM_TOKEN."""
    words = [_NO_WORD.sub("_", _HUMP.sub("_", name).upper()).strip("_") for name in path[1:]]
    name = "_".join(filter(None, words))[:200]
    return name if name and not name[0].isdigit() else f"IMPORTED_{name}"


def _leaves(path: tuple[str, ...], value: object) -> Iterator[tuple[tuple[str, ...], Json]]:
    if len(path) > 12 or value in (None, "", [], {}):
        return
    for name, inner in object_of(value).items():
        if id_of(name):
            yield from _leaves((*path, name), inner)
    if plain := [each for each in list_of(value) if isinstance(each, str | int | float | bool)]:
        yield path, [text_of(each) if isinstance(each, str) else each for each in plain]
    elif isinstance(value, str):
        yield path, text_of(value, 10_000)
    elif isinstance(value, bool) or number_of(value) is not None:
        yield path, value if isinstance(value, bool | int) else number_of(value)


def digest_of(*parts: str) -> str:
    """By which a message without an id is known again."""
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=16).hexdigest()


def began(times: Sequence[datetime | None]) -> datetime | None:
    return min(filter(None, times), default=None, key=lambda at: at.astimezone(UTC))
