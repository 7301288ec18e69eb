"""Any transcript that any wire produced becomes a request that a strict stand-in of each provider takes. `make test-transcripts` draws 10,000."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import AssistantMessage, Message, Text, ToolCall, ToolMessage, UserMessage
from assistant.contracts.models import LeftOut, ModelRequest
from assistant.providers.anthropic import AnthropicAnswer
from assistant.providers.failures import Peer, Redactor
from assistant.providers.messages import EncodedMessages, encode_once
from assistant.providers.openai_answer import OpenAIAnswer
from assistant.providers.transcript_rules import PromptForm, rules_for
from tests.doubles.model_server import ModelServer
from tests.doubles.strict_wires import STRICT

from .samples import PICTURE, REPORT, TOOL, unheard, wire_provider

CASES = int(os.environ.get("CASES", "300"))
ASK = ModelRequest(instructions=(), messages=())
ODD = ["", " ", "\n", "\0", "x\0y", "𝔘 😀", "\ud800", "a\udfffb", "é" * 70, "</quoted>", "<think>x</think>", "```", "x" * 300]
NAMES = [
    "read_file",
    "functions.list dir",
    "list dir",
    "a.b",
    "x" * 65,
    "<|channel|>commentary",
    "9lives",
    "-x",
    "日本",
    "read_file\n",
    "__",
    " ",
]
IDS = ["", "call_1", "call_1", "0", "x" * 64, "functions.read_file:0", "é", "a b", "toolu_01A", "AbC123xyZ", "\n", "fc\ud800"]
ARGUMENTS = [
    "", "{}", '{"path": "a"}', '{"path": "a', "[]", "[1, 2]", "null", "NaN", '{"a": NaN}', '{"a": Infinity}', "{}{}", '{}{"content": "B"}', "text",
    '"text"', "7", "{'a': 1}", '{"a": 1,}', '{"a": "\\ud800"}', '{"a": "\0"}', "[" * 2_000, '{"a":' * 500 + "1" + "}" * 500, "x" * 50_000,
    '{"a": 1e999}', '{"not_json": "x"}', " {} ", "\ufeff{}", '{"a": "' + "\u2028" + '"}',
]  # fmt: skip
PROVIDERS = ["openai", "mistral", "gemini", "deepseek", "openrouter", "ollama", "llama_cpp", "up", "anthropic"]


def peer(provider: str) -> Peer:
    return Peer(provider=provider, model="m", origin="http://x", key_source="", redact=Redactor([]))


def mark(provider: str) -> str:
    """Opaque, and told apart from every other provider's."""
    return f"OPAQUE-{provider}-"


