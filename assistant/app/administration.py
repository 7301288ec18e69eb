"""What an owner asks of a server that runs: its channels, set up and switched off; its configuration; whether all is well."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from assistant.api.channel_setup import ChangedChannel, ChannelSetupEndpoints
from assistant.api.configuration import Configured
from assistant.api.doctor import Finding
from assistant.app.opening import opened_by_name, within
from assistant.app.reload import Reloader
from assistant.config import ConfigError
from assistant.config.changes import ConfigChanges, previewed, write_changes
from assistant.config.channel_section import ChannelSection, every_kind
from assistant.contracts.channels import ChannelFailed, ChannelKind
from assistant.contracts.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from assistant.app.runtime import Runtime


@dataclass(frozen=True, slots=True)
class ChannelDesk:
    """A channel is checked by its platform, written into the configuration, and connected."""

    runtime: "Runtime"
    reloader: Reloader

    def offers(self) -> Sequence[tuple[ChannelKind, bool]]:
        enabled = self.runtime.loaded.config.enabled_channels
        return [(kind, name in enabled) for name, kind in every_kind().items()]

    async def set_up(self, name: str, answers: Mapping[str, str], owner: str | None) -> ChangedChannel:
        """Raises NotFound, and InvalidRequest where an answer is no setting of it, or the platform refuses them: then nothing is written."""
        kind = await _kind(name)
        needs = {need.key: need for need in kind.needs}
        if unknown := answers.keys() - needs.keys():
            raise InvalidRequest(f"{name} does not ask for {', '.join(sorted(unknown))}, but for: {', '.join(needs) or 'nothing'}.")
        known = {need.key: os.environ[need.env] for need in kind.needs if need.env and os.environ.get(need.env)}
        given = {key: value.strip() if needs[key].env else _literal(value) for key, value in answers.items() if value.strip()}
        if beaten := [needs[key].env for key, value in known.items() if given.get(key, value) != value]:
            raise InvalidRequest(f"Nothing was written: {', '.join(beaten)} in the server's environment would win. Change it there.")
        section = ChannelSection(kind=kind, answers=known | given)
        section.owners = (_literal(owner),) if owner and owner.strip() else ()
        try:
            new = await asyncio.to_thread(previewed, section.changes(), self.runtime.loaded, os.environ)
            async with opened_by_name(new, self.runtime.services.store, name) as channel:
                account = await within(channel.identity())
        except ConfigError as error:
            raise InvalidRequest(f"Nothing was written: {error}") from None
        except ChannelFailed as error:
            raise InvalidRequest(f"Nothing was written: {kind.title or name} does not work so: {error}") from None
        return await self._written(section.changes(), account)

    async def switch_off(self, name: str) -> ChangedChannel:
        """Raises NotFound, InvalidRequest."""
        await _kind(name)
        return await self._written(ConfigChanges({("channels", name, "enabled"): False}), None)

    async def _written(self, changes: ConfigChanges, account: str | None) -> ChangedChannel:
        try:
            await asyncio.to_thread(write_changes, changes, self.runtime.loaded, os.environ)
        except ConfigError as error:
            raise InvalidRequest(f"Nothing was written: {error}") from None
        done = await self.reloader.reload()
        if done.wrong:  # what else stands in the file, changed since the start
            raise InvalidRequest(f"It is written, and holds once the rest of the configuration is right: {done.wrong}")
        return ChangedChannel(account=account, applied=done.applied, waiting=done.waiting)


def _literal(given: str) -> str:
    """As the file has it: `${NAME}` in it stands for itself, and not for what the server's environment holds."""
    return given.strip().replace("${", "$${")


async def _kind(name: str) -> ChannelKind:
    kinds = await asyncio.to_thread(every_kind)
    if name not in kinds:
        raise NotFound(f"There is no such channel. There are: {', '.join(sorted(kinds))}.")
    return kinds[name]


def configured(runtime: "Runtime") -> Configured:
    """Blocks."""
    from assistant.config.reference import settings_of  # noqa: PLC0415 - it describes the whole configuration; the start need not wait for it

    loaded = runtime.loaded
    return Configured(file=str(loaded.source) if loaded.source else None, notices=loaded.notices, settings=settings_of(loaded))


def channel_setup(runtime: "Runtime") -> ChannelSetupEndpoints | None:
    """Where the configuration can be read anew."""
    if runtime.reloader is None:
        return None
    desk = ChannelDesk(runtime, runtime.reloader)
    return ChannelSetupEndpoints(offers=desk.offers, set_up=desk.set_up, switch_off=desk.switch_off)


async def examine(runtime: "Runtime") -> Sequence[Finding]:
    """All checks of the doctor."""
    await asyncio.to_thread(import_module, "assistant.app.doctor")  # most servers are never asked
    from assistant.app.doctor import findings  # noqa: PLC0415 - loaded just before, beside the event loop

    return [found async for found in findings(runtime.loaded, runtime.services.store, runtime.services.reader)]
