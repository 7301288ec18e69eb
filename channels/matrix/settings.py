"""The `channels.matrix` section of the configuration."""

import re
from typing import Final, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from assistant.contracts.channels import SenderId
from channels.settings import ChatSettings, GroupPolicy, OptionalText, SecretText

USER: Final = re.compile(r"@[^:\s]{1,200}:[^\s/]{1,200}")
"""https://spec.matrix.org/latest/appendices/#user-identifiers"""


class MatrixSettings(ChatSettings):
    """An account of its own on a home server, with its access token, or its user id and password."""

    homeserver: str = "https://matrix.org"
    """The home server's address."""
    user_id: OptionalText = None
    """The account's id, `"@nanobot:example.org"`; wanted with `password`."""
    access_token: SecretText = None
    """The account's access token. It belongs to one device: use it nowhere else."""
    password: SecretText = None
    """The account's password, where no `accessToken` is set. The login is made once, and kept with the notes of the channel."""
    device_id: OptionalText = None
    """The device to log in as with `password`. null: a new one, kept from then on."""
    allow_from: tuple[SenderId, ...] = ()
    """Ids of senders who may write: `"@anna:example.org"`. Empty: only paired senders. `"*"`: everybody."""
    groups: GroupPolicy = "mention"
    """Which messages in rooms with more than two members are read, from those who may write: `"mention"`: those that mention the account, answer it,
    or are in a thread that it has written in; `"all"`: every message; `"off"`: nothing. nanobot's `groupPolicy` is its old name."""
    join: Literal["invited", "off"] = "invited"
    """Whether invitations are accepted: to a direct chat from any sender (a stranger gets a pairing code there), to another room from
    those who may write. `"off"`: none."""
    allow_bots: bool = False
    """Whether notices (`m.notice`, as other bots write them) are read, under the rules for people. They are material, not a person's wish. After
    three in a row, a person has to write to the assistant there first, so that bots never answer each other for ever."""
    react_emoji: str = "👀"
    """The reaction to an accepted message; empty: none."""
    read_receipts: bool = True
    """Whether accepted messages are marked as read."""
    reply_to_message: bool = False
    """Whether answers in direct chats refer to the message that they answer, too; in groups they always do."""
    encryption: bool = Field(default=True, validation_alias=AliasChoices("encryption", "e2eeEnabled", "e2ee_enabled"))
    """Whether encrypted rooms are read and written, where the extra `matrix` is installed. nanobot's `e2eeEnabled` is its old name."""

    @property
    def quotes_in_private(self) -> bool:
        return self.reply_to_message

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.homeserver.startswith(("https://", "http://")):
            raise ValueError('homeserver is an address: "https://matrix.org"')
        if self.user_id is not None and not USER.fullmatch(self.user_id):
            raise ValueError('userId is written "@name:server"')
        return self
