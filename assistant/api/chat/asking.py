"""What was asked, made into what answers it: a turn of an agent's, or a request to a model."""

from dataclasses import dataclass

from starlette.types import Scope

from assistant.api.chat.direct import direct_request
from assistant.api.chat.input import ChatInput
from assistant.api.chat.route import Known, Route, ToAgent, ToModel, ToWorkflow, names_of
from assistant.api.middleware.scope import admission, principal
from assistant.api.turns import Turns
from assistant.contracts.errors import ModelNotFound
from assistant.contracts.ids import new_id
from assistant.contracts.models import ModelRegistry
from assistant.contracts.sessions import ONCE
from assistant.contracts.turns import Asked, TurnRequest
from assistant.turns.direct import Direct, DirectRequest
from assistant.turns.estimate import estimated_tokens
from assistant.turns.running import RunningTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who there is to be asked."""

    turns: Turns
    registry: ModelRegistry
    direct: Direct
    known: Known

    def check_rights(self, scope: Scope, to: Route) -> None:
        """Raises ModelNotFound where whoever sent the request may not ask there: for them there is no such model."""
        if not any(map(principal(scope).may_use, names_of(to, self.known))):
            raise ModelNotFound(param="model")

    async def prepare(self, scope: Scope, asked: ChatInput) -> TurnRequest | DirectRequest:
        """What answers, taken out of the limits of whoever sent the request. Raises RateLimited, ModelNotFound, InvalidRequest, ProviderFailed."""
        match asked.route:
            case ToAgent():
                wanted = _turn(asked, asked.route, principal(scope).id)
            case ToModel(id=model):
                wanted = await direct_request(asked, model, self.registry)
            case ToWorkflow():
                raise TypeError("a workflow is run, not asked")
        await admission(scope).reserve(estimated_tokens(asked.said, asked.instructions, asked.sampling, answers=asked.wishes.n))
        return wanted

    def start(self, wanted: TurnRequest | DirectRequest) -> RunningTurn:
        """Raises SessionBusy, ShuttingDown; then the uploads are still the caller's."""
        return self.turns.start(wanted) if isinstance(wanted, TurnRequest) else self.direct.start(wanted)


def _turn(asked: ChatInput, to: ToAgent, owner: str) -> TurnRequest:
    """A request that stands for itself gets a session of its own."""
    turn_id = new_id("turn")
    *before, last = asked.said
    if not isinstance(last, Asked):
        raise TypeError("an agent is asked by a user")
    return TurnRequest(
        id=turn_id,
        owner=owner,
        agent=to.agent,
        session=to.session or ONCE + turn_id,
        content=last.content,
        history=tuple(before),
        instructions=asked.instructions,
        sampling=asked.sampling,
        stream=asked.stream,
    )
