"""Matrix as a channel."""

from collections.abc import Sequence
from functools import partial

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelLink, Limit
from channels.kit.chats import ChatChannel
from channels.kit.http import Answered
from channels.kit.values import text_at
from channels.matrix.api import Login, MatrixApi, path_of
from channels.matrix.invitations import Invitations
from channels.matrix.places import Places
from channels.matrix.rooms import Rooms
from channels.matrix.secrecy import Secrecy
from channels.matrix.settings import MatrixSettings
from channels.matrix.sync import Syncing
from channels.matrix.wire import RULES, MatrixWire
from channels.text.blocks import is_visible


class MatrixChannel(ChatChannel):
    """An account on Matrix. See `contracts.channels.Channel`."""

    name = "matrix"
    keyed = True

    def __init__(self, settings: MatrixSettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        self._api = api = MatrixApi(settings, context)
        self._rooms, places = Rooms(), Places(api)
        self._secrecy = Secrecy(api, self._rooms, settings, context)
        wire = MatrixWire(api, places, self._secrecy)
        super().__init__(settings, context, wire, RULES, closes=api.http, first_part=_visible, preview_seconds=2.0, pause=pause)
        self._syncing = partial(
            Syncing,
            api=api,
            rooms=self._rooms,
            places=places,
            invitations=Invitations(api, places, settings, context.notes),
            secrecy=self._secrecy,
            wire=wire,
            settings=settings,
            notes=context.notes,
            intake=self._intake,
            hearing=self._hearing,
        )

    def limits(self, address: Address) -> Sequence[Limit]:
        """None beforehand: each server has its own, and says how long to wait."""
        return ()

    async def identity(self) -> str:
        with self._api.connecting():
            login = await self._api.login()
            await self._api.call("GET", path_of("account", "whoami"))
        return f"{login.user_id} (device {login.device_id or 'unknown'})"

    async def run(self, link: ChannelLink) -> None:
        try:
            with self._api.connecting():
                login = await self._api.login()
                await self._syncing(link=link).run(login, await self._name(login))
        finally:
            self._rooms.clear()  # what is known of them grows old from here on

    async def close(self) -> None:
        await self._secrecy.close()
        await super().close()

    async def _name(self, login: Login) -> str:
        """The account's display name, by which people call it."""
        try:
            profile = await self._api.call("GET", path_of("profile", login.user_id))
        except Answered as error:
            if error.status in (403, 404):
                return ""
            raise
        return text_at(profile, "displayname")


def _visible(text: str) -> str:
    return text if is_visible(text) else ""
