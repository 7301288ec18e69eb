"""Models that never answer, a file on this machine and a provider: how requests that wait for them slow down others."""

import json
import os
import select
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import assistant
from bench.figures import Effort, Figure, Say, at_most
from bench.load import Load, apply_load
from bench.rig import Rig, running_rig
from tests.doubles.model_process import running_model

_ASK = {"file": 17, "provider": 200}
"""Requests to each. For the file: the one that stalls, and a full queue behind it."""
_LOADED_AFTER = 2.0
"""Seconds: the start of the file's process is no stall."""
_HEADER = b"GGUF\3\0\0\0" + bytes(16)
_ROOT = Path(assistant.__file__).parents[1]
_STAND_IN = _ROOT / "tests" / "doubles" / "llama"


def measure_stalls(effort: Effort, say: Say) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="nanobot-bench-") as folder, running_model() as silent:
        silent.behave(mode="hang")
        file = Path(folder) / "stalls.gguf"
        file.write_bytes(_HEADER)
        for kind, models in (
            ("file", {"stalls": {"path": str(file)}}),
            ("provider", {"stalls": {"provider": "vllm", "model": "stalls"}}),
        ):
            env = {"PYTHONPATH": os.pathsep.join(map(str, (_STAND_IN, _ROOT))), "NANOBOT_PROVIDERS__VLLM__API_BASE": silent.url}
            with running_rig({"models": models}, env) as rig:
                yield _stalled(rig, kind, effort, say)


def _stalled(rig: Rig, kind: str, effort: Effort, say: Say) -> Figure:
    load = Load(url=rig.api, connections=16, requests=effort.requests(2_000, least=500), warm_up=200)
    say(f"stalls: p99 without, for a {kind}")
    before = [apply_load(load).latency(99) for _ in range(effort.runs)]
    with ExitStack() as stack:
        say(f"stalls: {_ASK[kind]} requests to a {kind} that never answers")
        asking = [stack.enter_context(_asking(rig)) for _ in range(_ASK[kind])]
        time.sleep(_LOADED_AFTER)
        after = [apply_load(load) for _ in range(effort.runs)]
        answered, _, _ = select.select(asking, [], [], 0)
    calm = sorted(before)[len(before) // 2]
    return Figure(
        name=f"p99 beside {_ASK[kind]} requests to a {kind} that stalls",
        unit="× the p99 without",
        samples=tuple(run.latency(99) / calm for run in after),
        target=at_most(2),
        errors=sum(run.failed for run in after) + len(answered),
        note=f"{calm:.1f} ms without",
    )


def _asking(rig: Rig) -> socket.socket:
    """A connection with a request that is not answered."""
    body = json.dumps({"model": "stalls", "messages": [{"role": "user", "content": "STALL"}]}).encode()
    address = urlsplit(rig.server.url)
    connection = socket.create_connection((address.hostname or "", address.port or 80), timeout=5)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection
