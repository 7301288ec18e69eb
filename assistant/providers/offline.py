"""The stand-in where no model is configured: a chat that explains this and does what needs no model, and embeddings by the words of a text."""

import asyncio
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from typing import Final

from assistant.contracts.causes import Payer
from assistant.contracts.errors import ContextLengthExceeded, InvalidRequest
from assistant.contracts.messages import AssistantMessage, Document, Image, Json, Text, ToolCall, ToolMessage, Usage, UserMessage, describe
from assistant.contracts.models import EmbeddingInput, Embeddings, EmitText, ModelInfo, ModelRequest
from assistant.contracts.util import estimate_tokens, new_id
from assistant.providers.messages import estimate_prompt_tokens, only_texts

NO_MODEL = (
    "No model is configured, so this answer was made without one. To set one, in one line: OPENAI_API_KEY=<your key> nanobot serve "
    "(in a checkout: make serve). ANTHROPIC_API_KEY, OPENROUTER_API_KEY and GEMINI_API_KEY work as well, and so does a running Ollama."
)
MESSAGE, SCHEDULE = "message", "schedule"
_SEND = re.compile(
    r"""\bsend\s+["“”„«'](.{1,4000}?)["“”»']\s+to\s+([a-z][a-z0-9_-]{0,31})[\s:]\s*(\S{1,256}?)(?:\s+thread\s+(\S{1,256}?))?(?=[.,;!?]*(?:\s|$))""",
    re.IGNORECASE | re.DOTALL,
)
_WORDS_LOOKED_AT = 10_000
"""Characters of a message that are searched for what to do."""
_ASKED: Final = (
    ("recall", re.compile(r"what (?:do you|have you) (?:know|remember(?:ed)?) about (?:me|(?P<query>.+?))\W*", re.IGNORECASE)),
    (
        "recall",
        re.compile(r"(?:what do you remember|was weißt du (?:über (?:mich|(?P<query>.+?)))?|was hast du dir gemerkt)\W*", re.IGNORECASE),
    ),
    ("remember", re.compile(r"(?:please )?(?:remember|don't forget|keep in mind)(?: that|:)? (?P<text>.+)", re.IGNORECASE | re.DOTALL)),
    ("remember", re.compile(r"(?:bitte )?merke? dir(?: bitte)?(?:, dass|,| dass|:)? (?P<text>.+)", re.IGNORECASE | re.DOTALL)),
    ("forget", re.compile(r"(?:please )?forget(?: that| about)? (?P<what>.+)", re.IGNORECASE | re.DOTALL)),
    ("forget", re.compile(r"(?:bitte )?vergiss(?: bitte)?(?:, dass|,| dass)? (?P<what>.+)", re.IGNORECASE | re.DOTALL)),
    ("fetch_page", re.compile(r"(?:please )?(?:fetch|open|read|get)(?: me)?(?: the page)? (?P<url>https?://\S+?)[.,!?]*", re.IGNORECASE)),
    (
        "fetch_page",
        re.compile(r"(?:bitte )?(?:hole?|lade|öffne|lies)(?: mir)?(?: bitte)?(?: die seite)? (?P<url>https?://\S+?)[.,!?]*", re.IGNORECASE),
    ),
    ("search_web", re.compile(r"(?:please )?search (?:the )?(?:web|internet)(?: for)?:? (?P<query>.{1,400})", re.IGNORECASE)),
    ("search_web", re.compile(r"(?:bitte )?suche? (?:bitte )?im (?:web|internet|netz)(?: nach)?:? (?P<query>.{1,400})", re.IGNORECASE)),
    (
        "run",
        re.compile(
            r"(?:please )?(?:run|execute)(?: the command)?:? `(?P<command>[^`]{1,4000})`(?P<background>,? in the background)?\W*",
            re.IGNORECASE,
        ),
    ),
    (
        "run",
        re.compile(
            r"(?:bitte )?(?:führe?|starte)(?: bitte)?(?: den befehl)? `(?P<command>[^`]{1,4000})`"
            r"(?: bitte)?(?P<background> im hintergrund)?(?: aus)?\W*",
            re.IGNORECASE,
        ),
    ),
    ("run", re.compile(r"(?:bitte )?`(?P<command>[^`]{1,4000})`(?P<background> im hintergrund)? (?:ausführen|starten)\W*", re.IGNORECASE)),
    (
        "delegate",
        re.compile(
            r"(?:please )?(?:have|let|ask|tell) a helper:? (?:to )?(?P<task>.+?)(?P<background>,? in the background)?[.!?]*",
            re.IGNORECASE | re.DOTALL,
        ),
    ),
    (
        "delegate",
        re.compile(
            r"(?:bitte )?(?:lass|sag|gib)(?: bitte)? eine[nm] helfer:? (?P<task>.+?)(?P<background>,? im hintergrund)?[.!?]*",
            re.IGNORECASE | re.DOTALL,
        ),
    ),
)
"""What asks for which tool, with its arguments by name; `background` is true where it is said."""
_EVERYWHERE: Final = re.compile(
    r",?\s+(?:and |und |also |auch )*(?:everywhere|from what (?:i|we)(?:'ve| have)? said|überall)\W*$", re.IGNORECASE
)
_FILES: Final = ("list_files", "find_files", "search_files", "read_file", "write_file", "move_file", "delete_file")
_OUTCOMES: Final = frozenset({MESSAGE, SCHEDULE, *_FILES, *(name for name, _ in _ASKED)})
"""Tools whose result is the answer."""
_LATER_LOOKED_AT = 1_000
"""Those that are searched for what to do later."""
_HEADING = re.compile(r"#{1,6} +(\S.*)")
_FENCE = re.compile(r"\s*(```|~~~)")
_PIECE = re.compile(r".{1,48}(?:\s+|$)|\S+\s*|\s+", re.DOTALL)
"""A piece of a line that is streamed at once, cut after spaces."""
_HEADINGS, _FIRST_LINES, _WIDTH = 12, 3, 160
"""How many are given of a file, and how many characters of each."""
DIMENSIONS: Final = (256, 1536)
"""The shortest and the longest; the longest is the default."""
_CONTEXT: Final = 8_192
"""Tokens of a text, as with OpenAI's."""
_ALL_TOKENS: Final = 300_000
"""Tokens of all texts of a request: likewise, and about a second's work."""
_WORD: Final = re.compile(r"\w+")
_QUICK: Final = 10_000
"""Characters up to which the work is done on the loop: some milliseconds."""


