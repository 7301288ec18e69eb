"""What the API needs of the turns: a port, so that its own promises can be tested in front of turns that are played."""

from typing import Protocol

from assistant.contracts.access import Admission
from assistant.contracts.turns import AgentFacts, TurnRequest
from assistant.turns.handle import RunningTurn


class TurnStarter(Protocol):
    """Fulfilled by assistant.turns.service.Turns."""

    def start(self, request: TurnRequest, admission: Admission | None = None) -> RunningTurn:
        """Begin a turn at once. Raises SessionBusy, ShuttingDown; otherwise the turn removes the uploads."""
        ...

    def facts(self, agent: str) -> AgentFacts:
        """What may be known of an agent from outside. Raises ModelNotFound."""
        ...

    async def delete_session(self, owner: str, session: str) -> None:
        """Remove a session when the turns that wait in it have ended. Raises SessionNotFound, SessionBusy."""
        ...
