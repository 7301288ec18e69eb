"""What strict providers refuse: each function takes a request's body as sent, and raises Refused as its provider answers 400.

Sources: OpenAI's API reference and error texts ("must be followed by tool messages responding to each 'tool_call_id'", "string too long"); the
validators of mistral-common (`_validate_message_order`, `_validate_tool_call`); Gemini's FunctionDeclaration and "thought signatures"; DeepSeek's
"thinking mode"; Anthropic's errors of the messages API; Ollama's `openai.go` (arguments are parsed into a map); llama.cpp's and vLLM's chat
templates ("Conversation roles must alternate") and `json.loads(arguments)`.
"""

import json
import re
from collections.abc import Callable
from typing import Any, cast

Body = dict[str, Any]
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Refused(AssertionError):
    """The provider's 400."""


def need(holds: object, words: str) -> None:
    if not holds:
        raise Refused(words)


def objects(text: object) -> None:
    """Arguments as vLLM, llama.cpp and Ollama parse them: strictly, into an object."""

    def constant(word: str) -> None:
        raise Refused(f"{word} is no JSON")

    need(isinstance(text, str), "arguments: must be a string")
    try:
        value: object = json.loads(str(text), parse_constant=constant)
    except ValueError as error:
        raise Refused(f"Failed to parse tool call arguments as JSON: {str(text)[:80]}") from error
    need(isinstance(value, dict), f"arguments: must be an object: {str(text)[:80]}")


def said(content: object, words: str, *, parts: bool = True) -> None:
    """Content that is there: a text, or parts."""
    if isinstance(content, str):
        need(content.strip(), f"{words}: content is empty")
        need("\0" not in content, f"{words}: NUL")
        return
    need(parts and isinstance(content, list), f"{words}: content must be a string")
    need(content != [], f"{words}: content is empty")
    for part in cast("list[Any]", content):
        need(part["type"] in {"text", "image_url", "thinking"}, f"{words}: unknown part")
        need(part["type"] != "text" or part["text"].strip(), f"{words}: empty part")


def conversation(body: Body, *, fields: dict[str, set[str]], ids: str, names: re.Pattern[str] = _NAME) -> list[Body]:
    """What all that speak OpenAI's wire demand; returns the messages behind the system's."""
    messages = body["messages"]
    if messages and messages[0]["role"] == "system":
        said(messages[0]["content"], "system")
        messages = messages[1:]
    waiting: list[str] = []
    taken: set[str] = set()
    for place, message in enumerate(messages):
        role = message["role"]
        need(role in {"user", "assistant", "tool"}, f"{place}: role")
        need(message.keys() <= {"role", "content", *fields[role]}, f"{place}: extra inputs {message.keys()}")
        if role == "tool":
            need(message["tool_call_id"] in waiting, f"{place}: role 'tool' must be a response to a preceding message with 'tool_calls'")
            waiting.remove(message["tool_call_id"])
            said(message["content"], f"{place}", parts=False)
            continue
        need(not waiting, f"{place}: 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'")
        calls: list[Any] | None = message.get("tool_calls")
        need(calls is None or calls, f"{place}: tool_calls: empty array")
        if message["content"] is not None or not calls:
            said(message["content"], f"{place}")
        for call in calls or []:
            need(call["type"] == "function" and re.fullmatch(ids, call["id"]), f"{place}: id {call['id']!r}")
            need(call["id"] not in taken, f"{place}: duplicate id")
            need(names.fullmatch(call["function"]["name"]), f"{place}: name {call['function']['name']!r}")
            objects(call["function"]["arguments"])
            taken.add(call["id"])
            waiting.append(call["id"])
    need(not waiting, "the end: calls without a result")
    return messages


_CALLS = {"tool_calls"}
_RESULT = {"tool_call_id"}


def openai(body: Body) -> None:
    for message in conversation(body, fields={"user": {"name"}, "assistant": _CALLS, "tool": _RESULT}, ids=r"[\x21-\x7e]{1,40}"):
        for call in cast("list[Any]", message.get("tool_calls") or []):
            need(call.keys() == {"id", "type", "function"}, f"unknown fields of a call: {call.keys()}")


_MISTRAL_NEXT = {
    None: {"user"},
    "user": {"user", "assistant"},
    "assistant": {"user", "assistant"},
    "calls": {"tool"},
    "tool": {"tool", "assistant"},
}


def mistral(body: Body) -> None:
    last = None
    for message in conversation(body, fields={"user": set(), "assistant": _CALLS, "tool": {*_RESULT, "name"}}, ids="[a-zA-Z0-9]{9}"):
        need(message["role"] in _MISTRAL_NEXT[last], f"Unexpected role '{message['role']}' after role '{last}'")
        last = "calls" if message.get("tool_calls") else message["role"]
    need(last in {"user", "tool"}, "Expected last role User or Tool")