class OfflineProvider:
    """Answers from what arrived and nothing else. Never fails. Calls a tool only where the user spells the call out ("remember that …", "list my
    files", "run `make` in the background"), so that the tools can be tried without a key."""

    def __init__(self, unavailable: str = "") -> None:
        """`unavailable`: why the requested model is, as in "the model x needs Y, which is not set"; empty: none was requested."""
        self._opening = f"No model answers your message: {unavailable}. Fix that, then restart nanobot." if unavailable else NO_MODEL
        self.info = ModelInfo(id="offline", provider="offline", context_tokens=10_000_000, vision=False)

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        call = asked_for(request) or asked_for_later(request)
        text = "" if call else answer(request, self._opening)
        if request.stream:
            for line in text.splitlines(keepends=True):
                for piece in _PIECE.findall(line):
                    emit(piece)
                    await asyncio.sleep(0)  # lets each piece leave before the next is said
        tokens = estimate_tokens(len(call.arguments if call else text))
        return AssistantMessage(
            id=new_id("msg"),
            text=text,
            tool_calls=(call,) if call else (),
            finish_reason="tool_calls" if call else "stop",
            usage=Usage(prompt_tokens=estimate_prompt_tokens(request), completion_tokens=tokens),
            model=self.info.id,
        )

    async def probe(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing to close."""


def answer(request: ModelRequest, opening: str) -> str:
    """Without a model: the outcome of the call that it asked for, at once or in the background; or the opening, then the files of the last user
    message, with their headings and first lines."""
    last = request.messages[-1] if request.messages else None
    if isinstance(last, ToolMessage) and last.name in _OUTCOMES:
        return last.text
    if isinstance(last, UserMessage) and all(isinstance(part, Text) and part.provenance == "tool" for part in last.parts):
        return "\n\n".join(part.text for part in last.parts if isinstance(part, Text))  # how a task in the background ended
    if _words_for_later(request):
        from assistant.providers.offline_words import NOT_UNDERSTOOD  # noqa: PLC0415 - as below

        return NOT_UNDERSTOOD
    asked = next((message for message in reversed(request.messages) if message.role == "user"), None)
    files = [part for part in asked.parts if part.kind != "text"] if asked else []
    if not files:
        return opening
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    return "\n\n".join([opening, f"{count} arrived and could be read:", *map(_about, files)])


def asked_for(request: ModelRequest) -> ToolCall | None:
    """The call that the last words of the user ask for: send "<text>" to <channel> <chat_id> [thread <thread_id>], or one of a tool of memory, the
    web, files, commands or helpers."""
    last = request.messages[-1] if request.messages else None
    if not isinstance(last, UserMessage) or not request.may_call:
        return None
    own_words = _own_words(last)[:_WORDS_LOOKED_AT]
    names = {tool.name for tool in request.tools}
    found = _SEND.search(own_words) if MESSAGE in names else None
    if found is None:
        words = own_words.strip()
        in_group = words.partition(": ")[2]  # behind the speaker's name
        return next(filter(None, (of(said, names) for said in (words, in_group) for of in (_asked_of_tool, _asked_of_files))), None)
    text, channel, chat_id, thread_id = found.groups()
    arguments = {"content": text, "channel": channel.lower(), "chat_id": chat_id} | ({"thread_id": thread_id} if thread_id else {})
    return ToolCall(id=new_id("call"), name=MESSAGE, arguments=json.dumps(arguments, ensure_ascii=False))


def _asked_of_tool(words: str, names: Collection[str]) -> ToolCall | None:
    for name, pattern in _ASKED:
        if name in names and (found := pattern.fullmatch(words)):
            said = {key: value for key, value in found.groupdict().items() if value}
            arguments: dict[str, Json] = {key: key == "background" or value.strip() for key, value in said.items()}
            if name == "forget" and (end := _EVERYWHERE.search(words)):
                arguments |= {"what": str(arguments["what"])[: -len(end[0])], "everywhere": True}
            return ToolCall(id=new_id("call"), name=name, arguments=json.dumps(arguments, ensure_ascii=False))
    return None


def _asked_of_files(words: str, names: Set[str]) -> ToolCall | None:
    if names.isdisjoint(_FILES) or len(words) > _LATER_LOOKED_AT:
        return None
    from assistant.providers.offline_files import asked_of_files  # noqa: PLC0415 - patterns that the start need not compile

    found = asked_of_files(words, names)
    return found and ToolCall(id=new_id("call"), name=found[0], arguments=json.dumps(dict(found[1]), ensure_ascii=False))


def asked_for_later(request: ModelRequest) -> ToolCall | None:
    """The call of the `schedule` tool that the last words of the user ask for, where they say when."""
    arguments = _words_for_later(request)
    if not arguments or "at" not in arguments:
        return None
    return ToolCall(id=new_id("call"), name=SCHEDULE, arguments=json.dumps(dict(arguments), ensure_ascii=False))


def _words_for_later(request: ModelRequest) -> Mapping[str, str]:
    """What the last words of the user ask for later; empty: nothing, or it can't be done in this turn."""
    last = request.messages[-1] if request.messages else None
    if not isinstance(last, UserMessage) or not request.may_call or all(tool.name != SCHEDULE for tool in request.tools):
        return {}
    from assistant.providers.offline_words import asked_to_schedule  # noqa: PLC0415 - patterns that the start need not compile

    return asked_to_schedule(_own_words(last)[:_LATER_LOOKED_AT]) or {}


def _own_words(message: UserMessage) -> str:
    return "\n".join(part.text for part in message.parts if isinstance(part, Text) and not part.quoted)


def _about(part: Image | Document) -> str:
    if part.kind == "image":
        return f"- **{describe(part)}**"
    headings, first = outline(part.text)
    blocks = [f"- **{describe(part)}**"]
    if headings:
        listed = [f"  - {heading}" for heading in headings[:_HEADINGS]]
        if len(headings) > _HEADINGS:
            listed.append(f"  - … and {len(headings) - _HEADINGS} more")
        blocks += ["  Headings:", "\n".join(listed)]
    if first:
        blocks += ["  First lines:", "\n".join(f"  > {line}" for line in first)]
    if not headings and not first:
        blocks.append("  It holds no text.")
    if part.missing:
        blocks.append(f"  Not read here: {part.missing}")
    return "\n\n".join(blocks)  # without the empty lines, Markdown would run them together


def outline(markdown: str) -> tuple[list[str], list[str]]:
    """The headings outside of code blocks, and the first lines that are none, each at most `_WIDTH` characters."""
    headings: list[str] = []
    first: list[str] = []
    fenced = False
    for line in markdown.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (found := _HEADING.fullmatch(line)):
            headings.append(_short(found[1]))
        elif line.strip() and len(first) < _FIRST_LINES:
            first.append(_short(line))
    return headings, first


def _short(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


class OfflineEmbeddings:
    """Lexical feature hashing (Weinberger et al., 2009): words, pairs of neighbours and pieces of three letters, each hashed to a place and a
    sign, counted by the root of how often they occur; the vector has the length 1. The same text always gives the same vector."""

    def __init__(self, dimensions: int | None = None) -> None:
        """`dimensions`: the default."""
        self._dimensions = dimensions or DIMENSIONS[-1]
        self._working = asyncio.Semaphore(1)  # threads are shared
        self.info = ModelInfo(id="offline-embedding", provider="offline", context_tokens=_CONTEXT, vision=False)

    async def embed(
        self,
        inputs: Sequence[EmbeddingInput],
        dimensions: int | None,
        extra_fields: Mapping[str, Json] | None = None,
        payer: Payer | None = None,
    ) -> Embeddings:
        texts = only_texts(inputs)
        length = self._dimensions if dimensions is None else dimensions
        if not DIMENSIONS[0] <= length <= DIMENSIONS[-1]:
            raise InvalidRequest(f"'dimensions' must be {DIMENSIONS[0]} to {DIMENSIONS[-1]} for this model.", param="dimensions")
        tokens = [estimate_tokens(len(text)) for text in texts]
        if max(tokens, default=0) > _CONTEXT or sum(tokens) > _ALL_TOKENS:
            words = f"A text may have {_CONTEXT:,} tokens, and all texts of a request {_ALL_TOKENS:,}."
            raise ContextLengthExceeded(words, param="input")

        def embeddings() -> Embeddings:
            return Embeddings(vectors=tuple([vector(text, length) for text in texts]), prompt_tokens=sum(tokens), model=self.info.id)

        if sum(map(len, texts)) <= _QUICK:
            return embeddings()
        async with self._working:
            return await asyncio.to_thread(embeddings)

    async def close(self) -> None:
        """Nothing to close."""


def vector(text: str, dimensions: int) -> tuple[float, ...]:
    """The vector of a text. One that holds no words is known by its characters."""
    values = [0.0] * dimensions
    for feature, count in Counter(_features(text)).items():
        data = feature.encode("utf-8", "surrogatepass")
        place = zlib.crc32(data)
        weight = math.sqrt(count) * (0.3 if feature[0] == "3" else 1.0)
        values[place % dimensions] += weight if zlib.crc32(data, 0x9E3779B9) & 1 else -weight
    norm = math.sqrt(math.fsum(value * value for value in values))
    if not norm:  # everything cancelled out: still a vector of length 1
        values[zlib.crc32(text.encode("utf-8", "surrogatepass")) % dimensions] = norm = 1.0
    return tuple([value / norm for value in values])


def _features(text: str) -> Iterator[str]:
    words = _WORD.findall(text.lower()) or list(text.strip() or text)
    before = ""
    for word in words:
        yield "1" + word
        if before:
            yield f"2{before} {word}"
        padded = f"^{word}$"
        yield from ("3" + padded[start : start + 3] for start in range(len(padded) - 2))
        before = word
