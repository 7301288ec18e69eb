"""`nanobot` with a gate that wants a yes for each message that the assistant sends: the rules that come with it may say otherwise."""

from typing import Any

from assistant.agent.toolbox import Toolbox
from assistant.cli import main
from tests.flow.approvals.bells import AskingGate


def ask_for_messages() -> None:
    original = Toolbox.__init__

    def made(self: Toolbox, *args: Any, **given: Any) -> None:
        original(self, *args, **{**given, "gate": AskingGate(asks=("message",))})

    setattr(Toolbox, "__init__", made)  # noqa: B010 - an assignment would not pass the types


if __name__ == "__main__":
    ask_for_messages()
    main()
