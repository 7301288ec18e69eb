"""Where a stored transcript becomes what a provider takes: a table of rules by provider, and a pure pass by them, message by message.

What a model said is stored as it came; another provider, or the same one a turn later, may refuse it for ever. Here calls get ids, names and
arguments that their receiver takes, results follow their calls, and what one provider wants back goes to no other. The pass looks back only, so
that a transcript that grew keeps its beginning, byte for byte: a provider's prompt cache needs that.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import orjson

from assistant.contracts.messages import NO_EXTRAS, AssistantMessage, CutOff, Json, Message, Text, ToolCall, ToolMessage, UserMessage
from assistant.contracts.models import LeftOut, ModelRequest, ToolSpec
from assistant.contracts.records import record
from assistant.contracts.util import replace_surrogates

NO_WORDS: Final = "[No words.]"
"""Stands where a message says nothing: empty contents are refused, or answered with errors."""
UNSIGNED: Final[dict[str, Json]] = {"google": {"thought_signature": "skip_thought_signature_validator"}}
EARLIER: Final = "[The beginning of this conversation is not shown.]"
NOT_RUN: Final = "No result: this call was not run to its end."
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_PLAIN_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MOST_WRAPPED: Final = 10_000
"""Characters that are kept of arguments that are no object: they were not run, and a provider may count them."""
_MOST_REMEMBERED: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TranscriptRules:
    """What a provider demands of the messages it is sent. Equal if it is the same object: forms are compared by it with every request."""

    ids: re.Pattern[str] = re.compile(r"[\x21-\x7e]{1,40}")
    """Of calls. One that does not match, or was used before, gets a new one, the same in every request.
    OpenAI refuses more than 40 characters ("string too long", param messages[].tool_calls[].id)."""
    names: re.Pattern[str] = _NAME
    joins: bool = True
    """Neighbours of one side become one message: chat templates (Gemma's, Mistral's, Llama 2's) raise where the roles do not alternate."""
    user_first: bool = True
    answers_results: bool = False
    """The assistant speaks between a result and the user (mistral-common's `_validate_message_order`: "Unexpected role 'user' after role 'tool'")."""
    names_results: bool = False
    """A result carries the name of its tool (Gemini: "function_response.name: Name cannot be empty")."""
    reasoning_beside_calls: bool = False
    """A message with calls must have `reasoning_content`, be it empty (DeepSeek's thinking mode, Kimi: "reasoning_content is missing in assistant
    tool call message")."""
    signs_calls: bool = False
    """The first call of a step has a thought signature: Gemini 3 refuses calls of the running turn without one, and takes this for those that other
    models made ("thought signatures", the questions at the end)."""
    extras: bool = True
    """Whether a message may have fields besides OpenAI's own; OpenAI itself has none to give back."""


_OPENAI: Final = TranscriptRules(joins=False, user_first=False, extras=False)
_MISTRAL_IDS: Final = re.compile(r"[a-zA-Z0-9]{9}")
"""mistral-common: "Tool call id was … but must be a-z, A-Z, 0-9, with a length of 9."; also what vLLM's Mistral tokenizer checks."""
_MISTRAL: Final = TranscriptRules(ids=_MISTRAL_IDS, answers_results=True)
_ANTHROPIC: Final = TranscriptRules(ids=_PLAIN_ID, joins=False)  # the wire joins them, block by block
"""Ids by "String should match pattern '^[a-zA-Z0-9_-]+$'"; "messages: first message must use the user role"."""
_GEMINI: Final = TranscriptRules(names=re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}"), names_results=True, signs_calls=True)
"""Names as in FunctionDeclaration.name ("must start with a letter or an underscore"); "function call turn comes immediately after a user turn"."""
_THINKS_ALOUD: Final = TranscriptRules(reasoning_beside_calls=True)
_GENERAL: Final = TranscriptRules()
_BY_PROVIDER: Final = {
    "openai": _OPENAI,
    "azure_openai": _OPENAI,
    "mistral": _MISTRAL,
    "gemini": _GEMINI,
    "deepseek": _THINKS_ALOUD,
    "moonshot": _THINKS_ALOUD,
    "xiaomi_mimo": _THINKS_ALOUD,
}
_BY_HOST: Final = {
    "api.openai.com": _OPENAI,
    "api.mistral.ai": _MISTRAL,
    "generativelanguage.googleapis.com": _GEMINI,
    "api.deepseek.com": _THINKS_ALOUD,
    "api.moonshot.ai": _THINKS_ALOUD,
    "api.moonshot.cn": _THINKS_ALOUD,
}
_MISTRALS: Final = re.compile(r"mi[sx]tral|devstral|codestral|magistral|pixtral", re.IGNORECASE)


def rules_for(*, wire: str, provider: str, origin: str, model: str) -> TranscriptRules:
    """By the wire, the provider's name or its host, and the family of the model where another server runs it."""
    if wire == "anthropic":
        return _ANTHROPIC
    known = _BY_PROVIDER.get(provider) or _BY_HOST.get(origin.partition("://")[2].partition(":")[0])
    if known is None and _MISTRALS.search(model):
        return _MISTRAL
    return known or _GENERAL


@record
class PromptForm:
    """In what form one model gets a transcript. Prompts of one form, and of one conversation, have the same beginning."""

    provider: str
    rules: TranscriptRules
    tools: frozenset[str] = frozenset()
    """The names of the request's tools that do not fit the rules: they are the caller's, and stay."""
    without: frozenset[LeftOut] = frozenset()

    def keeps_extras(self, message: AssistantMessage) -> bool:
        """Whether what came with this message goes back: to the provider it came from, and where a client sent it along."""
        return self.rules.extras and "extras" not in self.without and message.provider in {self.provider, ""}

    def tells(self, message: AssistantMessage) -> bool:
        """Whether its calls become words."""
        return "calls" in self.without or ("foreign calls" in self.without and message.provider != self.provider)


class RulesOf:
    """The rules of one model, and the form that each request has by them."""

    def __init__(self, *, wire: str, provider: str, origin: str, model: str) -> None:
        self._provider = provider
        self._rules = rules_for(wire=wire, provider=provider, origin=origin, model=model)
        self._tools: tuple[ToolSpec, ...] = ()
        self._odd: frozenset[str] = frozenset()
        """The names of the tools asked about last that do not fit."""
        self._form: PromptForm | None = None
        """The one given last: a conversation keeps its form, and most have the same."""
        self._clients = replace(self._rules, joins=False, user_first=False, answers_results=False)

    def form(self, request: ModelRequest) -> PromptForm:
        """The order of a client's own messages is the client's; only what every server refuses is put right."""
        rules = self._rules if request.conversation else self._clients
        if self._tools is not request.tools:
            self._tools = request.tools
            self._odd = frozenset([tool.name for tool in request.tools if not rules.names.fullmatch(tool.name)])
        form, without = self._form, request.without - {"pictures"} if request.without else request.without
        if form is None or form.rules is not rules or form.tools != self._odd or form.without != without:
            form = self._form = PromptForm(provider=self._provider, rules=rules, tools=self._odd, without=without)
        return form


class TranscriptPass:
    """One pass over a transcript, in order. It keeps what later messages depend on: the ids given out, and the calls that wait for results."""

    __slots__ = ("_form", "_ids", "_last", "_late", "_open", "_orders", "_told", "waits")

    def __init__(self, form: PromptForm) -> None:
        self._form = form
        self._ids: set[str] = set()
        self._open: list[tuple[str, ToolCall]] = []
        """The calls of the last step without a result: (the id as stored, the call as sent)."""
        self._told: frozenset[str] = frozenset()
        """The ids of calls of the last step that became words."""
        self._late: list[Message] = []
        """Results of other calls, in words, which wait until those of the last step are there."""
        self._last: Message | None = None
        rules = form.rules
        self._orders = rules.joins or rules.user_first or rules.answers_results
        self.waits = False
        """Whether something has to be added where the transcript ends."""

    def add(self, message: Message) -> tuple[bool, list[Message]]:
        """Take the next message; returns what it becomes, and whether the first of that replaces what came last."""
        made: list[Message] = []
        match message:
            case ToolMessage():
                made = self._result(message)
            case AssistantMessage():
                plain = not message.tool_calls and not message.extras and message.text.isascii() and "\0" not in message.text
                sent = message if plain else self._step(message)
                made = [*self._closing(), sent] if self.waits else [sent]
                self._open = [(call.id, as_sent) for call, as_sent in zip(message.tool_calls, sent.tool_calls, strict=False)]
                self._late = []
            case _:
                fits = all(
                    part.kind == "image" or (part.text.isascii() and "\0" not in part.text and part.text.strip()) for part in message.parts
                )
                asked = message if fits and message.parts else _clean_user(message)
                made = [*self._closing(), asked] if self.waits else [asked]
                self._open, self._late = [], []
        self.waits = bool(self._open or self._late)
        last = self._last
        if self._orders and not (len(made) == 1 and last is not None and last.role != made[0].role and made[0].role != "user"):
            return self._join(made)
        self._last = made[-1] if made else last
        return False, made

    def rest(self) -> tuple[bool, list[Message]]:
        """As `add`: what ends the transcript as it is now, a result for each call that has none. It changes nothing."""
        last = self._last
        ended = self._join(self._closing())
        self._last = last
        return ended

    def _closing(self) -> list[Message]:
        closed = [ToolMessage(id=f"{sent.id}_none", call_id=sent.id, name=sent.name, text=NOT_RUN, ok=False) for _, sent in self._open]
        return [*closed, *self._late]

    def _step(self, message: AssistantMessage) -> AssistantMessage:
        self._told = frozenset()
        if message.tool_calls and self._form.tells(message):
            self._told = frozenset([call.id for call in message.tool_calls])
            told = "\n".join(f"[Called {call.name[:64]} with {call.arguments[:_MOST_WRAPPED]}]" for call in message.tool_calls)
            text = f"{message.text}\n\n{told}" if message.text.strip() else told
            return replace(message, text=_clean(text), tool_calls=(), extras=NO_EXTRAS, reasoning="")
        keeps = self._form.keeps_extras(message)
        calls = tuple([self._call(call, keeps=keeps) for call in message.tool_calls])
        text = _clean(message.text)
        extras = message.extras if keeps else NO_EXTRAS
        if (
            extras == message.extras
            and text == message.text
            and all(sent is call for sent, call in zip(calls, message.tool_calls, strict=True))
        ):
            return message
        return replace(message, text=text, tool_calls=calls, extras=extras)

    def _call(self, call: ToolCall, *, keeps: bool) -> ToolCall:
        given, tries = call.id, 0
        while given in self._ids or not self._form.rules.ids.fullmatch(given):
            given, tries = _made_id(call.id, tries, self._form.rules.ids), tries + 1
        self._ids.add(given)
        name = call.name if call.name in self._form.tools else fitting_name(call.name, self._form.rules.names)
        arguments = fitting_arguments(call.arguments)
        extras = call.extras if keeps else NO_EXTRAS
        if (given, name, arguments) == (call.id, call.name, call.arguments) and extras == call.extras:
            return call
        return ToolCall(id=given, name=name, arguments=arguments, extras=extras)

    def _result(self, message: ToolMessage) -> list[Message]:
        text = _clean(message.text) if message.text.strip() else "[No output.]"
        for place, (stored, sent) in enumerate(self._open):
            if stored == message.call_id:
                del self._open[place]
                if message.images:
                    about = Text(text=f"[Pictures that belong to the result of {sent.name}]")
                    self._late.append(UserMessage(id=f"{message.id}_pictures", parts=(about, *message.images)))
                same = (sent.id, sent.name, text) == (message.call_id, message.name, message.text)
                late, self._late = ([], self._late) if self._open else (self._late, [])
                return [message if same else replace(message, call_id=sent.id, name=sent.name, text=text), *late]
        about = (
            f"Result of {message.name[:64]}" if message.call_id in self._told else f"Result of {message.name[:64]}, whose call is not shown"
        )
        words = UserMessage(id=message.id, parts=(Text(text=_clean(f"{about}{'' if message.ok else ' (failed)'}:\n{text}"), quoted=True),))
        if not self._open:
            return [words]
        self._late.append(words)
        return []

    def _join(self, made: list[Message]) -> tuple[bool, list[Message]]:
        """Order by the rules: who may begin, who follows whom, and neighbours as one."""
        rules, placed = self._form.rules, list[Message]()
        replaces = False
        for message in made:
            last = placed[-1] if placed else self._last
            if last is None and rules.user_first and message.role != "user":
                placed.append(UserMessage(id=f"{message.id}_before", parts=(Text(text=EARLIER),)))
            elif last is not None and rules.answers_results and last.role == "tool" and message.role == "user":
                placed.append(AssistantMessage(id=f"{message.id}_before", text=NO_WORDS))
            elif rules.joins and last is not None and last.role == message.role and (joined := _joined(last, message)) is not None:
                if placed:
                    placed.pop()
                else:
                    replaces = True
                placed.append(joined)
                continue
            placed.append(message)
        self._last = placed[-1] if placed else self._last
        return replaces, placed


def _joined(last: Message, message: Message) -> Message | None:
    """Two messages of one side as one, without what the first one's provider wanted back; None where they can't be."""
    if isinstance(last, UserMessage) and isinstance(message, UserMessage):
        joined = replace(last, parts=(*last.parts, *message.parts))
        return joined if replace(joined, id=message.id, parts=message.parts) == message else None
    if isinstance(last, AssistantMessage) and isinstance(message, AssistantMessage) and not last.tool_calls:
        first = assistant_text(last)
        return replace(message, text=f"{first}\n\n{message.text}" if message.text else first)
    return None


_CUT_OFF: Final[dict[CutOff, str]] = {
    "interrupted": "[The answer ends here: the server stopped before it was whole.]",
    "failed": "[The answer ends here: the model's provider failed before it was whole.]",
    "cancelled": "[The answer ends here: the user stopped it.]",
    "timeout": "[The answer ends here: its time was up.]",
}


def assistant_text(message: AssistantMessage) -> str:
    """What the assistant said, with a note where it was cut off. Empty only beside tool calls."""
    if message.cut_off is not None:
        note = _CUT_OFF.get(message.cut_off, _CUT_OFF["interrupted"])
        return f"{message.text}\n\n{note}" if message.text.strip() else note
    return message.text if message.text.strip() else "" if message.tool_calls else NO_WORDS


def fitting_arguments(arguments: str) -> str:
    """The arguments of a call as a JSON object: as they are where they are one, else inside of one. vLLM, SGLang, llama.cpp and Ollama parse what
    they are sent back, and refuse the whole conversation where that fails."""
    try:
        value: object = orjson.loads(arguments) if arguments.strip() else None
    except ValueError:
        value = arguments
    if isinstance(value, dict):
        return arguments
    if value is None:
        return "{}"
    return orjson.dumps({"not_json": _clean(arguments[:_MOST_WRAPPED])}).decode()


@lru_cache(_MOST_REMEMBERED)
def fitting_name(name: str, pattern: re.Pattern[str] = _NAME) -> str:
    """A tool's name that fits: as it is, or with what does not fit replaced and a digest, so that no two become the same."""
    if pattern.fullmatch(name):
        return name
    stem = _NOT_NAME.sub("_", name)[:50].strip("_-") or "tool"
    return f"{stem if stem[0].isalpha() else f't_{stem}'}_{_digest(name, 6)}"


def _made_id(stored: str, tries: int, pattern: re.Pattern[str]) -> str:
    digest = _digest(f"{tries}:{stored}", 24)
    return digest[:9] if pattern is _MISTRAL_IDS else f"call_{digest}"


def _digest(text: str, length: int) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()[:length]


def _clean(text: str) -> str:
    """Without lone surrogates, which no encoding can write, and NUL, which some servers' databases refuse."""
    if text.isascii() and "\0" not in text:
        return text
    return replace_surrogates(text).replace("\0", "\ufffd")


def _clean_user(message: UserMessage) -> UserMessage:
    """With clean texts, and without those that say nothing."""
    parts = [part if part.kind == "image" else replace(part, text=_clean(part.text)) for part in message.parts]
    kept = tuple([part for part in parts if type(part) is not Text or part.text.strip()]) or (Text(text=NO_WORDS),)
    return message if kept == message.parts else replace(message, parts=kept)
