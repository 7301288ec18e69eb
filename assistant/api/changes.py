"""GET /v1/changes: what changed, as it changes, so that a page need not ask again and again."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson
from fastapi import Request
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as RequestScope

from assistant.access.principals import Principal
from assistant.api.chat.route import listed_id
from assistant.api.middleware.request import principal, state_of
from assistant.api.openapi import endpoint, errors, events
from assistant.api.sse import EventStream, disconnected, error_event, event
from assistant.contracts.access import Scope
from assistant.contracts.errors import RateLimited, ShuttingDown, StoreUnavailable
from assistant.contracts.records import record
from assistant.store.changes import TOPICS, Changes, Glance, Topic
from assistant.store.processes import Notifier

log = logging.getLogger(__name__)

MOST_STREAMS: Final = 16
"""Of a person."""
_LOOK_SECONDS: Final = 1.0
_GATHER_SECONDS: Final = 0.1
"""What changes within this time is one event."""
_REST: Final = 20.0
"""It rests this many times as long as a look took, where that is longer: where much is kept, looks are rarer."""
_MOST_SESSIONS: Final = 50
_NEEDS: Final[Mapping[Topic, Scope | None]] = {
    **{topic: topic for topic in ("sessions", "deliveries", "approvals", "tasks", "schedules", "usage")},
    "memories": "memory",
    "jobs": "workflows",
    "channels": "admin",
    "people": None,
}


class ChangeEvent(BaseModel):
    """`topics`: what to read anew; the first event names all that the caller may read. `sessions`: which ones, where it is known."""

    topics: list[Topic]
    sessions: list[str] | None = Field(default=None, description="At most 50; absent in the first event.")


class Listener:
    """What one stream has not told yet."""

    def __init__(self) -> None:
        self.topics: set[Topic] = set(TOPICS)
        self.sessions: dict[str, None] = {}
        self.first = True
        self.over = False
        self.awake = asyncio.Event()

    def add(self, topics: set[Topic], sessions: Sequence[str]) -> None:
        self.topics |= topics
        self.sessions |= dict.fromkeys(sessions)
        self.awake.set()

    def end(self) -> None:
        """The server stops."""
        self.over = True
        self.awake.set()

    def take(self) -> tuple[set[Topic], list[str] | None]:
        """(topics, sessions; None: any) since the last time."""
        topics, sessions = self.topics, None if self.first or len(self.sessions) > _MOST_SESSIONS else list(self.sessions)
        self.topics, self.sessions, self.first = set(), {}, False
        self.awake.clear()
        return topics, sessions


class ChangeFeed:
    """Looks for changes while anybody listens: when the notifier rings, and every second; once for all listeners of a person."""

    def __init__(self, changes: Changes, notifier: Notifier) -> None:
        self._changes = changes
        self._notifier = notifier
        self._listens = False
        self._watched: dict[tuple[str, bool], _Watch] = {}

    def listen(self, person: str, *, admin: bool) -> tuple[Listener, Callable[[], None]]:
        """A listener, and how to leave. Raises RateLimited for one too many of a person."""
        many = sum(len(watch.listeners) for (of, _), watch in self._watched.items() if of == person)
        if many >= MOST_STREAMS:
            raise RateLimited(f"This person has {MOST_STREAMS} streams of changes open: close one.")
        if not self._listens:
            self._listens = True
            self._notifier.listen(self._ring)
        key, listener = (person, admin), Listener()
        watch = self._watched.get(key)
        if watch is None:
            watch = self._watched[key] = _Watch()
            watch.task = asyncio.create_task(self._watch(person, admin, watch))
        watch.listeners.add(listener)
        if watch.seen is not None:
            listener.awake.set()

        def leave() -> None:
            watch.listeners.discard(listener)
            if not watch.listeners and self._watched.get(key) is watch:
                del self._watched[key]
                watch.stop()

        return listener, leave

    def close(self) -> None:
        """End all streams: the server stops."""
        for watch in self._watched.values():
            for listener in watch.listeners:
                listener.end()

    def _ring(self) -> None:
        for watch in self._watched.values():
            watch.rung.set()

    async def _watch(self, person: str, admin: bool, watch: "_Watch") -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                watch.look(await self._changes.look(person, admin=admin))
            except StoreUnavailable as error:
                log.warning("changes.not_seen code=%s", error.code)
            rest = _REST * (loop.time() - began)
            try:
                async with asyncio.timeout(max(_LOOK_SECONDS, rest)):
                    await watch.rung.wait()
                    await asyncio.sleep(max(_GATHER_SECONDS, rest))
            except TimeoutError:
                pass
            watch.rung.clear()


class _Watch:
    """How things stood for one person when they were last looked at. No stream begins before that: what changes behind its first event is told."""

    def __init__(self) -> None:
        self.seen: Glance | None = None
        self.listeners: set[Listener] = set()
        self.rung = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def look(self, now: Glance) -> None:
        before, self.seen = self.seen, now
        if before is None:
            for listener in self.listeners:
                listener.awake.set()
            return
        topics: set[Topic] = {topic for topic, mark in now.marks.items() if before.marks.get(topic) != mark}
        if not topics:
            return
        keys = [key for key, mark in now.sessions.items() if before.sessions.get(key) != mark]
        gone = [key for key in before.sessions if key not in now.sessions]
        for listener in self.listeners:
            listener.add(topics, [*keys, *gone][:_MOST_SESSIONS])

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()


@record
class ChangeEndpoints:
    feed: ChangeFeed
    keep_alive: float
    """Seconds."""

    @endpoint(
        "GET",
        "/v1/changes",
        "Follow changes",
        scope="sessions",
        responses={200: {"description": "Events, until the client leaves.", "content": events(ChangeEvent)}, **errors(401, 503)},
        response_class=Response,
    )
    async def follow(self, request: Request) -> Response:
        """Server-sent events: which parts changed for the caller's person. The first comes at once; what changes within a tenth of a second is one
        event. At most 16 streams a person."""
        who = principal(request.scope)
        return _ChangeStream(self.feed, who, self.keep_alive)


class _ChangeStream(Response):
    media_type = "text/event-stream"

    def __init__(self, feed: ChangeFeed, who: Principal, keep_alive: float) -> None:
        super().__init__()
        self._feed = feed
        self._who = who
        self._keep_alive = keep_alive

    async def __call__(self, scope: RequestScope, receive: Receive, send: Send) -> None:
        listener, leave = self._feed.listen(self._who.person, admin=self._who.may("admin"))
        await state_of(scope).admission.end()  # it is counted, and takes no place among those at once
        gone = asyncio.create_task(disconnected(receive))
        gone.add_done_callback(lambda _: listener.awake.set())
        try:
            with EventStream(send, keep_alive=self._keep_alive) as stream:
                await self._tell(listener, stream, gone, scope)
        except ClientDisconnect:
            return
        finally:
            gone.cancel()
            leave()

    async def _tell(self, listener: Listener, stream: EventStream, gone: "asyncio.Task[None]", scope: RequestScope) -> None:
        try:
            while True:
                await listener.awake.wait()
                if gone.done():
                    return
                if listener.over:
                    await stream.write(error_event(ShuttingDown()), last=True)
                    return
                topics, sessions = listener.take()
                if may := [topic for topic in TOPICS if topic in topics and _may(self._who, topic)]:
                    more = {"sessions": [listed_id(key) for key in sessions]} if "sessions" in may and sessions is not None else {}
                    await stream.write(event(orjson.dumps({"topics": may, **more})))
        except asyncio.CancelledError:  # because the key has ended, or the server stops at once
            if not stream.started:
                raise
            await stream.write(error_event(state_of(scope).cut_off or ShuttingDown()), last=True)


def _may(who: Principal, topic: Topic) -> bool:
    scope = _NEEDS[topic]
    return scope is None or who.may(scope)
