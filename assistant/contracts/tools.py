"""The ports to a tool, what the model can do besides talking, and to a kind of tool: its settings, and how one is opened."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from assistant.contracts.addresses import Address
from assistant.contracts.causes import MESSAGE, Cause
from assistant.contracts.channels import ChannelDirectory
from assistant.contracts.documents import DocumentReader, ReadDocument, ReadImage
from assistant.contracts.effects import Effect
from assistant.contracts.errors import UnsupportedFileType
from assistant.contracts.memory import MemoryTools, NoMemory
from assistant.contracts.messages import Image
from assistant.contracts.models import ToolSpec
from assistant.contracts.outbox import Deliveries, Delivery, MediaFiles
from assistant.contracts.people import Addressee, PeopleDirectory, UnknownPeople
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record
from assistant.contracts.sandbox import NoSandbox, Sandbox
from assistant.contracts.search import NoSearch, Search
from assistant.contracts.sessions import ONCE, SessionFiles
from assistant.contracts.skills import NoSkills, Skills
from assistant.contracts.tasks import TASK_SESSION, BackgroundRuns, Delegation, NoTasks
from assistant.contracts.util import Settings
from assistant.contracts.voice import NoVoice, VoiceMessages
from assistant.contracts.web import NoPages, NoWebSearch, PageFetcher, WebSearch

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from assistant.contracts.schedules import ScheduleBook, ScheduleWords
    from assistant.contracts.turns import Upload

P = TypeVar("P", bound=BaseModel, contravariant=True)


@record
class ToolContext:
    """Who calls, and in which turn. A tool keeps no state of a session between calls."""

    owner: str
    session: str
    turn_id: str
    call_id: str
    """The model's own id of the call."""
    call_place: str = ""
    """The call's place in the turn, "<step>.<number>". It stays the same when a step that a crash cut off is repeated, whatever ids the model
    gives then, so (turn_id, call_place) identifies an effect that must happen once."""
    address: Address | None = None
    """The chat that the turn answers; None: a caller of the API, or no one."""
    cause: Cause = MESSAGE
    pictures: int = 0
    """How many pictures a result may bring; 0: the model takes none."""
    agent: str = ""
    caller: str = ""
    """As in `TurnRequest`, as are `asker`, `only_tools`, `within` and `inherits`; the person who is asked for approvals."""
    asker: str = ""
    only_tools: frozenset[str] | None = None
    within: tuple[str, ...] = ()
    inherits: frozenset[Provenance] = frozenset()
    approval: str = ""
    """The approval under which this very call runs; empty: none."""

    @property
    def goes_on(self) -> bool:
        """Whether a result can come back later: not to a request without a session, a job, or a helper."""
        return self.cause.kind != "job" and not self.session.startswith((ONCE, TASK_SESSION))


@record
class ToolResult:
    """What the model reads. Of a text longer than the toolbox allows, the beginning is passed on; the rest is kept and can be paged through."""

    text: str
    effects: tuple[Effect, ...] = ()
    """What the call changed for the person, once it is stored."""
    images: tuple[Image, ...] = ()
    """Pictures for the model, at most `ToolContext.pictures`, whose bytes are stored."""
    provenance: Provenance | None = None
    """Whose words it holds, where that is not what the tool usually brings."""


@runtime_checkable
class HappensOnce(Protocol):
    """A tool that changes something and may still be called again: it identifies its effect by (turn_id, call_place)."""

    happens_once: ClassVar[Literal[True]]


@runtime_checkable
class RunsBeside(Protocol):
    """A tool whose calls run side by side where they are neighbours in a step, although they change something."""

    runs_beside: ClassVar[Literal[True]]


@runtime_checkable
class ReportsEffects(Protocol):
    """A tool that changes something and says all of it in `ToolResult.effects`: where there are none, the call changed nothing."""

    reports_effects: ClassVar[Literal[True]]


@runtime_checkable
class ClosableTool(Protocol):
    """A tool that holds something open, such as an HTTP session."""

    async def close(self) -> None:
        """Called once, when the assistant stops and no call runs any more."""
        ...


@runtime_checkable
class ChangingTool(Protocol):
    """A tool that is offered as what it works on allows; a server looks every two seconds."""

    def offered(self, spec: ToolSpec) -> ToolSpec | None:
        """`spec`, the tool's own, as it is now; None: it is not offered. The same object while nothing changes. Costs next to nothing."""
        ...


