"""The port to a kind of tool: its settings, and how one is opened."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelDirectory
from assistant.contracts.outbox import Deliveries, Delivery, MediaFiles
from assistant.contracts.sessions import SessionFiles
from assistant.contracts.tools import Tool, ToolContext
from assistant.contracts.util import Settings

if TYPE_CHECKING:
    from aiohttp import ClientSession


class NoSettings(Settings):
    """A tool without settings."""


class RecipientCheck(Protocol):
    """Decides which chats an agent may write to; implemented by assistant.access.recipients."""

    async def refusal(self, address: Address, ctx: ToolContext) -> str | None:
        """Why a message to `address` is refused, and what to do instead, in words for the model; None: it is allowed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolServices:
    """What a tool may use, besides its settings. One for each agent."""

    workspace: Path
    """The agent's folder. `tools.workspace.Workspace` opens files in it safely."""
    attachments: SessionFiles
    """The files of sessions."""
    deliveries: Deliveries
    """The outbox."""
    channels: ChannelDirectory
    recipients: RecipientCheck
    """Ask it before every send: it knows the agent's `mayMessage`."""
    media: MediaFiles
    """Files that messages carry."""
    describe: Callable[[Delivery, bool], str]
    """(delivery, whether its channel is enabled) → one true sentence about it."""
    expire_after: timedelta
    """`deliver.expireAfter`."""
    receipt_wait: float
    """`deliver.receiptWait`, in seconds."""
    http: Callable[[], "ClientSession"]
    """Opens an HTTP session with this program's User-Agent, time limits, and the environment's proxies. The tool closes it in `close`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolKind:
    """A kind of tool. Packages offer theirs by the entry-point group `nanobot.tools`, under the tool's name."""

    name: str
    """The name that the model calls, and of its section in the configuration: `tools.<name>`."""
    open: Callable[[Any, ToolServices], Tool[Any]]
    """(settings, services) → the tool. Does no I/O; runs on the event loop, once for each agent that may use it."""
    settings: type[Settings] = NoSettings
