"""The `channels.signal` section of the configuration."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AliasChoices, Field, field_validator, model_validator

from assistant.contracts.channels import ChannelSettings
from channels.settings import BLANK_IS_NONE, GroupPolicy

_DAEMON: Final = re.compile(r"https?://\S+|tcp://[^\s/]+:\d{1,5}|unix:/\S+")


class SignalSettings(ChannelSettings):
    """A Signal account, by signal-cli. `allowFrom` and `owners` hold account ids (`/id` shows one's own): numbers can change hands."""

    account: Annotated[str, Field(validation_alias=AliasChoices("account", "phoneNumber"))] = ""
    """The assistant's own number (`"+491701234567"`), or its account id. nanobot's `phoneNumber` is its old name."""
    daemon: str = "http://127.0.0.1:8080"
    """Where signal-cli's daemon listens: `http://…` (`daemon --http`), `tcp://127.0.0.1:7583` (`--tcp`) or `unix:/run/signal-cli/socket`
    (`--socket`). nanobot's `daemonHost` and `daemonPort` are its old form."""
    subscribe: bool = False
    """Whether to ask for messages (`subscribeReceive`): for a daemon on a socket with `--receive-mode=manual`."""
    attachments_dir: Annotated[Path | None, BLANK_IS_NONE] = None
    """signal-cli's folder of attachments, where this server can read it. null: they are asked for."""
    groups: GroupPolicy = "mention"
    """Which messages in groups are read: none (`"off"`), those that mention the assistant, answer it or are one of its commands (`"mention"`), or
    all (`"all"`). Only from senders who may write."""
    react_emoji: str = "👀"
    """The reaction to an accepted message, which is marked as read as well; empty: neither."""

    @model_validator(mode="before")
    @classmethod
    def _host_and_port(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        values: dict[str, Any] = {**given}  # pyright: ignore[reportUnknownVariableType] - checked below
        host = values.pop("daemonHost", values.pop("daemon_host", None))
        port = values.pop("daemonPort", values.pop("daemon_port", None))
        if "daemon" not in values and (host or port):
            values["daemon"] = f"http://{host or 'localhost'}:{port or 8080}"
        return values

    @field_validator("daemon")
    @classmethod
    def _known_form(cls, value: str) -> str:
        if not _DAEMON.fullmatch(value):
            raise ValueError('daemon is "http://host:port", "tcp://host:port" or "unix:/path"')
        return value

    @model_validator(mode="after")
    def _can_subscribe(self) -> Self:
        if self.subscribe and self.daemon.startswith("http"):
            raise ValueError("subscribe is for a daemon on a socket: by HTTP, messages come by themselves")
        return self
