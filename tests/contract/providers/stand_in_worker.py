"""Stand-in for the GGUF worker that misbehaves on demand: when loading by the file's name, later by the first word of the last message."""

import base64
import json
import os
import signal
import struct
import sys
from collections.abc import Mapping
from typing import Any


def hear() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        sys.exit()
    return json.loads(line)


def say(**fields: object) -> None:
    raw(json.dumps(fields) + "\n")


def raw(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def flood(job: int) -> None:
    """An answer, then endless output."""
    say(job=job, text="flood")
    say(job=job, end="stop", prompt_tokens=1, completion_tokens=1, cached_tokens=0)
    while True:
        raw("[]\n" * 20_000)


def load(order: Mapping[str, Any]) -> None:
    name = os.path.basename(order["path"])
    with open(order["path"] + ".loads", "a", encoding="ascii") as loads:
        loads.write(f"{os.getpid()}\n")
    if name == "refused.gguf":
        say(failed="can't be loaded: its file is damaged", detail="what the library says")
        sys.exit(1)
    if name == "dies.gguf":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "sleeps.gguf":
        sys.stdin.read()
    if name == "babbles.gguf":
        say(loaded="yes")
    say(loaded={"context": 64, "dimensions": 3})


def embed(order: Mapping[str, Any]) -> None:
    for text in order["texts"]:
        vector = struct.pack("<3f", len(text), 0, 1)
        say(job=order["job"], vector="?" if text == "UNREADABLE" else base64.b64encode(vector).decode())
    say(job=order["job"], end="stop", prompt_tokens=9, completion_tokens=0, cached_tokens=0)


def answer(order: Mapping[str, Any]) -> None:
    job = order["job"]
    asked = order["prompt"] if "prompt" in order else order["messages"][-1]["content"]
    marker, _, rest = asked.partition(" ")
    pieces = ["tok0 ", "tok1 ", "tok2"]
    match marker:
        case "PID":
            pieces = [str(os.getpid())]
        case "ECHO":
            pieces = [rest]
        case "ORDER":
            pieces = [json.dumps(order)]
        case "NOTHING":
            pieces = []
        case "WAIT":  # until it is cancelled
            say(job=job, text="waiting")
            assert hear() == {"cancel": job}
            say(job=job, end="cancelled")
            return
        case "DEAF":
            say(job=job, text="deaf")
            sys.stdin.read()
        case "FREEZE":
            say(job=job, text="frozen")
            os.kill(os.getpid(), signal.SIGSTOP)
        case "CRASH":
            say(job=job, text="so far")
            os.kill(os.getpid(), signal.SIGKILL)
        case "FLOOD":
            flood(job)
        case "BROKE":
            say(broke="KeyError at inference.py:1")
        case "GARBAGE":
            raw("{not JSON\n")
        case "LIST":
            raw("[]\n")
        case "ENDLESS":
            raw("x" * 3_000_000)
        case "OTHER":
            say(job=job + 1, text="of another")
        case "LONG":
            say(job=job, refused="takes 64 tokens, and this is 65", kind="context", param=None)
            return
        case "ODD":
            say(job=job, refused="has a template that does not take this", kind="request", param="messages")
            return
        case _:
            pass
    for piece in pieces:
        say(tick=True)
        say(job=job, text=piece)
    say(job=job, end="length" if rest == "length" else "stop", prompt_tokens=9, completion_tokens=len(pieces), cached_tokens=4)


load(hear()["load"])
while True:
    order = hear()
    if "cancel" not in order:  # a cancellation may come too late
        (embed if "texts" in order else answer)(order)
