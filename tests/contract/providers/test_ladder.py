"""What a provider refuses once does not end a conversation: the ladder, each rung by a server that takes nothing less."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from assistant.contracts.errors import ContextLengthExceeded, NanobotError, ProviderFailed, RequestRefused
from assistant.contracts.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from assistant.contracts.models import ModelInfo, ModelRequest
from assistant.providers.chain import ModelChain
from assistant.providers.context_words import is_about_context, told_context
from assistant.providers.ladder import PromptLadder
from assistant.testing.scripted import ScriptedModel

from .samples import PICTURE, request, unheard, user


class Picky(ScriptedModel):
    """Refuses what its rule says, in its words, and notes what it was asked."""

    def __init__(
        self, refuses: Callable[[ModelRequest], NanobotError | None], *, name: str = "picky", context_tokens: int = 100_000
    ) -> None:
        super().__init__("taken")
        self.info = ModelInfo(id="m", provider=name, context_tokens=context_tokens)
        self.refuses = refuses

    async def complete(self, request: ModelRequest, emit: Any) -> AssistantMessage:
        self.requests.append(request)
        if (error := self.refuses(request)) is not None:
            raise error
        emit("taken")
        return AssistantMessage(id="msg", text="taken", provider=self.info.provider)


def steps(provider: str, turns: int = 6, words: int = 200) -> tuple[Message, ...]:
    said: list[Message] = []
    for turn in range(turns):
        call = ToolCall(id=f"c{turn}", name="read_file", arguments="{}", extras={"extra_content": {"x": 1}})
        said += [
            user("word " * words, id=f"u{turn}"),
            AssistantMessage(id=f"a{turn}", tool_calls=(call,), provider=provider, extras={"reasoning_details": []}),
            ToolMessage(id=f"t{turn}", call_id=f"c{turn}", name="read_file", text="result"),
            AssistantMessage(id=f"e{turn}", text="done"),
        ]
    return tuple(said)


def asked(messages: tuple[Message, ...] = (), **more: Any) -> ModelRequest:
    return replace(request("hi", messages=messages), conversation="owner s", **more)


def refused(words: str) -> RequestRefused:
    return RequestRefused(f"picky refused the request (400): {words}", retryable=False)


SEEN = (user("look", id="u"), UserMessage(id="p", parts=(PICTURE,)), AssistantMessage(id="a", text="a cat"))


@pytest.mark.parametrize(
    ("words", "without", "asked_times"),
    [
        ("This model does not support image input", "pictures", 2),
        ("Invalid content type. image_url is only supported by certain models", "pictures", 2),
        ("messages.1.content.0.type: Input should be 'text' (vision is off)", "pictures", 2),
        ("Bad request", "pictures", 2),
        ("property 'reasoning_details' is unsupported", "extras", 2),
        ("Unrecognized request argument supplied: extra_content", "extras", 2),
        ("messages.1: Extra inputs are not permitted", "extras", 2),
        ("Invalid `signature` in `thinking` block", "extras", 2),
        ("Function call is missing a thought_signature in functionCall parts", "foreign calls", 2),
        ("Expected `thinking` or `redacted_thinking`, but found `tool_use`", "foreign calls", 2),
        ("Missing `reasoning_content` field in the assistant message at message index 2", "foreign calls", 2),
        ("tool_calls[0].function.name: string does not match pattern", "foreign calls", 2),
        ("Bad request", "foreign calls", 5),
        ("Bad request", "calls", 5),
    ],
)
async def test_each_rung_is_tried_and_what_the_words_are_about_first(words: str, without: Any, asked_times: int) -> None:
    model = Picky(lambda request: None if without in request.without else refused(words))
    ladder = PromptLadder(model)
    own = without in {"extras", "calls"}
    messages = SEEN if without == "pictures" else steps("picky" if own else "another")
    prompt = asked(messages, images={"att_1": b"x"} if without == "pictures" else {})
    assert (await ladder.complete(prompt, unheard)).text == "taken"
    assert len(model.requests) <= asked_times
    before = len(model.requests)
    await ladder.complete(prompt, unheard)
    assert len(model.requests) == before + 1, "the form that was taken is remembered"
    assert without in model.requests[-1].without


async def test_a_prompt_that_no_form_makes_acceptable_fails_with_the_first_refusal_and_each_rung_was_tried_once() -> None:
    model = Picky(lambda request: refused("Bad request" if not request.without else "another"))
    with pytest.raises(RequestRefused, match="Bad request"):
        await PromptLadder(model).complete(asked((*SEEN, *steps("another")), images={"att_1": b"x"}), unheard)
    assert len(model.requests) == 5
    assert len({repr((sorted(request.without), request.messages)) for request in model.requests}) == 5


async def test_a_plain_prompt_and_a_clients_own_are_asked_once() -> None:
    model = Picky(lambda _: refused("Bad request"))
    for prompt in (asked(), replace(asked(steps("another")), conversation="")):
        model.requests.clear()
        with pytest.raises(RequestRefused):
            await PromptLadder(model).complete(prompt, unheard)
        assert len(model.requests) == 1


def size(request: ModelRequest) -> int:
    return sum(
        len(part.text) for message in request.messages if isinstance(message, UserMessage) for part in message.parts if part.kind == "text"
    )


def too_long(limit: int | None = None, counted: int | None = None) -> ContextLengthExceeded:
    error = ContextLengthExceeded("The conversation is longer than m takes.")
    error.limit, error.counted = limit, counted
    return error


@pytest.mark.parametrize("told", [4_096, None])
async def test_what_is_too_long_for_the_server_is_shortened_and_stays_so(told: int | None) -> None:
    model = Picky(lambda request: too_long(told) if size(request) > 3_000 else None)
    chain = ModelChain([model])
    history = steps("picky")
    assert (await chain.complete(asked(history), unheard)).text == "taken"
    assert chain.info.learned_context == told
    first = model.requests[-1].messages[0]
    assert first.id != "u0"
    model.requests.clear()
    more = (*history, AssistantMessage(id="e", text="ok"), user("and then?", id="n"))
    await chain.complete(asked(more), unheard)
    assert len(model.requests) == 1
    assert model.requests[0].messages[0] is first, "the beginning stays the same from turn to turn"
    assert history[0].id == "u0"


@pytest.mark.parametrize("told", [1_900, 2_000, 2_001, 50_000, 1_000_000])
async def test_a_context_that_is_configured_holds_where_the_server_takes_more(told: int) -> None:
    model = Picky(lambda _: too_long(told) if len(model.requests) == 1 else None, context_tokens=2_000)
    ladder = PromptLadder(model, fits=True)
    await ladder.complete(asked(steps("picky", words=10)), unheard)
    assert ladder.info.learned_context == min(told, 2_000)
    await ladder.complete(replace(asked(steps("picky", turns=12)), conversation="another"), unheard)
    assert size(model.requests[-1]) < 2_000 * 4


async def test_a_short_message_is_never_called_too_long() -> None:
    model = Picky(lambda _: too_long(4_096))
    with pytest.raises(ProviderFailed, match=r"takes 4,096 tokens there"):
        await PromptLadder(model).complete(asked(steps("picky")), unheard)
    with pytest.raises(ContextLengthExceeded):
        await PromptLadder(model).complete(replace(asked(), messages=(user("word " * 20_000),)), unheard)


async def test_large_results_of_the_running_turn_are_emptied_where_no_turn_can_go() -> None:
    def length(request: ModelRequest) -> int:
        return sum(len(message.text) for message in request.messages if isinstance(message, ToolMessage))

    said: list[Message] = [user("read them all", id="u")]
    for n in range(6):
        said.append(AssistantMessage(id=f"a{n}", tool_calls=(ToolCall(id=f"c{n}", name="read_file", arguments="{}"),), provider="picky"))
        said.append(ToolMessage(id=f"t{n}", call_id=f"c{n}", name="read_file", text="x" * 4_000))
    model = Picky(lambda request: too_long() if length(request) > 10_000 else None)
    prompt = replace(asked(), messages=tuple(said))
    assert (await PromptLadder(model).complete(prompt, unheard)).text == "taken"
    assert model.requests[-1].messages[0].id == "u"


async def test_a_fallback_gets_the_prompt_in_its_own_form() -> None:
    first = Picky(lambda _: refused("no tools here"), name="first")
    small = Picky(lambda request: too_long() if size(request) > 2_000 else None, name="second", context_tokens=1_024)
    answer = await ModelChain([first, small]).complete(asked(steps("first")), unheard)
    assert answer.provider == "second"
    assert len(small.requests) == 1, "shortened to its own context before it is asked"
    assert small.requests[0].without == frozenset()


async def test_a_refusal_behind_the_first_words_is_not_asked_again() -> None:
    class Breaks(Picky):
        async def complete(self, request: ModelRequest, emit: Any) -> AssistantMessage:
            self.requests.append(request)
            emit("half")
            raise refused("Bad request")

    model = Breaks(lambda _: None)
    with pytest.raises(RequestRefused):
        await PromptLadder(model).complete(asked(steps("another")), unheard)
    assert len(model.requests) == 1


async def test_as_many_conversations_are_remembered_as_are_bound() -> None:
    model = Picky(lambda request: None if "pictures" in request.without else refused("no image"))
    ladder = PromptLadder(model)
    for n in range(5_000):
        for each in (n, 0):  # the first one stays in use
            await ladder.complete(replace(asked(SEEN, images={"att_1": b"x"}), conversation=str(each)), unheard)
    model.requests.clear()
    for n in (0, 1, 4_999):
        await ladder.complete(replace(asked(SEEN, images={"att_1": b"x"}), conversation=str(n)), unheard)
    without = frozenset({"pictures"})
    assert [request.without for request in model.requests] == [without, frozenset(), without, without]


SAID: list[tuple[str, int | None, int | None]] = [
    ("This model's maximum context length is 4096 tokens. However, you requested 5007 tokens (4907 in the messages, 100 in the completion)",
     4096, 4907),
    ("This model's maximum context length is 128000 tokens. However, your messages resulted in 140000 tokens.", 128000, 140000),
    ("This endpoint's maximum context length is 131072 tokens. However, you requested about 200000 tokens "
     "(199000 of text input, 1000 in the output).", 131072, 199000),
    ("This model's maximum context length is 8192 tokens.", 8192, None),
    ("The decoder prompt (length 5000) is longer than the maximum model length of 4096.", 4096, 5000),
    ("The prompt (total length 5000) is too long to fit into the model (context length 4096).", 4096, 5000),
    ("The input (5000 tokens) is longer than the model's context length (4096 tokens).", 4096, 5000),
    ("request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it", 4096, 5000),
    ("the request exceeds the available context size. try increasing the context size or enable context shift", None, None),
    ("Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, "
     "which is not enough.", 4096, 5000),
    ("prompt is too long: 205000 tokens > 200000 maximum", 200000, 205000),
    ("input length and `max_tokens` exceed context limit: 199759 + 20000 > 200000, decrease input length and try again", 200000, 199759),
    ("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", 1048576, 1200000),
    ("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length", 32768, 40000),
    ("This model's maximum prompt length is 131072 but the request contains 537812 tokens.", 131072, 537812),
    ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000 `inputs` tokens and 512 `max_new_tokens`", 4097, 5000),
    ("Invalid request: Your request exceeded model token limit: 8192", 8192, None),
    ("Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9000", 6000, 9000),
    ("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 98304]", 98304, None),
    ("Please reduce the length of the messages or completion.", None, None),
    ("the input length exceeds the context length", None, None),
    ("Input is too long for requested model.", None, None),
    ("This model's maximum context length is 128k tokens.", 128_000, None),
    ("The context window is 200K.", 200_000, None),
    ("maximum context length is 1M tokens", 1_000_000, None),
    ("exceeds the context limit: 32.5k", 32_500, None),
    ("context size 131 072 exceeded", 131_072, None),
    ("maximum context length is 8.192 tokens", 8_192, None),
    ("Maximum context length is 8\u202f192 tokens, you requested 9\u202f000 tokens", 8_192, 9_000),
    ("prompt is too long: 205,000 tokens > 200,000 maximum", 200_000, 205_000),
    ("Requested tokens (5000) exceed context window of 4096", 4096, None),
    ("Input tokens exceed the configured limit of 272000 tokens.", 272_000, None),
    (f"maximum context length is {'9' * 500} tokens", 999_999_999_999, None),
    ("ContextWindowExceededError", None, None),
    ("Request exceeds the token limit", None, None),
    ("prompt tokens exceed n_ctx", None, None),
    ("The conversation is too long.", None, None),
    ("Prompt 超长", None, None),
    ("输入长度超过模型最大上下文限制", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("words", "limit", "counted"), SAID)
def test_a_context_is_learned_from_what_a_provider_says_of_it(words: str, limit: int | None, counted: int | None) -> None:
    assert is_about_context(words)
    assert told_context(words) == (limit, counted)


def test_the_fields_of_llama_cpp_tell_it_where_its_words_do_not() -> None:
    body = json.dumps({"error": {"message": "too long", "n_prompt_tokens": 5000, "n_ctx": 4096}})
    assert told_context("the request exceeds the available context size", body) == (4096, 5000)


@pytest.mark.parametrize(
    "words", ["max_tokens is too large: 5000. This model supports at most 4096 completion tokens.", "bad request", "slow down"]
)
def test_other_refusals_are_not_about_the_context(words: str) -> None:
    assert not is_about_context(words)