def gemini(body: Body) -> None:
    names = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,63}")
    messages = conversation(
        body, fields={"user": set(), "assistant": {*_CALLS, "extra_content"}, "tool": {*_RESULT, "name"}}, ids=r".{1,200}", names=names
    )
    need(messages[0]["role"] == "user", "contents must begin with a user turn")
    last = ""
    for message in messages:
        calls: list[Any] = message.get("tool_calls") or []
        need(
            not calls or last in {"user", "tool"},
            "function call turn comes immediately after a user turn or after a function response turn",
        )
        need(message["role"] != "tool" or message.get("name"), "function_response.name: Name cannot be empty")
        if calls:
            need(
                calls[0].get("extra_content", {}).get("google", {}).get("thought_signature"), "Function call is missing a thought_signature"
            )
        last = message["role"]


def deepseek(body: Body) -> None:
    fields = {"user": {"name"}, "assistant": {*_CALLS, "reasoning_content"}, "tool": _RESULT}
    for place, message in enumerate(conversation(body, fields=fields, ids=r"[\x21-\x7e]{1,64}")):
        if message.get("tool_calls"):
            need(
                isinstance(message.get("reasoning_content"), str), f"Missing `reasoning_content` field in the assistant message at {place}"
            )
        else:
            need("reasoning_content" not in message, "reasoning_content in the input")


def ollama(body: Body) -> None:
    conversation(body, fields={"user": set(), "assistant": {*_CALLS, "reasoning"}, "tool": _RESULT}, ids=r".{1,200}")


def llama_cpp(body: Body) -> None:
    """With a template that wants the sides in turn, and a server without a projector for pictures."""
    last = "assistant"
    for message in conversation(body, fields={"user": set(), "assistant": _CALLS, "tool": _RESULT}, ids=r".{1,200}"):
        role = message["role"]
        need(message["content"] is None or isinstance(message["content"], str), "image input is not supported")
        if role != "tool":
            need(role != last, "Conversation roles must alternate user/assistant/user/assistant/...")
        last = role


def anthropic(body: Body) -> None:
    messages = body["messages"]
    need(messages[0]["role"] == "user", "messages: first message must use the user role")
    waiting: list[str] = []
    taken: set[str] = set()
    last = ""
    for message in messages:
        role, blocks = message["role"], message["content"]
        need(role in {"user", "assistant"} and role != last, "roles must alternate")
        need(blocks, "all messages must have non-empty content")
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        need(sorted(results) == sorted(waiting), "tool_use ids were found without tool_result blocks immediately after")
        need([block["type"] for block in blocks[: len(results)]] == ["tool_result"] * len(results), "tool_result blocks must come first")
        waiting = []
        for block in blocks:
            _block(block, role)
            if block["type"] == "tool_use":
                need(block["id"] not in taken, "tool_use ids must be unique")
                taken.add(block["id"])
                waiting.append(block["id"])
        thought = blocks[-1]["type"] in {"thinking", "redacted_thinking"}
        need(waiting or not thought, "The final block in an assistant message cannot be `thinking`.")
        last = role
    need(not waiting, "tool_use ids were found without tool_result blocks")
    final = messages[-1]["content"][-1]
    need(
        last == "user" or final["type"] != "text" or final["text"] == final["text"].rstrip(),
        "final assistant content cannot end with whitespace",
    )


def _block(block: Body, role: str) -> None:
    kind = block["type"]
    allowed = {"user": {"text", "image", "tool_result"}, "assistant": {"text", "tool_use", "thinking", "redacted_thinking"}}[role]
    need(kind in allowed, f"{kind} is not for {role}")
    if kind == "text":
        need(block["text"].strip(), "text content blocks must contain non-whitespace text")
        need(block.keys() <= {"type", "text", "cache_control", "citations"}, "extra inputs are not permitted")
    elif kind == "tool_use":
        need(re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]), f"id {block['id']!r} should match pattern")
        need(re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", block["name"]), f"name {block['name']!r} should match pattern")
        need(isinstance(block["input"], dict), "input should be a valid dictionary")
        need(block.keys() <= {"type", "id", "name", "input", "cache_control"}, "extra inputs are not permitted")
    elif kind == "thinking":
        need(block.get("signature"), "thinking.signature: field required")


STRICT: dict[str, Callable[[Body], None]] = {
    "openai": openai,
    "mistral": mistral,
    "gemini": gemini,
    "deepseek": deepseek,
    "anthropic": anthropic,
    "ollama": ollama,
    "llama_cpp": llama_cpp,
}
