"""An answer that is waited for until it is whole."""

from starlette.requests import Request

from assistant.api.chat.disconnects import cancelled_on_disconnect
from assistant.api.middleware.errors import FailedAfterActing
from assistant.api.middleware.scope import admission
from assistant.contracts.errors import NanobotError
from assistant.contracts.turns import TurnFinished
from assistant.turns.running import RunningTurn


async def whole_answer(turn: RunningTurn, request: Request, *, cancels: bool) -> TurnFinished:
    """What the turn gives; what it took counts against the limits of whoever sent the request. `cancels`: it is stopped when they go away.
    Raises what ended it, as FailedAfterActing where a tool had changed something."""
    async with cancelled_on_disconnect(turn, request.receive, enabled=cancels):
        try:
            finished = await turn.result()
        except NanobotError as error:
            admission(request.scope).broke_off(turn.took)
            raise FailedAfterActing(error) if turn.acted else error from None
    admission(request.scope).used(finished.usage.prompt_tokens + finished.usage.completion_tokens)
    return finished
