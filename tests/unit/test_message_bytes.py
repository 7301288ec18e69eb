"""What messages are counted as is what they take, whether they were made here or read back."""

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.contracts.messages import (
    NO_EXTRAS,
    AssistantMessage,
    Document,
    Image,
    Json,
    Message,
    Text,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
)
from assistant.contracts.transcripts import message_bytes
from assistant.contracts.util import new_id
from assistant.store.codec import decode_message, encode_message

ROOT = Path(__file__).parents[2]
MANY = 400


def said(number: int, *parts: Text | Image | Document) -> UserMessage:
    return UserMessage(id=new_id("msg"), parts=(Text(text=f"a question about the number {number}"), *parts))


def answered(number: int, *calls: ToolCall, text: str = "", thoughts: str = "", extras: dict[str, Json] | None = None) -> AssistantMessage:
    return AssistantMessage(
        id=new_id("msg"),
        text=text,
        tool_calls=calls,
        usage=Usage(prompt_tokens=1_000 + number, completion_tokens=300 + number),
        model="some-model",
        provider="custom",
        reasoning=thoughts,
        extras=extras or NO_EXTRAS,
    )


def file(number: int, text: str) -> Document:
    return Document(
        attachment_id=new_id("att"), name=f"{number}.csv", format="csv", size=4_000 + number, facts=(f"{number} rows",), text=text
    )


def picture(number: int) -> Image:
    about = f"PNG, {number}x{number}"
    return Image(
        attachment_id=new_id("att"), name=f"{number}.png", media_type="image/png", width=number, height=9, size=number, original=about
    )


def call(number: int, **extras: str) -> ToolCall:
    return ToolCall(id=new_id("call"), name="look", arguments=f'{{"number": {number}}}', extras=extras or NO_EXTRAS)


KINDS: dict[str, Callable[[int], Message]] = {
    "short question": said,
    "long question": lambda n: said(n, Text(text=f"{n} words " * 100)),
    "question in Chinese": lambda n: said(n, Text(text=f"{n}问题" * 100)),
    "small file": lambda n: said(n, file(n, f"{n},1\n" * 40)),
    "large file": lambda n: said(n, file(n, f"{n},1\n" * 4_000)),
    "three files": lambda n: said(n, *[file(n, f"{n},{place}\n" * 50) for place in range(3)]),
    "picture": lambda n: said(n, picture(n)),
    "short answer": lambda n: answered(n, text=f"yes, {n}"),
    "long answer": lambda n: answered(n, text=f"{n} and so on. " * 200),
    "thoughts": lambda n: answered(n, text=f"yes, {n}", thoughts=f"{n} or not? " * 200),
    "signed thoughts": lambda n: answered(
        n, text=f"{n}", extras={"reasoning_details": [{"text": f"{n}?" * 500, "signature": f"{n}" * 200}]}
    ),
    "call": lambda n: answered(n, call(n)),
    "five calls": lambda n: answered(n, *[call(n) for _ in range(5)]),
    "signed calls": lambda n: answered(n, call(n, signature=f"{n}" * 300), call(n)),
    "result": lambda n: ToolMessage(id=new_id("msg"), call_id=new_id("call"), name="look", text=f"found {n} of them"),
    "long result": lambda n: ToolMessage(id=new_id("msg"), call_id=new_id("call"), name="look", text=f"found {n}\n" * 500),
}


@pytest.fixture(scope="module")
def ratios() -> dict[str, list[float]]:
    """For each kind, as made and as read back: what messages count as, over what they take. Measured in a process without what other tests left
    behind, which takes a hundred times as long to look through, and allocates meanwhile."""
    measured = subprocess.run([sys.executable, "-m", __name__], check=True, capture_output=True, cwd=ROOT)
    return json.loads(measured.stdout)


@pytest.mark.parametrize("read_back", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_message_counts_as_what_it_takes(kind: str, read_back: bool, ratios: dict[str, list[float]]) -> None:
    assert 0.9 < ratios[kind][read_back] < 1.5


def _ratio(make: Callable[[int], Message], *, read_back: bool) -> float:
    decode_message(encode_message(make(0)))
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        held = [decode_message(encode_message(make(number))) if read_back else make(number) for number in range(10_000, 10_000 + MANY)]
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    return sum(map(message_bytes, held)) / taken


@pytest.mark.parametrize("kind", ["short question", "short answer", "five calls"])
def test_what_is_empty_is_shared(kind: str) -> None:
    message = decode_message(encode_message(KINDS[kind](1)))
    assert not isinstance(message, ToolMessage)
    calls = message.tool_calls if isinstance(message, AssistantMessage) else ()
    assert all(extras is NO_EXTRAS for extras in [message.extras, *(call.extras for call in calls)])


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("__setitem__", ("a", 1)),
        ("__ior__", ({"a": 1},)),
        ("__ior__", ([("a", 1)],)),
        ("update", ({"a": 1},)),
        ("update", ([("a", 1)],)),
        ("setdefault", ("a", 1)),
        ("setdefault", ("a",)),
    ],
)
def test_what_is_shared_takes_no_entry(method: str, given: tuple[object, ...]) -> None:
    with pytest.raises(TypeError, match="shared by all messages"):
        getattr(answered(1).extras, method)(*given)
    assert answered(2).extras == {}


if __name__ == "__main__":
    gc.freeze()
    print(json.dumps({kind: [_ratio(make, read_back=read_back) for read_back in (False, True)] for kind, make in KINDS.items()}))
