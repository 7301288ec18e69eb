"""`/tasks` in a chat: what helpers do in the background, without a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.inbox import CommandCall
from assistant.contracts.tasks import Task, TaskNotFound
from assistant.tasks.book import TaskBook

_LISTED: Final = 20
_MOST_WORDS: Final = 80
_MOST_ANSWER: Final = 2_000
HELP: Final = (
    "`/tasks show 2` shows the second, `/tasks stop 2` stops it, `/tasks retry 2` does it again, `/tasks dismiss 2` forgets a kept result."
)
NOTHING: Final = "No helper has done anything yet. Say for example: look that up in the background."


def line(task: Task) -> str:
    """A task on one line: "running · compare the three offers"."""
    words = " ".join(task.new.text.split())
    kept = " · result kept" if task.handover == "kept" else ""
    return f"{task.state}{kept} · {words if len(words) <= _MOST_WORDS else f'{words[:_MOST_WORDS]}…'}"


@dataclass(frozen=True, slots=True)
class TaskCommand:
    """A chat sees the tasks of its own space."""

    book: TaskBook

    async def __call__(self, call: CommandCall) -> str:
        action, _, which = call.arguments.strip().partition(" ")
        found = await self.book.list(call.place.owner, limit=_LISTED)
        if action in ("", "list"):
            lines = [f"{number}. {line(each)}" for number, each in enumerate(found, start=1)]
            return "\n".join([*lines, "", HELP]) if lines else NOTHING
        acts = {"show": self.book.get, "stop": self.book.stop, "retry": self.book.retry, "dismiss": self.book.dismiss}
        if action not in acts or not which.strip():
            raise InvalidRequest(f"/tasks lists what helpers do. {HELP}")
        task = await acts[action](call.place.owner, _meant(found, which.strip()))
        if action == "show":
            said = task.outcome.answer[:_MOST_ANSWER] or task.outcome.error or "No result yet."
            return f"{task.id}: {line(task)}\n\n{said}"
        word = {"stop": "Stopping", "retry": "Again", "dismiss": "Dismissed"}[action]
        return f"{word}: {line(task)}"


def _meant(found: Sequence[Task], which: str) -> str:
    """The id of the task with this number in the list, or this id. Raises TaskNotFound."""
    if not which.isdecimal():
        return which
    if not 0 < int(which) <= len(found):
        raise TaskNotFound(f"There is no number {which} in the list: /tasks shows it.")
    return found[int(which) - 1].id
