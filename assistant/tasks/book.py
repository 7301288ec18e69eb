"""The book of tasks: what everything asks that makes, lists, waits for or stops them, in any process."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from assistant.contracts.errors import ModelNotFound
from assistant.contracts.provenance import Provenance
from assistant.contracts.sessions import SessionStore
from assistant.contracts.tasks import ENDED_TASK, NewTask, Task, TaskState
from assistant.store.tasks import TaskStore

_POLL_SECONDS: Final = 1.0
"""How often the store is asked for the end of a task that another process works on."""


class TaskBook:
    """Implements Delegation. `owner` None, here and below: any owner's."""

    def __init__(self, store: TaskStore, sessions: SessionStore, agents: Sequence[str] = ()) -> None:
        self.agents = tuple(agents)
        self.wake: Callable[[], None] = lambda: None
        """Called when there may be something to do in this process."""
        self._store = store
        self._sessions = sessions
        self._listeners: dict[str, set[asyncio.Event]] = {}

    async def delegate(self, new: NewTask) -> Task:
        if new.agent not in self.agents:
            raise ModelNotFound(f"There is no agent {new.agent!r}; there are: {', '.join(self.agents)}.", param="agent")
        await self._store.add(replace(new, inherits=await self._read_in(new)))
        self.wake()
        return await self._store.get(new.owner, new.id)

    async def get(self, owner: str | None, task_id: str) -> Task:
        return await self._store.get(owner, task_id)

    async def list(
        self, owner: str | None, *, state: TaskState | None = None, limit: int = 50, before: str | None = None
    ) -> Sequence[Task]:
        """The newest first. `before`: the id of the last one of the previous page."""
        return await self._store.list(owner, state=state, limit=limit, before=before)

    async def wait(self, owner: str, task_id: str) -> Task:
        changed = asyncio.Event()
        listeners = self._listeners.setdefault(task_id, set())
        listeners.add(changed)
        try:
            while True:
                changed.clear()
                task = await self._store.get(owner, task_id)
                if task.state in ENDED_TASK:
                    return task
                try:
                    async with asyncio.timeout(_POLL_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    continue
        finally:
            listeners.discard(changed)
            if not listeners and self._listeners.get(task_id) is listeners:
                del self._listeners[task_id]

    def changed(self, task_id: str) -> None:
        """A task of this process has ended."""
        for changed in self._listeners.get(task_id, ()):
            changed.set()

    async def leave(self, owner: str, task_id: str) -> Task:
        await self._store.leave(owner, task_id)
        return await self._store.get(owner, task_id)

    async def stop(self, owner: str | None, task_id: str) -> Task:
        await self._store.stop(owner, task_id)
        return await self._now(owner, task_id)

    async def retry(self, owner: str | None, task_id: str) -> Task:
        """Do one that failed or was stopped again; hand over a kept result. Raises TaskNotFound, TaskConflict."""
        await self._store.retry(owner, task_id)
        return await self._now(owner, task_id)

    async def dismiss(self, owner: str | None, task_id: str) -> Task:
        """Forget a kept result. Raises TaskNotFound, TaskConflict."""
        await self._store.dismiss(owner, task_id)
        return await self._now(owner, task_id)

    async def _now(self, owner: str | None, task_id: str) -> Task:
        self.wake()
        return await self._store.get(owner, task_id)

    async def _read_in(self, new: NewTask) -> tuple[Provenance, ...]:
        """Whose words were read where a task is asked for."""
        session = await self._sessions.get(new.owner, new.session)
        return tuple(sorted({*new.inherits, *(session.read if session else ())}))