class Tool(Protocol[P]):
    """One thing that the model can do. A `ToolKind` opens it. A `ClosableTool` is closed at the end.

    `params` is a pydantic model: its JSON Schema, with the field descriptions, is what the model sees, and its validation runs before `run`.
    `reads_only`: it changes nothing, so calls may run side by side and be repeated. `timeout`: seconds, after which the call is cancelled.
    `run` raises ToolFailed with words for the model; anything else it raises is a bug, logged, and told to the model as "failed".
    """

    name: ClassVar[str]
    description: ClassVar[str]
    params: ClassVar[type[BaseModel]]
    reads_only: ClassVar[bool]
    timeout: ClassVar[float]

    async def run(self, params: P, ctx: ToolContext) -> ToolResult: ...


@runtime_checkable
class HasSpec(Protocol):
    """A tool that was described elsewhere: the model sees that schema as it is, and `params` takes any object."""

    @property
    def spec(self) -> ToolSpec: ...


SessionTools = Callable[[str, str], Awaitable[Sequence[Tool[Any]]]]
"""(owner, session) → the tools that an agent has besides its own, as of now: the same object as before where nothing changed."""


class TurnTool(Protocol):
    """A tool that a single turn brings along; the caller runs it. It counts as one that changes something.

    The arguments are the model's, an unchecked object. `timeout` and what `run` raises are as in `Tool`.
    """

    @property
    def spec(self) -> ToolSpec: ...

    @property
    def timeout(self) -> float: ...

    async def run(self, arguments: dict[str, Any], ctx: ToolContext) -> ToolResult: ...


class NoSettings(Settings):
    """A tool without settings."""


class RecipientCheck(Protocol):
    """Decides which chats an agent may write to; implemented by assistant.access.recipients."""

    async def person(self, wanted: str, ctx: ToolContext) -> Addressee:
        """The person who is meant by "me", a name or an id, and where they are reached. Raises InvalidAddress; StoreUnavailable."""
        ...

    async def refusal(self, address: Address, ctx: ToolContext, *, to: Addressee | None = None) -> str | None:
        """Why a message to `address` is refused, and what to do instead, in words for the model; None: it is allowed. `to`: the person whose address
        it is."""
        ...

    async def was_said(self, text: str, ctx: ToolContext) -> bool:
        """Whether the user's own words in this session contain the text, as a URL or a path."""
        ...


class NoReader:
    """Reads no documents: for tools that are tried without a server."""

    reads_words = False

    async def read(self, upload: "Upload", *, words: bool = False) -> ReadDocument | ReadImage:
        raise UnsupportedFileType(f"{upload.name} is a document, and nothing here reads those.")


@record
class ToolServices:
    """What a tool may use, besides its settings. One for each agent."""

    agent: str
    """The agent that has the tool."""
    workspace: Path
    """The agent's folder. `tools.workspace.Workspace` opens files in it safely."""
    attachments: SessionFiles
    deliveries: Deliveries
    channels: ChannelDirectory
    recipients: RecipientCheck
    """Ask it before every send: it knows the agent's `mayMessage`."""
    schedules: "ScheduleBook"
    times: "ScheduleWords"
    media: MediaFiles
    describe: Callable[[Delivery, bool], str]
    """(delivery, whether its channel is enabled) → one true sentence about it."""
    expire_after: timedelta
    """`deliver.expireAfter`."""
    receipt_wait: float
    """`deliver.receiptWait`, in seconds."""
    http: Callable[[], "ClientSession"]
    """Opens an HTTP session with this program's User-Agent, time limits, and the environment's proxies. The tool closes it in `close`."""
    memories: MemoryTools = field(default_factory=NoMemory)
    search: Search = field(default_factory=NoSearch)
    tasks: Delegation = field(default_factory=NoTasks)
    runs: BackgroundRuns = field(default_factory=NoTasks)
    people: PeopleDirectory = field(default_factory=UnknownPeople)
    reader: DocumentReader = field(default_factory=NoReader)
    folder_bytes: int = 1024**3
    """How much a person's folder may hold, and the common one: `files.quotaMib`."""
    pages: PageFetcher = field(default_factory=NoPages)
    web: WebSearch = field(default_factory=NoWebSearch)
    skills: Skills = field(default_factory=NoSkills)
    sandbox: Sandbox = field(default_factory=NoSandbox)
    voice: VoiceMessages = field(default_factory=NoVoice)


@record
class ToolKind:
    """A kind of tool. Packages offer theirs by the entry-point group `nanobot.tools`, under the tool's name."""

    name: str
    """The name that the model calls, and of its section in the configuration: `tools.<name>`."""
    open: Callable[[Any, ToolServices], Tool[Any]]
    """(settings, services) → the tool. Does no I/O; runs on the event loop, once for each agent that may use it."""
    settings: type[Settings] = NoSettings
    needs_sandbox: bool = False
    """On a machine without a sandbox the tool is left out."""
