"""Thoughts are told from words, however a model sends them and wherever the pieces are cut."""

from typing import Any

import pytest

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import AssistantMessage
from assistant.providers.thoughts import SpokenAnswer
from tests.doubles.model_server import ModelServer

from .samples import into, request, wire_provider
from .test_wire_openai import choice, streamed, whole

SAID: list[tuple[str, str, str]] = [
    ("<think>He says hi.</think>\n\nHello!", "Hello!", "He says hi."),
    ("<thinking>a</thinking>b", "b", "a"),
    ("<THINK>a</Think> b", "b", "a"),
    ("<thought>\na\n</thought>\nb", "b", "a\n"),
    ("<reasoning>a</reasoning>b", "b", "a"),
    ("<seed:think>a</seed:think>b", "b", "a"),
    ("[THINK]a[/THINK]b", "b", "a"),
    ("\n\n<think>\n\n</think>\n\nb", "b", ""),
    ("<think></think>b", "b", ""),
    ("Let me see.\n<think>a</think>\nb", "Let me see.\n\nb", "a"),
    ("Sure! <think>a</think>b", "Sure! b", "a"),
    ("<think>a</think>b\n<think>c</think>d", "b\nd", "ac"),
    ("<final>b</final>", "b", ""),
    ("<think>a</think><final>b</final>", "b", "a"),
    ("<think>a</think>\n\n<final>\nb\n</final>", "b\n", "a"),
    ("I should greet.\n</think>\n\nHello!", "Hello!", "I should greet.\n"),
    ("thoughts</think>Hello!", "Hello!", "thoughts"),
    ("<think>a <think> b</think>c", "c", "a <think> b"),
    ("<think>close it with `</think>` then</think>b", "b", "close it with `</think>` then"),
    ("<think>a</think>Hello!</think>", "Hello!", "a"),
    ("In code: `<think>x</think>` stays.", "In code: `<think>x</think>` stays.", ""),
    ("```xml\n<think>x</think>\n```\nb", "```xml\n<think>x</think>\n```\nb", ""),
    ("~~~\n<thinking>\n~~~", "~~~\n<thinking>\n~~~", ""),
    ("``a `<think>` b``", "``a `<think>` b``", ""),
    ('The tag "<think>" begins it.', 'The tag "<think>" begins it.', ""),
    ("Write <think> to begin.", "Write <think> to begin.", ""),
    ("a < b and c <thin d", "a < b and c <thin d", ""),
    ("[thin](x) <b>y</b> ~~z~~ 5 ` 6", "[thin](x) <b>y</b> ~~z~~ 5 ` 6", ""),
    ("no tags, 𝔘nicode 😀 \u2028 end", "no tags, 𝔘nicode 😀 \u2028 end", ""),
    ("  kept space", "  kept space", ""),
    ('<think>He wants "hello"</think>Hello!', "Hello!", 'He wants "hello"'),
    ("<think>It is the users'</think>Hello!", "Hello!", "It is the users'"),
    ("<think>Run `ls`</think>Hello!", "Hello!", "Run `ls`"),
    ("<think>„Hallo“</think>Hallo!", "Hallo!", "„Hallo“"),
    ("<think>‘hi,’</think>Hello!", "Hello!", "‘hi,’"),
    ('<think>I answer "👍"</think>Hello!', "Hello!", 'I answer "👍"'),
    ("<think>他说“你好”</think>你好", "你好", "他说“你好”"),
    ('I say "hi"</think>Hello!', "Hello!", 'I say "hi"'),
    ('He said "x"<think>a</think>b', 'He said "x"b', "a"),
    ('The tag "</think>" closes it.', 'The tag "</think>" closes it.', ""),
    ("Der Tag „</think>“ schließt.", "Der Tag „</think>“ schließt.", ""),
    ("標籤「</think>」結束", "標籤「</think>」結束", ""),
    ("标签“</think>”结束", "标签“</think>”结束", ""),
    ("It ends (</think>) there.", "It ends (</think>) there.", ""),
    ('<think type="x">a</think>b', "b", "a"),
    ("<thinking effort='high' n=\"2\">\na</thinking >b", "b", "a"),
    ("<Think\n>a</think>b", "b", "a"),
    ("<thinking about it> b", "<thinking about it> b", ""),
    ("<final score> 3:2 and a <think", "<final score> 3:2 and a <think", ""),
    (f"<think x={'y' * 200}>b", f"<think x={'y' * 200}>b", ""),
]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize(("sent", "words", "thoughts"), SAID)
def test_thoughts_are_told_from_words_wherever_the_text_is_cut(sent: str, words: str, thoughts: str, size: int) -> None:
    answer = SpokenAnswer()
    for start in range(0, len(sent), size):
        answer.say(sent[start : start + size])
    assert answer.whole() == (words, thoughts)


