"""The further platforms of the crash test: two that take a key with a message (Matrix, Mattermost), and one that takes none (ntfy)."""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from tests.doubles.in_thread import Arrivals, InThread
from tests.doubles.matrix_server import ANNA, MatrixServer
from tests.doubles.matrix_server import TOKEN as MATRIX_TOKEN
from tests.doubles.mattermost_server import TOKEN as MATTERMOST_TOKEN
from tests.doubles.mattermost_server import MattermostServer, id_of
from tests.doubles.ntfy_server import NtfyServer

_CHATS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Standin:
    settings: Mapping[str, object]
    """The channel's section of the configuration."""
    chats: tuple[str, ...]
    keyed: bool
    connected: Callable[[], bool]
    """Whether the channel has been connected, once: what is written from then on is read."""
    say: Callable[[str, str], object]
    """A person writes (chat, text)."""
    arrivals: Arrivals


@contextmanager
def _ntfy() -> Generator[Standin]:
    chats = tuple(f"phone{number}" for number in range(_CHATS))
    topics = {chat: {"topic": chat, "replies": f"from-{chat}"} for chat in chats}
    with InThread(NtfyServer()) as thread:
        thread.server.accepted = arrivals = Arrivals()
        yield Standin(
            settings={"server": thread.server.url, "topics": topics},
            chats=chats,
            keyed=False,
            connected=lambda: ("GET", "/" + ",".join(f"from-{chat}" for chat in chats) + "/json") in thread.server.requests,
            say=lambda chat, text: thread.run(lambda ntfy: ntfy.add(f"from-{chat}", text)),
            arrivals=arrivals,
        )


@contextmanager
def _matrix() -> Generator[Standin]:
    with InThread(MatrixServer()) as thread:
        thread.server.accepted = arrivals = Arrivals()
        chats = tuple(thread.server.room(f"!dm{number}:test", ANNA) for number in range(_CHATS))
        yield Standin(
            settings={"homeserver": thread.server.url, "accessToken": MATRIX_TOKEN},
            chats=chats,
            keyed=True,
            connected=thread.server.started.is_set,
            say=lambda chat, text: thread.do(lambda matrix: matrix.say(chat, {"msgtype": "m.text", "body": text})),
            arrivals=arrivals,
        )


@contextmanager
def _mattermost() -> Generator[Standin]:
    chats = tuple(id_of(f"direct{number}x") for number in range(_CHATS))
    with InThread(MattermostServer()) as thread:
        thread.server.accepted = arrivals = Arrivals()
        thread.server.channels |= dict.fromkeys(chats, "D")
        yield Standin(
            settings={"serverUrl": thread.server.url, "token": MATTERMOST_TOKEN},
            chats=chats,
            keyed=True,
            connected=thread.server.connected.is_set,
            say=lambda chat, text: thread.do(lambda mattermost: mattermost.add({"channel_id": chat, "message": text})),
            arrivals=arrivals,
        )


STANDINS: Final[Mapping[str, Callable[[], AbstractContextManager[Standin]]]] = {
    "matrix": _matrix,
    "mattermost": _mattermost,
    "ntfy": _ntfy,
}
