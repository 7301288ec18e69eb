"""/v1/channels: what channels there are, set up and switched off while the server runs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Final, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from assistant.api.answers import Answer, ListAnswer
from assistant.api.openapi import endpoint, errors
from assistant.contracts.channels import ChannelKind
from assistant.contracts.records import record

_PATH: Final = "/v1/channels"
_SHORT, _LONG = StringConstraints(max_length=200), StringConstraints(max_length=20_000)


class NeedAnswer(Answer):
    """A setting without which the channel does not work."""

    key: str = Field(description="In the channel's section.")
    asks: str = Field(description="What it is, and where it comes from.")
    default: str
    optional: bool
    secret: bool = Field(description="It is kept apart from the configuration, and never shown.")


class ChannelKindAnswer(Answer):
    object: Literal["channel"] = "channel"
    name: str
    title: str
    about: str
    enabled: bool
    called: bool = Field(description="Its platform calls this server, at /channels/{name}, which it must be able to reach.")
    needs: list[NeedAnswer]


class ChannelKindList(ListAnswer[ChannelKindAnswer]):
    pass


class ChannelSettingsGiven(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    settings: dict[Annotated[str, _SHORT], Annotated[str, _LONG]] = Field(
        default_factory=dict[str, str], max_length=100, description="By the keys of `needs`. What is configured already need not be given."
    )
    owner: Annotated[str, _SHORT] | None = Field(default=None, description="Your own id on the platform: you may write. null: as it was.")


class ChannelChanged(Answer):
    object: Literal["channel.changed"] = "channel.changed"
    name: str
    account: str | None = Field(description="Whose credentials they are, as the platform says; null: it was switched off.")
    applied: list[str] = Field(description="The keys that hold now.")
    waiting: list[str] = Field(description="Each with why it holds from the next start on.")


@record
class ChangedChannel:
    """What a change of a channel's section led to."""

    account: str | None
    applied: Sequence[str]
    waiting: Sequence[str]


@record
class ChannelSetupEndpoints:
    offers: Callable[[], Sequence[tuple[ChannelKind, bool]]]
    """(a kind, whether it is enabled) of each. Blocks."""
    set_up: Callable[[str, Mapping[str, str], str | None], Awaitable[ChangedChannel]]
    """(name, answers to its needs, owner's id). Raises NotFound, InvalidRequest."""
    switch_off: Callable[[str], Awaitable[ChangedChannel]]
    """Raises as `set_up`."""

    @endpoint("GET", _PATH, "List the channels that there are", scope="admin", responses=errors(401, 503))
    def index(self) -> ChannelKindList:
        """With what each needs."""
        return ChannelKindList(data=[_shown(kind, enabled) for kind, enabled in self.offers()], has_more=False)

    @endpoint("POST", _PATH + "/{name}", "Set up a channel", scope="admin", responses=errors(400, 401, 404, 503))
    async def add(self, request: Request, name: str, given: ChannelSettingsGiven) -> ChannelChanged:
        """Asks the platform whose credentials they are, writes them into the configuration (comments stay), and connects. Where the platform
        refuses them, nothing is written."""
        return _changed(name, await self.set_up(name, given.settings, given.owner))

    @endpoint("DELETE", _PATH + "/{name}", "Switch off a channel", scope="admin", responses=errors(400, 401, 404, 503))
    async def remove(self, request: Request, name: str) -> ChannelChanged:
        """Its settings stay, so that it can be switched on again; what waits for it waits."""
        return _changed(name, await self.switch_off(name))


def _changed(name: str, to: ChangedChannel) -> ChannelChanged:
    return ChannelChanged(name=name, account=to.account, applied=list(to.applied), waiting=list(to.waiting))


def _shown(kind: ChannelKind, enabled: bool) -> ChannelKindAnswer:
    needs = [
        NeedAnswer(key=need.key, asks=need.asks, default=need.default, optional=need.optional, secret=bool(need.env)) for need in kind.needs
    ]
    return ChannelKindAnswer(
        name=kind.name, title=kind.title or kind.name, about=kind.about, enabled=enabled, called=kind.called, needs=needs
    )
