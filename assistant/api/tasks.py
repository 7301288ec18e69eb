"""/v1/tasks: what helpers do in the background, and what came of it."""

from functools import partial
from typing import Final, Literal

from fastapi import Request
from pydantic import Field

from assistant.api.answers import Answer, Before, EffectAnswer, ListAnswer, PageLimit, Time, known_id
from assistant.api.middleware.request import principal
from assistant.api.openapi import endpoint, error, errors
from assistant.contracts.records import record
from assistant.contracts.tasks import Handover, Task, TaskKind, TaskNotFound, TaskState
from assistant.tasks.book import TaskBook


class TaskUsage(Answer):
    """Tokens of all its model calls."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


class TaskParent(Answer):
    """Where it was asked for."""

    session: str = Field(description="The session's key, as the server keeps it.")
    turn_id: str


class TaskAnswer(Answer):
    """A task. Times are UTC, by ISO 8601."""

    id: str
    object: Literal["task"] = "task"
    kind: TaskKind = Field(description="turn: of a helper. run: a command that goes on.")
    state: TaskState
    text: str = Field(description="What is to be done.")
    agent: str
    background: bool = Field(description="No turn waits for it: its end makes the session that asked go on.")
    parent: TaskParent
    answer: str
    error: str = Field(description="Why it failed.")
    handover: Handover = Field(
        description='"": not yet. handed: to the session that asked. read: by the turn that waited. kept: that session is gone.'
    )
    effects: list[EffectAnswer]
    usage: TaskUsage
    created_at: Time
    started_at: Time | None
    ended_at: Time | None


class TaskList(ListAnswer[TaskAnswer]):
    pass


_PATH: Final = "/v1/tasks"
_ONE: Final = _PATH + "/{task_id}"
_OVER: Final = {409: error("The task is not in a state for that.")}
_known = partial(known_id, prefix="task", missing=TaskNotFound, param="task_id")


@record
class TaskEndpoints:
    book: TaskBook

    @endpoint("GET", _PATH, "List tasks", scope="tasks", responses=errors(400, 401, 404, 503))
    async def index(self, request: Request, state: TaskState | None = None, limit: PageLimit = 50, before: Before = None) -> TaskList:
        """The newest first; `before`: the id of the last one of the page before."""
        last = None if before is None else _known(before)
        found = await self.book.list(principal(request.scope).person, state=state, limit=limit + 1, before=last)
        return TaskList.page(found, limit, shown)

    @endpoint("GET", _ONE, "Show a task", scope="tasks", responses=errors(401, 404, 503))
    async def show(self, request: Request, task_id: str) -> TaskAnswer:
        """With its answer, once it has one."""
        return shown(await self.book.get(principal(request.scope).person, _known(task_id)))

    @endpoint("POST", _ONE + "/stop", "Stop a task", scope="tasks", responses={**errors(401, 404, 503), **_OVER})
    async def stop(self, request: Request, task_id: str) -> TaskAnswer:
        """Stop it, whichever process does it. What it did stays; it ends within a second or two."""
        return shown(await self.book.stop(principal(request.scope).person, _known(task_id)))

    @endpoint("POST", _ONE + "/retry", "Do a task again", scope="tasks", responses={**errors(401, 404, 503), **_OVER})
    async def retry(self, request: Request, task_id: str) -> TaskAnswer:
        """One that failed or was stopped is done again, in the background. A kept result is handed over, and the session that asked begins anew."""
        return shown(await self.book.retry(principal(request.scope).person, _known(task_id)))

    @endpoint("POST", _ONE + "/dismiss", "Dismiss a kept result", scope="tasks", responses={**errors(401, 404, 503), **_OVER})
    async def dismiss(self, request: Request, task_id: str) -> TaskAnswer:
        """It is not handed over any more. It can still be read here."""
        return shown(await self.book.dismiss(principal(request.scope).person, _known(task_id)))


def shown(task: Task) -> TaskAnswer:
    new, outcome = task.new, task.outcome
    return TaskAnswer(
        id=task.id,
        kind=new.kind,
        state=task.state,
        text=new.text,
        agent=new.agent,
        background=task.background,
        parent=TaskParent(session=new.session, turn_id=new.turn_id),
        answer=outcome.answer,
        error=outcome.error,
        handover=task.handover,
        effects=[EffectAnswer.model_validate(effect) for effect in outcome.effects],
        usage=TaskUsage.model_validate(task.usage),
        created_at=task.created,  # pyright: ignore[reportArgumentType] - written by `Time`
        started_at=task.started,  # pyright: ignore[reportArgumentType] - likewise
        ended_at=task.ended,  # pyright: ignore[reportArgumentType] - likewise
    )
