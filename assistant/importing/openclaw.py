"""OpenClaw's folder: `~/.openclaw` (of 2026.9 and before).

`openclaw.json` (JSON5); `agents/<agent>/agent/openclaw-agent.sqlite` with the events of each transcript, in older versions
`agents/<agent>/sessions/<session>.jsonl` with the same events; jobs in `state/openclaw.sqlite`, in older versions `cron/jobs.json`; `workspace*/`.
"""

import base64
import binascii
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Final

from assistant.importing.database import Rows
from assistant.importing.peers import PeerFolder, began, digest_of, settings_of
from assistant.importing.reading import Unreadable, id_of, lines, list_of, object_of, read_value, text_of, time_of
from assistant.importing.source import CannotImport, FoundFile, FoundMessage, FoundSchedule, FoundSession, FoundSettings

_CONFIGS: Final = ("openclaw.json", "clawdbot.json", "moltbot.json")
_TRANSCRIPTS: Final = re.compile(r"(?:agents/[^/]+/)?sessions/([^/]+)\.jsonl")
_DATABASES: Final = re.compile(r"agents/[^/]+/agent/openclaw-agent\.sqlite")
_EVENTS: Final = "SELECT session_id, event_json FROM transcript_events ORDER BY session_id, seq"
_JOBS: Final = "SELECT job_id, job_json FROM cron_jobs ORDER BY store_key, sort_order, job_id"
_MOST_EVENTS: Final = 200_000
_MOST_IMAGE: Final = 14_000_000
"""Characters of a picture in a transcript."""
_ID: Final = re.compile(r"(?:[a-z]+:)?(\d{1,20})")
_KEY_VARIABLE: Final = re.compile(r"([A-Z][A-Z0-9]*)_API_KEY")
_TOKENS: Final[Mapping[str, Mapping[str, str]]] = {
    "telegram": {"botToken": "token"},
    "discord": {"token": "token"},
    "slack": {"botToken": "botToken", "appToken": "appToken"},
}
"""By channel: its keys there, and ours."""
_SILENT: Final = frozenset({"NO_REPLY", "HEARTBEAT_OK"})


