"""What was asked, made into what answers it: a turn of an agent's, or a request to a model."""

from dataclasses import dataclass

from starlette.types import Scope

from assistant.api.chat.direct import direct_request
from assistant.api.chat.estimate import estimated_tokens
from assistant.api.chat.input import ChatInput
from assistant.api.chat.route import Known, ToAgent, names_of
from assistant.api.middleware.scope import admission, principal
from assistant.api.turns import Turns
from assistant.contracts.errors import ModelNotFound
from assistant.contracts.ids import new_id
from assistant.contracts.models import ModelRegistry
from assistant.contracts.sessions import ONCE
from assistant.contracts.turns import Asked, TurnRequest
from assistant.turns.direct import Direct, DirectRequest
from assistant.turns.running import RunningTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who there is to be asked."""

    turns: Turns
    registry: ModelRegistry
    direct: Direct
    known: Known

    async def prepare(self, scope: Scope, asked: ChatInput) -> TurnRequest | DirectRequest:
        """Check that whoever sent the request may ask this, and take it out of their limits. Raises ModelNotFound, RateLimited, InvalidRequest,
        ProviderFailed."""
        who = principal(scope)
        if not any(map(who.may_use, names_of(asked.route, self.known))):
            raise ModelNotFound(param="model")
        if isinstance(asked.route, ToAgent):
            wanted = _turn(asked, asked.route, who.id)
        else:
            wanted = await direct_request(asked, asked.route.id, self.registry)
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
