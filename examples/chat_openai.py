"""One message, with OpenAI's library."""

import os

from openai import OpenAI

base = os.environ.get("NANOBOT_URL", "http://127.0.0.1:8900")
client = OpenAI(
    base_url=f"{base}/v1",
    api_key=os.environ.get("NANOBOT_KEY", "dummy"),
)
model = client.models.list().data[0].id

resp = client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "hi"}],
    extra_body={"session_id": "my-session"},  # optional: isolate conversation
)
print(resp.choices[0].message.content)