class OpenClawFolder(PeerFolder):
    name = "openclaw"

    def __init__(self, path: Path) -> None:
        """Raises CannotImport."""
        super().__init__(path)
        if not any(name in _CONFIGS or name.startswith(("agents/", "workspace/", "sessions/")) for name in self.archive.files):
            raise CannotImport(f"{path} is no folder of OpenClaw's: it has no openclaw.json, agents or workspace. Give ~/.openclaw")
        self._config: Mapping[str, object] = next((found for name in _CONFIGS if (found := self._read_config(name))), dict[str, object]())

    def workspaces(self) -> Sequence[str]:
        return sorted({name.split("/")[0] for name in self.archive.files if re.match(r"workspace(-[^/]+)?/", name)})

    def settings(self) -> FoundSettings:
        defaults = object_of(object_of(self._config.get("agents")).get("defaults"))
        model = defaults.get("model")
        values: dict[tuple[str, ...], object] = {
            ("agents", "defaults", "model"): model if isinstance(model, str) else object_of(model).get("primary"),
            ("agents", "defaults", "timezone"): defaults.get("userTimezone"),
        }
        for name, provider in object_of(object_of(self._config.get("models")).get("providers")).items():
            about = object_of(provider)
            values["providers", name, "apiKey"] = about.get("apiKey") if isinstance(about.get("apiKey"), str) else None
            values["providers", name, "apiBase"] = about.get("baseUrl")
        env = object_of(self._config.get("env"))
        for name, value in {**env, **object_of(env.get("vars"))}.items():
            if (of := _KEY_VARIABLE.fullmatch(name)) and isinstance(value, str):
                values.setdefault(("providers", of[1].lower(), "apiKey"), value)
        off: list[str] = []
        for name, channel in object_of(self._config.get("channels")).items():
            about, keys = object_of(channel), _TOKENS.get(name)
            if keys is None:
                self.skips.add(f"channels.{name}", "its keys differ here: nanobot channels add sets one up")
                continue
            ids = [found[1] for each in list_of(about.get("allowFrom")) if (found := _ID.fullmatch(id_of(each)))]
            values["channels", name] = {"enabled": False, "allowFrom": ids, **{ours: about.get(theirs) for theirs, ours in keys.items()}}
            off.append(name)
        return settings_of(values, off)

    def schedules(self) -> Iterator[FoundSchedule]:
        local, seen = text_of(object_of(object_of(self._config.get("agents")).get("defaults")).get("userTimezone"), 64), set[str]()
        for job in [*self._jobs(), *map(object_of, list_of(self.value("cron/jobs.json").get("jobs")))]:
            id = id_of(job.get("id"))
            if id not in seen and (found := self.scheduled(job, f"job {id or '?'}", local=local)):
                seen.add(id)
                yield found

    def sessions(self) -> Iterator[FoundSession]:
        seen: set[str] = set()
        for id, events, what in self._transcripts():
            if id in seen:
                continue
            found = self._session(id, events, what)
            if found is None:
                self.skips.add(what, "has no message that was said or answered")
            else:
                seen.add(id)
                yield found

    def _read_config(self, name: str) -> Mapping[str, object]:
        file = self.archive.files.get(name)
        text = self.text(file) if file is not None else ""
        if not text.strip() or len(text) > 256 * 1024:
            return {}
        try:
            return object_of(read_value(text.encode()))
        except Unreadable:
            pass
        import json5  # noqa: PLC0415 - slow to import, and rarely needed

        try:
            return object_of(json5.loads(text))
        except (ValueError, RecursionError) as error:
            self.skips.add(name, f"is not JSON5 ({str(error)[:100]})")
            return {}

    def _jobs(self) -> Iterator[Mapping[str, object]]:
        with Rows(self.archive, "state/openclaw.sqlite", self.skips) as rows:
            for id, job in rows.read("cron_jobs", _JOBS):
                yield {"id": text_of(_text(id)), **self._parsed(job, f"job {_text(id)}")}

    def _transcripts(self) -> Iterator[tuple[str, Iterator[Mapping[str, object]], str]]:
        """(session, its events in order, where they are)"""
        for name in filter(_DATABASES.fullmatch, self.archive.files):
            with Rows(self.archive, name, self.skips) as rows:
                for id, events in groupby(rows.read("transcript_events", _EVENTS), key=lambda row: _text(row[0])):
                    what = f"{name}, session {id[:80]}"
                    if id_of(id):
                        yield id, (self._event(row[1], what) for row in events), what
        for name, file in self.archive.files.items():
            if found := _TRANSCRIPTS.fullmatch(name):
                yield id_of(found[1]) or digest_of(name), (self._parsed(line, name) for line in self._lines(file)), name

    def _event(self, data: object, what: str) -> Mapping[str, object]:
        if data is None:
            self.skips.add(what, "some of its events are compressed, and are left out")
            return {}
        return self._parsed(data, what)

    def _parsed(self, data: object, what: str) -> Mapping[str, object]:
        try:
            return object_of(read_value(data)) if isinstance(data, bytes) else {}
        except Unreadable as error:
            self.skips.add(what, str(error))
            return {}

    def _lines(self, file: FoundFile) -> Iterator[bytes]:
        try:
            with file.open() as stream:
                for line in lines(stream):
                    if isinstance(line, bytes):
                        yield line
                    else:
                        self.skips.add(file.name, f"a line {line}")
        except (OSError, ValueError) as error:
            self.skips.add(file.name, str(error))

    def _session(self, id: str, events: Iterator[Mapping[str, object]], what: str) -> FoundSession | None:
        parents: dict[str, str] = {}
        said: dict[str, FoundMessage] = {}
        last, title = "", id
        for number, event in enumerate(events):
            if number >= _MOST_EVENTS:
                self.skips.add(what, f"has more than {_MOST_EVENTS:,} events; the newest are left out")
                break
            title = text_of(event.get("displayName"), 200) or title
            own = id_of(event.get("id"))
            message = self._message(event, own, what)
            if event.get("type") == "session" or not (own or message):
                continue
            own = own or (message.id if message else "")
            parents[own] = id_of(event.get("parentId")) or ("" if "parentId" in event else last)
            last = own
            if message:
                said[own] = message
        messages = [said[each] for each in _branch(parents, last) if each in said]
        at = began([message.at for message in messages])
        return FoundSession(id=id, title=title if title != id else "", at=at, messages=tuple(messages)) if messages else None

    def _message(self, event: Mapping[str, object], id: str, what: str) -> FoundMessage | None:
        message = object_of(event.get("message"))
        role = message.get("role")
        if event.get("type") not in (None, "message") or role not in ("user", "assistant"):
            return None
        content = message.get("content")
        parts = [object_of(part) for part in list_of(content)]
        texts = [text_of(content), *[text_of(part.get("text")) for part in parts if part.get("type") == "text"]]
        text = "\n\n".join(filter(str.strip, texts))
        files = [file for place, part in enumerate(parts) if part.get("type") == "image" and (file := self._picture(part, place, what))]
        if text.strip() in _SILENT or not (text.strip() or files):
            return None
        at = time_of(message.get("timestamp")) or time_of(event.get("timestamp"))
        id = id or digest_of(str(role), str(at), text)
        model = text_of(message.get("model"), 100)
        return FoundMessage(id=id, role="user" if role == "user" else "assistant", at=at, text=text, files=tuple(files), model=model)

    def _picture(self, part: Mapping[str, object], place: int, what: str) -> FoundFile | None:
        data = part.get("data")
        if not isinstance(data, str) or len(data) > _MOST_IMAGE:
            self.skips.add(what, "a picture is not in it, or is too large")
            return None
        try:
            image = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            self.skips.add(what, "a picture in it is broken")
            return None
        kind = PurePosixPath(text_of(part.get("mimeType"), 50)).name
        return FoundFile(name=f"picture-{place}.{kind or 'png'}", size=len(image), open=lambda: nullcontext(io.BytesIO(image)))


def _branch(parents: Mapping[str, str], last: str) -> list[str]:
    """From the first to the last, by their parents; a circle ends where it closes."""
    branch: dict[str, None] = {}
    while last in parents and last not in branch:
        branch[last] = None
        last = parents[last]
    return list(branch)[::-1]


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""
