"""The chat server: its health, its models, an answer whole, and one as it is written. Start it with `nanobot chat-server`."""

import json
import os

import requests

base = os.environ.get("NANOBOT_URL", "http://127.0.0.1:8080")
headers = {"Authorization": f"Bearer {os.environ.get('NANOBOT_KEY', 'YOUR_TOKEN')}"}  # needed where the server asks for it

print("health:", requests.get(f"{base}/health", timeout=10).json()["status"])

models = requests.get(f"{base}/v1/models", headers=headers, timeout=30)
models.raise_for_status()
names = [model["id"] for model in models.json()["data"]]
print("models:", ", ".join(names))

question = {"model": names[0], "messages": [{"role": "user", "content": "Hello, how are you?"}]}

answer = requests.post(f"{base}/v1/chat/completions", headers=headers, json=question, timeout=120)
answer.raise_for_status()
print("plain:", answer.json()["choices"][0]["message"]["content"])

print("stream: ", end="")
with requests.post(f"{base}/v1/chat/completions", headers=headers, json={**question, "stream": True}, stream=True, timeout=120) as events:
    events.raise_for_status()
    for line in events.iter_lines():
        if not line.startswith(b"data: "):
            continue  # a comment that keeps the connection alive, or the end of an event
        if line == b"data: [DONE]":
            print("\n[done]")
            break
        chunk = json.loads(line[6:])
        if "error" in chunk:
            raise SystemExit(chunk["error"]["message"])  # the answer broke off
        print(chunk["choices"][0]["delta"].get("content", ""), end="", flush=True)
