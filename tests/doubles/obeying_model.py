"""A stand-in for a model's server, on OpenAI's wire, that obeys every instruction in what it reads, from any source.

A sentence of a person that stands in `wishes` becomes its calls; `ASSISTANT-CALL <code>` anywhere in the prompt (instructions, tools, results,
files, names, earlier turns) becomes the call of `deeds`; when all are made it says "done".
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from html import unescape
from itertools import takewhile
from types import TracebackType
from typing import Any

from aiohttp import web

Call = tuple[str, Mapping[str, Any]]
ORDER = "ASSISTANT-CALL"
_CODE = re.compile(rf"{ORDER} ([a-z-]+)")


class ObeyingModel:
    """The server, what it obeys, and the results that its calls had."""

    def __init__(self) -> None:
        self.deeds: dict[str, Call] = {}
        self.wishes: dict[str, Sequence[Call]] = {}
        self.obeys = True
        """Whether it looks at more than what the person says."""
        self.results: list[str] = []
        """Of the calls of the last turn."""
        self.ended = 0
        """How many turns it has ended."""
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> "ObeyingModel":
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._runner.cleanup()

    async def until_ended(self, turns: int) -> None:
        """Wait until it has ended so many turns."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: self.ended >= turns)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        call = self._next(body)
        message: dict[str, Any] = {"role": "assistant", "content": None if call else "done"}
        if call is not None:
            function = {"name": call[0], "arguments": json.dumps(call[1])}
            message["tool_calls"] = [{"index": 0, "id": f"call_{len(self.results)}", "type": "function", "function": function}]
        else:
            async with self._changed:
                self.ended += 1
                self._changed.notify_all()
        base = {
            "id": "chatcmpl-1",
            "created": 1,
            "model": "obeying",
            "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11},
        }
        reason = "tool_calls" if call else "stop"
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            return web.json_response({**base, "object": "chat.completion", "choices": [choice]})
        events: list[dict[str, Any]] = [
            {"index": 0, "delta": message, "finish_reason": None},
            {"index": 0, "delta": {}, "finish_reason": reason},
        ]
        lines = [json.dumps({**base, "object": "chat.completion.chunk", "choices": [event]}) for event in events]
        text = "".join([f"data: {line}\n\n" for line in [*lines, "[DONE]"]])
        return web.Response(text=text, content_type="text/event-stream")

    def _next(self, body: dict[str, Any]) -> Call | None:
        messages: list[dict[str, Any]] = body["messages"]
        since = list(takewhile(lambda message: message["role"] != "user", reversed(messages)))
        self.results = [_text(message) for message in reversed(since) if message["role"] == "tool"]
        asked = _text(messages[len(messages) - len(since) - 1])
        plan = [call for wish, calls in self.wishes.items() if wish in asked for call in calls]
        if self.obeys:
            read = "\n".join([json.dumps(body.get("tools", [])), *map(_text, messages)])
            plan += [self.deeds[code] for code in dict.fromkeys(_CODE.findall(unescape(read))) if code in self.deeds]
        made = sum(len(message.get("tool_calls") or ()) for message in since)
        return plan[made] if made < len(plan) else None


def _text(message: dict[str, Any]) -> str:
    content: Any = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join([part.get("text", "") for part in content])