@pytest.mark.parametrize("text", ["plain words", "a < b", "5 ` 6", "x <thinly> y", "[link](y)"])
def test_ordinary_text_is_passed_on_without_delay(text: str) -> None:
    answer, heard = SpokenAnswer(), ""
    for at, character in enumerate(text, 1):
        answer.say(character)
        heard += "".join(piece for piece, _ in answer.fresh())
        assert at - len(heard) < len("</reasoning>")
    answer.end()
    assert heard + "".join(piece for piece, _ in answer.fresh()) == text


async def heard_of(server: ModelServer, raw: bytes) -> tuple[AssistantMessage, str, str]:
    server.replies.append(raw)
    provider, said, thought = wire_provider(server), list[str](), list[str]()
    try:
        message = await provider.complete(request(stream=True), into(said, thought))
    finally:
        await provider.close()
    return message, "".join(said), "".join(thought)


@pytest.mark.parametrize(
    "thoughts",
    [
        {"reasoning_content": "hmm"},
        {"reasoning": "hmm"},
        {"thinking": "hmm"},
        {"reasoning": "hmm", "reasoning_content": "hmm"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "hmm", "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "hmm"}]},
        {"reasoning": "hmm", "reasoning_details": [{"type": "reasoning.text", "text": "hmm"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]}]},
        {"content": [{"type": "thinking", "thinking": "hmm"}]},
        {"content": "<think>hmm</think>"},
    ],
)
async def test_thoughts_in_every_field_are_passed_on_as_such(server: ModelServer, thoughts: dict[str, Any]) -> None:
    message, said, thought = await heard_of(server, streamed(choice(thoughts), choice({"content": "x"}), choice({}, "stop"), "[DONE]"))
    assert (message.text, message.reasoning) == (said, thought) == ("x", "hmm")
    body = {"choices": [{"message": {"content": "x", **thoughts}, "finish_reason": "stop"}]}
    if "content" not in thoughts:
        message, said, thought = await heard_of(server, whole(body))
        assert (message.text, message.reasoning) == (said, thought) == ("x", "hmm")


async def test_a_model_whose_template_opens_the_tag_is_known_by_its_first_answer(server: ModelServer) -> None:
    provider = wire_provider(server)
    heard: list[list[str]] = []
    for sent in ("thought one</think>one", "thought two</think>two", "no thoughts here", "nor here"):
        server.replies.append(streamed(choice({"content": sent[:7]}), choice({"content": sent[7:]}), choice({}, "stop"), "[DONE]"))
        said: list[str] = []
        message = await provider.complete(request(stream=True), into(said))
        heard.append(["".join(said), message.text, message.reasoning])
    await provider.close()
    assert heard[1:] == [["two", "two", "thought two"], ["no thoughts here", "no thoughts here", ""], ["nor here", "nor here", ""]]
    assert heard[0][1:] == ["one", "thought one"]


async def test_an_answer_of_thoughts_alone_is_cut_by_its_length_or_a_failure(server: ModelServer) -> None:
    message, said, thought = await heard_of(server, streamed(choice({"reasoning_content": "hmm"}), choice({}, "length"), "[DONE]"))
    assert (message.text, message.reasoning, message.finish_reason, said, thought) == ("", "hmm", "length", "", "hmm")
    with pytest.raises(ProviderFailed, match="thoughts and no answer"):
        await heard_of(server, streamed(choice({"content": "<think>never closed"}), choice({}, "stop"), "[DONE]"))


async def test_tokens_of_thoughts_are_counted_apart(server: ModelServer) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 7}}
    message, _, _ = await heard_of(server, streamed(choice({"content": "x"}, "stop"), {"choices": [], "usage": usage}, "[DONE]"))
    assert message.usage.reasoning_tokens == 7
