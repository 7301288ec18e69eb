"""What the tests of rooms share."""

from collections.abc import Callable
from typing import Any

from assistant.testing.channel_suite import RecordingLink
from tests.doubles.matrix_platform import DM, MatrixPlatform
from tests.doubles.matrix_server import MatrixServer

Rig = Callable[..., MatrixPlatform]


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": words, **more}


async def until(link: RecordingLink, server: MatrixServer) -> None:
    """Everything before was read."""
    server.say(DM, text("the end"))
    while (await link.next()).text != "the end":
        pass
