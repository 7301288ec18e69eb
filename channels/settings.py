"""Settings that several channels have."""

import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr
from pydantic.alias_generators import to_camel

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, ChannelSettings
from assistant.contracts.errors import InvalidAddress

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError("a name has lower-case letters, digits, - and _")
    return name


def check_name(address: Address, thing: str, names: Collection[str]) -> Address:
    """The address, whose chat_id is the name of a hook or a service. `names`: those there are; none: any. Raises InvalidAddress."""
    if not NAME.fullmatch(address.chat_id):
        raise InvalidAddress(f"The chat_id of a {thing} is its name: lower-case letters, digits, - and _.", param="chat_id")
    if names and address.chat_id not in names:
        raise InvalidAddress(f"There is no {thing} {address.chat_id!r}. There are: {', '.join(sorted(names))}.", param="chat_id")
    return address


def check_thread(address: Address, platform: str) -> None:
    """Raises InvalidAddress for an address with a thread: this platform has none."""
    if address.thread_id is not None:
        raise InvalidAddress(f"{platform} has no threads.", param="thread_id")


def check_set(channel: str, settings: ChannelSettings, *names: str) -> None:
    """Raises ChannelFailed where one of these settings is empty."""
    if missing := [f"channels.{channel}.{to_camel(name)}" for name in names if not getattr(settings, name)]:
        raise ChannelFailed(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.", fatal=True)


def check_ways(key: str, ways: Collection[tuple[str, str | None]]) -> None:
    """`ways`: (what is published to, what is read) of each topic; `key`: of what is read. Raises ValueError where the assistant would read itself, or
    could not tell who writes."""
    read = [back for _, back in ways if back is not None]
    if echoes := sorted({out for out, _ in ways} & set(read)):
        raise ValueError(f"{key} needs a topic that nothing is published to, else the assistant would read itself: {', '.join(echoes)}")
    if len(read) != len(set(read)):
        raise ValueError(f"each of topics needs {key} of its own: a message's sender is known by its topic")


def is_loopback(host: str) -> bool:
    """Whether a server is on this machine, so that nothing between can read along."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def revealed(*secrets: SecretStr | None) -> tuple[str, ...]:
    """What they hold, without blanks around it; empty: it is not set."""
    return tuple(each.get_secret_value().strip() if each is not None else "" for each in secrets)


Port = Annotated[int, Field(ge=1, le=65535)]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: value.split(",") if isinstance(value, str) else value)]
"""May be written as one text with commas."""
BLANK_IS_NONE: Final = BeforeValidator(lambda value: None if isinstance(value, str) and not value.strip() else value)
"""An empty environment variable counts as unset."""
OptionalText = Annotated[str | None, BLANK_IS_NONE]
SecretText = Annotated[SecretStr | None, BLANK_IS_NONE]
ChannelName = Annotated[str, AfterValidator(_name)]
"""The name of a hook or a service: the chat_id of its address."""
GroupPolicy = Annotated[
    Literal["off", "mention", "all"],
    BeforeValidator(lambda value: "all" if value == "open" else value),
    Field(validation_alias=AliasChoices("groups", "groupPolicy")),
]
"""nanobot's `groupPolicy` ("open", "mention") is its old name."""
PreviewMode = Annotated[
    Literal["off", "edit"],
    BeforeValidator(lambda value: ("edit" if value else "off") if isinstance(value, bool) else value),
    Field(validation_alias=AliasChoices("preview", "streaming")),
]
"""nanobot's `streaming` (true: "edit") is its old name."""


class ChatSettings(ChannelSettings):
    """Settings of channels whose platform has groups, bots, reactions and edits."""

    groups: GroupPolicy = "mention"
    """Which messages in groups are read, from those who may write: those that mention the assistant, answer it or are one of its commands
    (`"mention"`), every one (`"all"`), or none (`"off"`). nanobot's `groupPolicy` (`"open"`, `"mention"`) is its old name."""
    allow_bots: bool = False
    """Whether messages of other bots are read, under the rules for people (`allowFrom` names them by their ids). They are material, not a
    person's wish. After three in a row, a person has to write to the assistant there first, so that bots never answer each other for ever."""
    react_emoji: str = "eyes"
    """The name of the reaction to an accepted message, without colons; empty: none."""
    preview: PreviewMode = "off"
    """Whether an answer is shown while it is made, by edits of one message. nanobot's `streaming` (true: `"edit"`) is its old name."""
    proxy: OptionalText = None
    """A proxy: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. null: what the environment says (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
