"""What the platforms of the contract suite have in common: the adapter that is open now, a stand-in behind it, and calls in order."""

from collections.abc import Sequence
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar, cast

from assistant.contracts.channels import CalledChannel, Channel, ChannelContext
from assistant.contracts.notes import NotesInMemory
from assistant.testing.platform import ChannelPlatform, Failure, FolderFiles, Seen
from tests.doubles.channel_server import ChannelServer
from tests.doubles.platform_caller import PlatformCaller


class CalledAdapter(Channel, CalledChannel, Protocol):
    """An adapter whose platform calls this server."""


C = TypeVar("C", bound=Channel)
D = TypeVar("D", bound=CalledAdapter)
S = TypeVar("S", bound=ChannelServer)


class OpenedPlatform(ChannelPlatform, Generic[C]):
    """`open` makes the adapter, of `settings` and `context`. `async with`: closed at the end."""

    def __init__(self, folder: Path, settings: object) -> None:
        self.files, self.notes = FolderFiles(folder), NotesInMemory()
        self.context = ChannelContext(files=self.files, version="1", notes=self.notes)
        self.settings = settings
        self.channel = self.open()

    def open(self) -> C:
        raise NotImplementedError

    @property
    def adapter(self) -> C:
        """`channel`, as the class that it is of."""
        return cast("C", self.channel)

    async def reopen(self) -> C:
        await self.channel.close()
        self.channel = self.open()
        return self.adapter

    async def close(self) -> None:
        await self.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class ServedPlatform(OpenedPlatform[C], Generic[S, C]):
    """`server`: what the platform's users see, and what fails."""

    def __init__(self, server: S, folder: Path, settings: object) -> None:
        self.server = server
        super().__init__(folder, settings)

    def seen(self) -> Sequence[Seen]:
        return list(self.server.accepted.values())

    def fail(self, how: Failure) -> None:
        self.server.fail(how)

    def heal(self) -> None:
        self.server.heal()

    def drop(self) -> None:
        self.server.drop()


class CalledPlatform(ServedPlatform[S, D]):
    """`caller` calls the adapter that is open now. `again`: the lowest status after which it makes the same call again."""

    again: int = 300

    def __init__(self, server: S, folder: Path, settings: object) -> None:
        super().__init__(server, folder, settings)
        self.caller = PlatformCaller(lambda: self.adapter, again=self.again)

    def acknowledged(self) -> bool:
        return self.caller.idle()

    async def close(self) -> None:
        await self.caller.close()
        await super().close()
