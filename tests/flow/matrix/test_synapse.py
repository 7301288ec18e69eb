"""The contract suite of channels against a real Synapse, behind a proxy that loses answers. Installed and run by `make test-matrix`."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import ChannelSuite
from tests.doubles.matrix_platform import MatrixPlatform
from tests.doubles.synapse import MISSING, PYTHON, Account, Refused, Synapse, SynapseProxy, synapse

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason=MISSING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """Accounts and rooms that all tests use; each begins at the present."""

    bot: Account
    anna: Account
    dm: str
    group: str
    root: str


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Generator[Synapse]:
    with synapse(tmp_path_factory.mktemp("synapse")) as home:
        yield home


@pytest.fixture(scope="module")
def town(home: Synapse) -> Town:
    return asyncio.run(_settle(home))


async def _settle(home: Synapse) -> Town:
    bot, anna, ben = [await home.account(name) for name in ("bot", "anna", "ben")]
    dm = await anna.room(bot.user_id, direct=True)
    group = await anna.room(bot.user_id, ben.user_id)
    for account, room in ((bot, dm), (bot, group), (ben, group)):
        await account.call("POST", f"/join/{room}", {})
    root = await anna.say(group, {"msgtype": "m.text", "body": "the first"})
    return Town(bot=bot, anna=anna, dm=dm, group=group, root=root)


class SynapsePlatform(MatrixPlatform):
    abilities = MatrixPlatform.abilities - {"strangers", "clock", "moves", "typing", "reactions"}

    def __init__(self, town: Town, proxy: SynapseProxy, folder: Path) -> None:
        self.town, self.proxy = town, proxy
        self.address = Address(channel="matrix", chat_id=town.dm)
        self.group = Address(channel="matrix", chat_id=town.group)
        self.thread_id = town.root
        self.bot = town.bot.user_id
        self._work: asyncio.Queue[Any] = asyncio.Queue()
        self._ids: dict[str, str] = {}
        self._worker = asyncio.create_task(self._do())
        super().__init__(proxy, folder, accessToken=town.bot.token)

    def prepare(self) -> None: ...

    def say_in(
        self, room: str, content: Any, *, by: str = "", id: str | None = None, kind: str = "m.room.message", ahead: float = 0
    ) -> str:
        if id is not None:  # Synapse sends nothing again until the sync is repeated
            return id
        place = f"place{len(self._ids)}"
        self._ids[place] = ""
        self._work.put_nowait((place, room, content, self.town.bot if by == self.bot else self.town.anna, kind))
        return place

    def put_file(self, content: bytes) -> str:
        self._file = content
        return "mxc://file"

    def acknowledged(self) -> bool:
        return False

    async def end(self) -> None:
        await self._work.join()
        self._worker.cancel()
        await self.channel.close()

    async def _do(self) -> None:
        while True:
            place, room, content, account, kind = await self._work.get()
            try:
                if not isinstance(content, dict):
                    continue
                self._ids[place] = await account.say(room, await self._real(content), kind=kind)
            except Refused:  # what is broken, by Synapse itself
                continue
            finally:
                self._work.task_done()

    async def _real(self, value: Any) -> Any:
        """With the real ids of events and files."""
        if isinstance(value, dict):
            shown = cast("dict[str, Any]", value)
            return {name: await self._real(each) for name, each in shown.items()}
        if value == "mxc://file":
            return await self.town.anna.upload(self._file)
        return self._ids.get(value, value) if isinstance(value, str) else value


class TestMatrixOnSynapse(ChannelSuite):
    @pytest.fixture
    async def platform(self, town: Town, home: Synapse, tmp_path: Path) -> AsyncGenerator[SynapsePlatform]:
        async with SynapseProxy(home) as proxy:
            platform = SynapsePlatform(town, proxy, tmp_path)
            yield platform
            await platform.end()
