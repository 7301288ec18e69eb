"""An answer as it is written, with OpenAI's library, and what it cost."""

import os

from openai import OpenAI

base = os.environ.get("NANOBOT_URL", "http://127.0.0.1:8900")
client = OpenAI(
    base_url=f"{base}/v1",
    api_key=os.environ.get("NANOBOT_KEY", "dummy"),
)

stream = client.chat.completions.create(
    model=client.models.list().data[0].id,
    messages=[{"role": "user", "content": "hi"}],
    stream=True,
    stream_options={"include_usage": True},
    extra_body={"session_id": "my-session"},
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
        if choice.finish_reason:
            print(f"\n[{choice.finish_reason}]")
    if chunk.usage:
        print(f"[{chunk.usage.total_tokens} tokens]")