class Drawn:
    """One transcript, the same for the same number."""

    def __init__(self, case: int) -> None:
        self.random = Random(case)
        summary = UserMessage(id="sum_1_9_1", parts=(Text(text="[Made by this server.]\n\n## Who and what\n- Anna", quoted=True),))
        self.messages = (*((summary,) if case % 3 == 0 else ()), *self.transcript())

    def one_in(self, times: int) -> bool:
        return self.random.randrange(times) == 0

    def text(self) -> str:
        return self.random.choice([*ODD, "yes", "it was 7°", "line\nline"])

    def raw_openai(self, provider: str) -> dict[str, Any]:
        calls: list[dict[str, Any]] = []
        for _ in range(self.random.randrange(4)):
            function = {"name": self.random.choice(NAMES), "arguments": self.random.choice(ARGUMENTS)}
            call: dict[str, Any] = {"index": 0, "id": self.random.choice(IDS), "type": "function", "function": function}
            if provider in {"gemini", "up"} and self.one_in(2):
                call["extra_content"] = {"google": {"thought_signature": mark(provider)}}
            calls.append(call)
        message: dict[str, Any] = {"role": "assistant", "content": self.text(), "tool_calls": calls}
        if provider in {"deepseek", "up"} and self.one_in(2):
            message["reasoning_content"] = mark(provider)
        if provider in {"openrouter", "up"} and self.one_in(2):
            message["reasoning_details"] = [{"type": "reasoning.encrypted", "data": mark(provider), "index": 0}]
        if provider == "mistral" and self.one_in(2):
            thinking = {"type": "thinking", "thinking": [{"type": "text", "text": mark(provider)}]}
            message["content"] = [thinking, {"type": "text", "text": self.text()}]
        return {"choices": [{"message": message, "finish_reason": self.random.choice(["stop", "length", "tool_calls"])}]}

    def raw_anthropic(self, provider: str) -> dict[str, Any]:
        blocks: list[dict[str, Any]] = []
        for _ in range(self.random.randrange(6)):
            kind = self.random.choice(["thinking", "redacted_thinking", "text", "tool_use"])
            if kind == "thinking":
                blocks.append({"type": kind, "thinking": "hmm", **({} if self.one_in(4) else {"signature": mark(provider)})})
            elif kind == "redacted_thinking":
                blocks.append({"type": kind, "data": mark(provider)})
            elif kind == "text":
                blocks.append({"type": kind, "text": self.text()})
            else:
                blocks.append({"type": kind, "id": self.random.choice(IDS), "name": self.random.choice(NAMES), "input": {"a": 1}})
        return {"content": blocks, "stop_reason": self.random.choice(["end_turn", "max_tokens", "tool_use"])}

    def answer(self) -> AssistantMessage | None:
        """What a provider's wire made of an answer; None where it was none."""
        provider = self.random.choice(PROVIDERS)
        read: OpenAIAnswer | AnthropicAnswer
        if provider == "anthropic":
            read = AnthropicAnswer(peer(provider))
            read.take_whole(self.raw_anthropic(provider))
        else:
            read = OpenAIAnswer(peer(provider))
            read.take_whole(self.raw_openai(provider))
        try:
            message = read.message(ASK, "m")
        except ProviderFailed:
            return None
        if self.one_in(10):  # stored before providers were noted
            return replace(message, provider="", extras={}, tool_calls=tuple(replace(call, extras={}) for call in message.tool_calls))
        return message

    def results(self, step: str, message: AssistantMessage) -> list[Message]:
        """Of the calls of a step; some are lost, late, or answer no call."""
        results: list[Message] = [
            ToolMessage(id=f"{step}.{place}", call_id=call.id, name=call.name, text=self.text(), ok=self.one_in(2))
            for place, call in enumerate(message.tool_calls)
        ]
        if results and self.one_in(4):
            self.random.shuffle(results)
            results = results[self.random.randrange(2) :]
        if self.one_in(10):
            place = self.random.randrange(len(results) + 1)
            results.insert(place, ToolMessage(id=f"{step}.o", call_id=self.random.choice(IDS), name="gone", text=self.text(), ok=False))
        return results

    def transcript(self) -> tuple[Message, ...]:
        """Turns of a session, or what a client sends for one."""
        said: list[Message] = []
        for turn in range(self.random.randrange(1, 5)):
            kinds = [PICTURE, REPORT, Text(text=self.text()), Text(text=self.text(), quoted=True)]
            parts = [self.random.choice(kinds) for _ in range(self.random.randrange(1, 4))]
            if turn or not self.one_in(10):
                said.append(UserMessage(id=f"u{turn}", parts=tuple(parts)))
            for step in range(self.random.randrange(4)):
                if (message := self.answer()) is not None:
                    said += [replace(message, id=f"a{turn}.{step}"), *self.results(f"t{turn}.{step}", message)]
            if self.one_in(4):
                said.append(AssistantMessage(id=f"c{turn}", text=self.text(), cut_off="failed"))
        return (*said, UserMessage(id="last", parts=(Text(text="and now?"),)))


def checked(provider: str, body: bytes) -> None:
    STRICT[provider](json.loads(body))
    others = [other for other in PROVIDERS if other != provider and mark(other).encode() in body]
    assert not others, f"{provider} got what {others} wanted back"


