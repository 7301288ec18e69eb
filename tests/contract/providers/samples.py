"""Requests and providers that the tests of the providers share."""

from assistant.contracts.messages import AssistantMessage, Document, Image, Message, Text, ToolCall, ToolMessage, UserMessage
from assistant.contracts.models import EmitText, ModelInfo, ModelProvider, ModelRequest, Sampling, ToolSpec
from assistant.providers.anthropic import AnthropicProvider
from assistant.providers.http import ProviderEndpoint
from assistant.providers.openai import OpenAIProvider
from assistant.providers.settings import ProviderSettings
from tests.doubles.model_server import ModelServer

KEY = "sk-test-0123456789abcdefghij"


def user(text: str, *, id: str = "msg_user") -> UserMessage:
    return UserMessage(id=id, parts=(Text(text=text),))


def request(
    text: str = "hello", *, stream: bool = False, messages: tuple[Message, ...] = (), sampling: Sampling | None = None
) -> ModelRequest:
    return ModelRequest(
        instructions=("You are kind.",), messages=(*messages, user(text)), stream=stream, sampling=sampling or Sampling(), tools=(TOOL,)
    )


TOOL = ToolSpec(name="read_file", description="Reads a file.", parameters={"type": "object", "properties": {"path": {"type": "string"}}})
PICTURE = Image(attachment_id="att_1", name="cat.png", media_type="image/png", width=4, height=3, size=2_000, original="PNG, 4×3")
REPORT = Document(attachment_id="att_2", name="report.pdf", format="pdf", size=48_200, facts=("2 pages",), text="# Costs\n\nThey rose.")
CALLS = (ToolCall(id="call_1", name="read_file", arguments='{"path": "a"}'), ToolCall(id="call_2", name="x", arguments="{oops"))
ROUND: tuple[Message, ...] = (
    user("what does it say?", id="msg_1"),
    AssistantMessage(id="msg_2", tool_calls=CALLS),
    ToolMessage(id="msg_3", call_id="call_1", name="read_file", text="forty-two"),
    ToolMessage(id="msg_4", call_id="call_2", name="x", text="no such tool", ok=False),
)


def target(server: ModelServer, wire: str = "openai", *, model: str = "some-model", **settings: object) -> ProviderEndpoint:
    configured = ProviderSettings.model_validate({"apiBase": server.url, **settings})
    return ProviderEndpoint(provider=wire, model=model, key=KEY, settings=configured)


def wire_provider(server: ModelServer, wire: str = "openai", *, model: str = "some-model", **settings: object) -> ModelProvider:
    reached = target(server, wire, model=model, **settings)
    return AnthropicProvider(reached) if wire == "anthropic" else OpenAIProvider(reached)


def unheard(text: str, /, *, reasoning: bool = False) -> None:
    """For requests whose text does not matter."""


def into(heard: list[str], thoughts: list[str] | None = None) -> EmitText:
    """Notes the pieces of what is said, and those of the thoughts where they are wanted."""

    def emit(text: str, /, *, reasoning: bool = False) -> None:
        if not reasoning:
            heard.append(text)
        elif thoughts is not None:
            thoughts.append(text)

    return emit


class ScriptedProvider:
    """Does in turn what it is told: raise an error, or say words (and then, perhaps, raise)."""

    def __init__(self, *acts: Exception | str | tuple[str, Exception], context_tokens: int = 1000, name: str = "scripted") -> None:
        self.acts = list(acts)
        self.calls = 0
        self._info = ModelInfo(id=name, provider=name, context_tokens=context_tokens)

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        self.calls += 1
        act = self.acts.pop(0)
        if isinstance(act, Exception):
            raise act
        words, error = act if isinstance(act, tuple) else (act, None)
        emit(words)
        if error is not None:
            raise error
        return AssistantMessage(id="msg_answer", text=words, model=self._info.id)

    async def probe(self) -> None:
        act = self.acts.pop(0)
        if isinstance(act, Exception):
            raise act

    async def close(self) -> None:
        self.acts.clear()
