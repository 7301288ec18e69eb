"""Settings that several channels have."""

import re
from collections.abc import Collection
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr

from assistant.contracts.addresses import Address
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