async def test_every_provider_takes_what_any_provider_said(server: ModelServer) -> None:
    wires = {name: wire_provider(server, name, vision=name != "llama_cpp") for name in STRICT}
    for case in range(CASES):
        messages = Drawn(case).messages
        request = ModelRequest(instructions=("Be kind.",), messages=messages, tools=(TOOL,), images={"att_1": b"\x89PNG"}, conversation="s")
        for name, wire in wires.items():
            await wire.complete(request, unheard)
            try:
                checked(name, server.bodies[-1])
            except AssertionError as refused:
                raise AssertionError(f"case {case}, {name}: {refused}\n{server.bodies[-1][:6_000].decode()}") from refused
    for wire in wires.values():
        await wire.close()


def encoder() -> Callable[[Message], bytes]:
    return lambda message: repr(message).encode("utf-8", "surrogatepass")


def form_of(provider: str) -> PromptForm:
    wire = "anthropic" if provider == "anthropic" else "openai"
    return PromptForm(provider=provider, rules=rules_for(wire=wire, provider=provider, origin="http://127.0.0.1", model="m"))


@pytest.mark.parametrize("provider", STRICT)
def test_a_transcript_that_grew_keeps_its_beginning(provider: str) -> None:
    form = form_of(provider)
    for case in range(CASES):
        messages, kept = Drawn(case).messages, EncodedMessages()
        middle = Random(case).randrange(1, len(messages) + 1)
        before = kept.all(messages[:middle], form, encoder()).encoded
        after = kept.all(messages, form, encoder()).encoded
        assert after == encode_once(messages, form, encoder()).encoded, f"case {case}"
        # The last one may be joined by its neighbour; what closes calls that wait is replaced by their results.
        whole = [place for place, each in enumerate(before) if b"_none'" in each or b"is not shown:" in each]
        sure = min([len(before) - 1, *whole])
        assert after[:sure] == before[:sure], f"case {case}"


@given(
    st.sampled_from(sorted(STRICT)),
    st.lists(st.sampled_from(NAMES) | st.text(min_size=1, max_size=80), min_size=2, max_size=6, unique=True),
)
def test_names_fit_and_no_two_become_one(provider: str, names: list[str]) -> None:
    calls = tuple(ToolCall(id=f"call_{n}", name=name, arguments="{}") for n, name in enumerate(names))
    step = AssistantMessage(id="a", tool_calls=calls)
    sent = encode_once((step,), form_of(provider), encoder()).sent
    made = [call.name for message in sent if isinstance(message, AssistantMessage) for call in message.tool_calls]
    assert len(set(made)) == len(names)
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", name) for name in made)
    assert all(new == old for new, old in zip(made, names, strict=True) if re.fullmatch("[a-zA-Z_][a-zA-Z0-9_-]{0,63}", old))


@pytest.mark.parametrize("odd", ["a\ud800", "\udc00", "a\0b", "名前", "<|channel|>", "x" * 500, " "])
async def test_no_text_of_a_model_or_tool_keeps_a_request_from_being_written(server: ModelServer, odd: str) -> None:
    step = AssistantMessage(
        id="a", text=odd, tool_calls=(ToolCall(id=odd, name=odd, arguments=odd), ToolCall(id=odd, name=odd, arguments="[]"))
    )
    results = [
        ToolMessage(id=f"t{place}", call_id=call_id, name=odd, text=odd, ok=True) for place, call_id in enumerate(["gone", odd, odd, odd])
    ]
    messages = (UserMessage(id="u", parts=(Text(text=odd),)), step, *results, UserMessage(id="last", parts=(Text(text=odd),)))
    for name in STRICT:
        wire = wire_provider(server, name)
        for without in (frozenset[LeftOut](), frozenset[LeftOut]({"calls"})):
            request = ModelRequest(instructions=("Be kind.",), messages=messages, tools=(TOOL,), conversation="s", without=without)
            await wire.complete(request, unheard)
            checked(name, server.bodies[-1])
        await wire.close()
