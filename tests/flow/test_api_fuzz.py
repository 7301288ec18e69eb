"""Whatever JSON is sent: never a 5xx, always an answer in the API's own words."""

import asyncio
import json
import os
from contextlib import AsyncExitStack
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .api_rig import Running, error_of, serving

_CASES = int(os.environ.get("CASES", "500"))
ANY_TEXT = st.text(st.characters(codec=None), max_size=20)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=8,
)
TYPES = st.sampled_from(["text", "image_url", "file", "input_audio", "#text", ""]) | ANY_TEXT
URLS = st.sampled_from(["data:image/png;base64,aGk=", "data:;base64,", "data:image/png;base64,!", "https://x", "data:,", ""]) | ANY_TEXT
PARTS = st.fixed_dictionaries(
    {"type": TYPES | ANY_JSON},
    optional={
        "text": ANY_TEXT | ANY_JSON,
        "image_url": st.fixed_dictionaries({"url": URLS | ANY_JSON}) | ANY_JSON,
        "file": st.fixed_dictionaries({}, optional={"file_data": URLS | ANY_JSON, "filename": ANY_TEXT | ANY_JSON}) | ANY_JSON,
    },
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={"role": st.sampled_from(["user", "system", "tool"]) | ANY_JSON, "content": ANY_TEXT | st.lists(PARTS, max_size=4) | ANY_JSON},
)
FIELDS = [
    "model",
    "session_id",
    "user",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "reasoning_effort",
    "response_format",
    "n",
    "tools",
    "functions",
    "logprobs",
    "presence_penalty",
]
BODIES = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGES, max_size=3) | ANY_JSON}, optional=dict.fromkeys(FIELDS, ANY_JSON)
)  # fmt: skip


async def send(api: Running, body: bytes) -> None:
    content_type = "multipart/form-data; boundary=B" if body.startswith(b"--B") else "application/json"
    response = await api.client.post("/v1/chat/completions", content=body, headers={"content-type": content_type})
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert error_of(response)["message"]
        assert len(error_of(response)["message"] or "") < 1000
    assert api.spooled == []


def send_examples(folder: Path, bodies: st.SearchStrategy[bytes], count: int) -> None:
    """Draws examples and sends each to one server. A failing one is shrunk, as hypothesis does."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        api = runner.run(stack.enter_async_context(serving(folder)))

        @settings(max_examples=count, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
        @given(body=bodies)
        def example(body: bytes) -> None:
            runner.run(send(api, body))

        try:
            example()
        finally:
            runner.run(stack.aclose())


def test_no_json_body_brings_a_5xx(tmp_path: Path) -> None:
    send_examples(tmp_path, (BODIES | ANY_JSON).map(lambda body: json.dumps(body).encode()), _CASES // 5)


def test_no_bytes_bring_a_5xx(tmp_path: Path) -> None:
    send_examples(tmp_path, st.binary(max_size=200), _CASES // 10)


def test_no_form_brings_a_5xx(tmp_path: Path) -> None:
    pieces = st.sampled_from(
        [b"--B", b"--", b"\r\n", b"Content-Disposition: form-data; name=", b'"message"', b'"files"; filename="a"', b": ", b"x"]
    )
    bodies = st.lists(pieces | st.binary(max_size=5), max_size=12).map(b"".join)
    send_examples(tmp_path, bodies.map(lambda body: b"--B\r\n" + body), _CASES // 10)
