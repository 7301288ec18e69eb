"""`nanobot reload` and SIGHUP: a changed configuration in a server that runs, as far as that is safe; what needs a restart is said."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from assistant.app.agent import agent_of
from assistant.app.models import open_registry, replace_models
from assistant.config import Config, ConfigError, Loaded
from assistant.contracts.errors import NanobotError
from assistant.contracts.records import record
from assistant.contracts.turns import MAIN

if TYPE_CHECKING:
    from assistant.app.runtime import Runtime

log = logging.getLogger(__name__)

KeyPath = tuple[str, ...]
_MODEL_KEYS: Final = frozenset(
    {"model", "provider", "maxTokens", "contextWindowTokens", "temperature", "reasoningEffort", "modelPreset", "fallbackModels"}
)
_AGENT_KEYS: Final = _MODEL_KEYS | {"instructions", "maxToolIterations", "claimCheck"}
_AT_THE_START: Final = frozenset({"replyToMessage"})
"""Keys of a channel that its adapter does not read."""
_SENDER_KEYS: Final = frozenset({"allowFrom", "owners"})
_WHY: Final[Mapping[str, str]] = {
    "agents": "an agent is put together with its tools at the start",
    "api": "addresses and limits are set at the start",
    "attachments": "the store is opened at the start",
    "auth": "who is let in is decided by what was read at the start",
    "channels": "what calls this server, and which sections there are, is read at the start",
    "mcp": "connections and grants belong to the servers that were there at the start",
    "models": "prices are read at the start",
    "sandbox": "the machine is tried at the start",
    "store": "the store is opened at the start",
    "tools": "tools are opened at the start",
}
_ELSE: Final = "it is read at the start"


@record
class Reloaded:
    """What a reload did. Keys are in camelCase, with dots."""

    applied: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    """`key: why` of what holds from the next start on."""
    wrong: str = ""
    """Why nothing was applied."""


class Reloader:
    """Reads the configuration anew, and applies it."""

    def __init__(self, runtime: "Runtime", read: Callable[[], Loaded]) -> None:
        """`read`: as at the start, options of the command line included. Raises ConfigError."""
        self._runtime = runtime
        self._read = read
        self._config = runtime.services.loaded.config
        self._lock = asyncio.Lock()

    async def reload(self) -> Reloaded:
        """One after the other. Never raises for a configuration that can't be used: nothing of it is applied then."""
        async with self._lock:
            return await self._reload()

    async def _reload(self) -> Reloaded:
        try:
            read = await asyncio.to_thread(self._read)
            new = read.config
            changed = list(changed_keys(self._config, new))
            live = [path for path in changed if is_live(path, self._can_connect)]
            now = self._with(new, live)
            if any(path[0] in ("agents", "providers", "models", "modelPresets") for path in live):
                await self._models(now)
        except ConfigError as error:
            log.warning("config.not_reloaded problems=%d", len(error.problems))
            return Reloaded(wrong=str(error))
        waiting = [f"{'.'.join(path)}: {_WHY.get(path[0], _ELSE)}" for path in changed if path not in live]
        senders = {path[1] for path in live if path[0] == "channels"}
        connected = {path[1] for path in live if path[0] == "channels" and path[2] not in _SENDER_KEYS}
        try:
            if senders - connected:
                await self._runtime.let_in({name: each for name, each in now.enabled_channels.items() if name in senders - connected})
            for name in sorted(connected):
                await self._runtime.replace_channel(name, now.channels.by_name()[name])
        except NanobotError as error:
            waiting += [f"{'.'.join(path)}: reload again ({error.message})" for path in live if path[0] == "channels"]
            live = [path for path in live if path[0] != "channels"]
            now = self._with(new, live)
        logging.getLogger().setLevel(now.log.level.upper())
        self._config = now
        self._runtime.loaded = replace(read, config=now)
        log.info("config.reloaded applied=%d waiting=%d", len(live), len(waiting))
        return Reloaded(applied=tuple(map(".".join, live)), waiting=tuple(waiting))

    def _can_connect(self, channel: str) -> bool:
        """Whether a channel can be connected anew: no program calls this server for it, at addresses that are set at the start."""
        kind = self._runtime.services.directory.kind(channel)
        return kind is not None and not kind.called and not kind.settings.let_in_by_secret

    def _with(self, new: Config, live: list[KeyPath]) -> Config:
        """The configuration that holds, with what is live of the new one. What is compared next time is this."""
        return cast("Config", _taken(self._config, new, (), set(live)))

    async def _models(self, now: Config) -> None:
        """Raises ConfigError, and nothing is replaced."""
        services = self._runtime.services
        loaded = replace(services.loaded, config=now)
        await replace_models(services.models, now, services.metering)
        services.registry.take_over(open_registry(loaded, services.models[MAIN].choice, services.metering))
        settings = {MAIN: now.agent, **now.named_agents}
        services.turns.agents = {
            name: agent_of(settings[name], services.models[name].provider, agent.toolbox, loaded.workspace)
            for name, agent in services.turns.agents.items()
        }


def is_live(path: KeyPath, connects: Callable[[str], bool]) -> bool:
    """Whether a changed key holds at once. `connects`: whether a channel can be connected anew."""
    match path:
        case ("log", "level") | ("providers", *_) | ("modelPresets", *_):
            return True
        case ("models", _, *rest):
            return rest[:1] != ["price"]
        case ("agents", _, key, *_):
            return key in _AGENT_KEYS
        case ("channels", name, key, *_):
            return key in _SENDER_KEYS or (key not in _AT_THE_START and connects(name))
        case _:
            return False


def changed_keys(old: object, new: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The paths at which two configurations differ; of something that one of them lacks, its own."""
    if isinstance(old, BaseModel) and isinstance(new, BaseModel) and type(old).model_fields.keys() == type(new).model_fields.keys():
        before, after = _fields(old), _fields(new)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        before, after = cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", new)
    else:
        if old != new:
            yield path
        return
    for name in dict.fromkeys((*before, *after)):
        if name in before and name in after:
            yield from changed_keys(before[name], after[name], (*path, name))
        else:
            yield (*path, name)


def _fields(model: BaseModel) -> dict[str, Any]:
    own = {to_camel(name): getattr(model, name) for name in type(model).model_fields}
    return own | dict(model.__pydantic_extra__ or {})


def _taken(old: Any, new: Any, path: KeyPath, live: set[KeyPath]) -> Any:
    """`old` with what is at the live paths of `new`."""
    if path in live:
        return new
    if not any(each[: len(path)] == path for each in live):
        return old
    if isinstance(old, BaseModel):
        names = {name: to_camel(name) for name in type(old).model_fields}
        made = old.model_copy(
            update={name: _taken(getattr(old, name), getattr(new, name), (*path, shown), live) for name, shown in names.items()}
        )
        if old.__pydantic_extra__:
            extra = {
                name: _taken(value, new.__pydantic_extra__.get(name), (*path, name), live) for name, value in old.__pydantic_extra__.items()
            }
            object.__setattr__(made, "__pydantic_extra__", extra)
        return made
    taken = {name: _taken(value, new.get(name), (*path, name), live) for name, value in old.items()}
    return {name: value for name, value in taken.items() if name in new or (*path, name) not in live} | {
        name: value for name, value in new.items() if name not in old and (*path, name) in live
    }
