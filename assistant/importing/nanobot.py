"""The folder of nanobot-ai (0.3.5 and before): `~/.nanobot`.

`config.json`; `sessions/<workspace>/<key in base64>.jsonl`, a line of metadata, then a message a line; `workspace/` with its memory and
`cron/jobs.json`; `media/` with what people sent. Its configuration's keys are ours as far as we have them.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from assistant.importing.peers import PeerFolder, began, digest_of, settings_of
from assistant.importing.reading import Unreadable, id_of, lines, list_of, object_of, read_value, text_of, time_of
from assistant.importing.source import CannotImport, FoundFile, FoundMessage, FoundSchedule, FoundSession, FoundSettings

_MOST_MESSAGES: Final = 50_000
_MOST_FILES: Final = 20
_STAMP: Final = re.compile(r"\A\[Message Time: [^\]\n]{1,80}\]\n?")
_CONTEXT: Final = re.compile(r"\[Runtime Context[^\]\n]{0,80}\].*", re.DOTALL)
_HIDDEN: Final = ("_hidden_history", "_automation_turn", "_command")
_OF_THE_AGENT: Final = (
    "model",
    "provider",
    "maxTokens",
    "contextWindowTokens",
    "temperature",
    "reasoningEffort",
    "timezone",
    "modelPreset",
)
_OF_A_PROVIDER: Final = ("apiKey", "apiBase", "extraHeaders", "extraBody", "extraQuery", "proxy")


class NanobotFolder(PeerFolder):
    name = "nanobot"

    def __init__(self, path: Path) -> None:
        """Raises CannotImport."""
        super().__init__(path)
        known = ("config.json", "sessions/", "workspace/")
        if not any(name == known[0] or name.startswith(known[1:]) for name in self.archive.files):
            raise CannotImport(f"{path} is no folder of nanobot's: it has no config.json, sessions or workspace. Give ~/.nanobot")
        self._config = self.value("config.json")
        self._defaults = object_of(object_of(self._config.get("agents")).get("defaults"))
        written = text_of(self._defaults.get("workspace"), 1_000)
        if written and "workspace" not in PurePosixPath(written).parts[-1:]:
            self.skips.add(written, f"the workspace lies there, and is left out: copy it to {path}/workspace first")

    def settings(self) -> FoundSettings:
        values: dict[tuple[str, ...], object] = {}
        for key in _OF_THE_AGENT:
            if key != "timezone" or self._defaults.get("timezoneMode") != "auto":
                values["agents", "defaults", key] = self._defaults.get(key)
        for name, provider in object_of(self._config.get("providers")).items():
            for key in _OF_A_PROVIDER:
                values["providers", name, key] = object_of(provider).get(key)
        values["modelPresets",] = self._config.get("modelPresets")
        off: list[str] = []
        for name, channel in object_of(self._config.get("channels")).items():
            settings = object_of(channel)
            if settings.get("enabled") is True:
                off.append(name)
                values["channels", name] = {**settings, "enabled": False}
        servers = object_of(self._config.get("tools")).get("mcpServers") or self._config.get("mcpServers")
        for name, server in object_of(servers).items():
            values["mcp", "servers", name] = {**object_of(server), "enabled": False}
        return settings_of(values, off)

    def schedules(self) -> Iterator[FoundSchedule]:
        local = text_of(self._defaults.get("timezone"), 64)
        for folder in ("workspace/cron", "cron"):
            for id, job in self._jobs(folder).items():
                if found := self.scheduled(job, f"{folder}, job {id}", local=local):
                    yield found

    def _jobs(self, folder: str) -> Mapping[str, Mapping[str, object]]:
        """By id: those of `jobs.json`, with what `action.jsonl` changed since it was written."""
        listed = map(object_of, list_of(self.value(f"{folder}/jobs.json").get("jobs")))
        jobs = {id_of(job.get("id")) or f"{number}": job for number, job in enumerate(listed, 1)}
        name = f"{folder}/action.jsonl"
        changes = self._lines(self.archive.files[name]) if name in self.archive.files else ()
        for number, line in enumerate(changes, 1):
            change = object_of(self._record(line, f"{name}, line {number}"))
            job = object_of(change.get("params"))
            if change.get("action") == "del":
                jobs.pop(id_of(job.get("job_id")), None)
            elif id := id_of(job.get("id")):
                jobs[id] = job
        return jobs

    def sessions(self) -> Iterator[FoundSession]:
        seen: set[str] = set()
        for name, file in self.archive.files.items():
            path = PurePosixPath(name)
            if path.suffix != ".jsonl" or "sessions" not in path.parts[:-1] or ".checkpoint" in path.name:
                continue
            found = self._session(file, path)
            if found is None:
                self.skips.add(name, "has no message that was said or answered")
            elif found.id in seen:
                self.skips.add(name, f"another file has the session {found.id}, too")
            else:
                seen.add(found.id)
                yield found

    def _session(self, file: FoundFile, path: PurePosixPath) -> FoundSession | None:
        about: Mapping[str, object] = {}
        messages: list[FoundMessage] = []
        for number, line in enumerate(self._lines(file), 1):
            record = object_of(self._record(line, f"{file.name}, line {number}"))
            if record.get("_type") == "metadata":
                about = record
            elif message := self._message(record, file.name):
                messages.append(message)
            if len(messages) >= _MOST_MESSAGES:
                self.skips.add(file.name, f"has more than {_MOST_MESSAGES:,} messages; the newest are left out")
                break
        id = id_of(about.get("key")) or _decoded(path.stem)
        at = began([time_of(about.get("created_at")), *[message.at for message in messages]])
        title = text_of(object_of(about.get("metadata")).get("title"), 200) or id
        return FoundSession(id=id, title=title, at=at, messages=tuple(messages)) if id and messages else None

    def _record(self, line: bytes | Unreadable, what: str) -> object:
        try:
            return read_value(line) if isinstance(line, bytes) else self.skips.add(what, str(line))
        except Unreadable as error:
            return self.skips.add(what, str(error))

    def _lines(self, file: FoundFile) -> Iterator[bytes | Unreadable]:
        try:
            with file.open() as stream:
                yield from lines(stream)
        except OSError as error:
            yield Unreadable(f"can't be read ({error.strerror})")
        except ValueError as error:
            yield Unreadable(str(error))

    def _message(self, record: Mapping[str, object], what: str) -> FoundMessage | None:
        role = record.get("role")
        if role not in ("user", "assistant") or any(record.get(mark) for mark in _HIDDEN):
            return None
        content = record.get("content")
        written = text_of(content) or "\n\n".join(filter(None, [text_of(object_of(part).get("text")) for part in list_of(content)]))
        text = _CONTEXT.sub("", _STAMP.sub("", written)).strip() if role == "user" else written.strip()
        files = self._media(record.get("media"), what)
        if not text and not files:
            return None
        stamp = text_of(record.get("timestamp"), 64)
        id = digest_of(role, stamp, text)
        return FoundMessage(id=id, role="user" if role == "user" else "assistant", at=time_of(stamp), text=text, files=files)

    def _media(self, paths: object, what: str) -> tuple[FoundFile, ...]:
        """Files that people sent, which lie in `media` of the folder wherever that was."""
        found: list[FoundFile] = []
        for path in [text_of(each, 4_000) for each in list_of(paths)[:_MOST_FILES]]:
            _, inside, rest = path.replace("\\", "/").rpartition("/media/")
            file = self.archive.files.get(f"media/{rest}") if inside else None
            if file is None:
                self.skips.add(what, f"{PurePosixPath(path).name or 'a file'} of a message is not there any more")
            else:
                found.append(file)
        return tuple(found)


def _decoded(stem: str) -> str:
    """The session's key that a file is named after; of an older file, its name."""
    try:
        return id_of(base64.urlsafe_b64decode(stem + "=" * (-len(stem) % 4)).decode()) or id_of(stem)
    except ValueError:
        return id_of(stem)
