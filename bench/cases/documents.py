"""A document of nearly 10 MB of each kind: the time to read it, and the longest wait of other requests meanwhile."""

import base64
import http.client
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from bench.figures import Effort, Figure, Say, at_most
from bench.measured import median
from bench.pinger import pinging
from bench.rig import Rig, running_rig
from bench.samples import Sample, all_samples
from tests.documents.making import pdf, show

_PATIENCE = 120
_LEAST_READ = 20_000
"""Bytes of a file that must have reached the model."""
_SMALL = 30
"""Messages with a small file, and as many with its text in the message."""
_IDLE = 2.0
"""Seconds of pings before the first upload, for comparison."""


@dataclass(slots=True)
class _Seen:
    walls: list[float] = field(default_factory=list[float])
    stalls: list[float] = field(default_factory=list[float])
    refusals: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class _Body:
    media_type: str
    data: bytes


def measure_documents(effort: Effort, say: Say) -> Iterator[Figure]:
    """Each run has its own server and store: a known file would not be read again."""
    samples = all_samples(say)
    ways = {_title(sample.name, sample): _multipart(sample) for sample in samples}
    pdf = next(sample for sample in samples if sample.name == "pdf")
    ways[_title("pdf as base64 in JSON", pdf)] = _json(pdf)
    seen = {name: _Seen() for name in ways}
    idle: list[float] = []
    small: list[float] = []
    for run in range(effort.runs):
        with running_rig() as rig:
            say(f"documents: nothing yet, run {run + 1} of {effort.runs}")
            idle.append(_wait_idly(rig))
            for name, body in ways.items():
                say(f"documents: {name}, run {run + 1} of {effort.runs}")
                _upload(rig, body, seen[name])
            small.append(_small_pdf(rig))
    yield Figure(name="a PDF of one page, more than its text in the message", unit="ms", samples=tuple(small), target=at_most(40))
    yield Figure(name="/health with nothing else to do, longest wait", unit="ms", samples=tuple(idle))
    for name, found in seen.items():
        note = "; ".join(sorted(set(found.refusals)))
        yield Figure(name=f"{name}: read and answered", unit="s", samples=tuple(found.walls), errors=len(found.refusals), note=note)
        yield Figure(name=f"{name}: longest wait of /health", unit="ms", samples=tuple(found.stalls), target=at_most(25))


def _small_pdf(rig: Rig) -> float:
    """How many milliseconds longer a message with a small PDF takes than one with the same text: medians of some of each, in turn."""
    lines = [f"Line {number} of a letter about nothing in particular." for number in range(30)]
    took: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * _SMALL):
        as_file, unique = number % 2 == 1, uuid.uuid4().hex
        data = pdf([show(unique, *lines)])
        body = _file(Path("letter.pdf"), data) if as_file else _words("\n".join([unique, *lines]))
        began = time.perf_counter()
        status, answer = _post(rig.api, body)
        took[as_file].append((time.perf_counter() - began) * 1e3)
        if status != 200:
            raise RuntimeError(f"HTTP {status}: {answer[:200]}")
    return median(took[True][1:]) - median(took[False][1:])


def _words(text: str) -> _Body:
    session = uuid.uuid4().hex
    return _Body("application/json", orjson.dumps({"messages": [{"role": "user", "content": text}], "session_id": session}))


def _title(name: str, sample: Sample) -> str:
    return f"{name}, {sample.size / 1e6:.1f} MB"


def _wait_idly(rig: Rig) -> float:
    """The longest wait of /health, in milliseconds, with no other request running."""
    with pinging(rig.server.url) as pings:
        began = time.monotonic()
        time.sleep(_IDLE)
        ended = time.monotonic()
    return pings.longest(began, ended)


def _upload(rig: Rig, body: _Body, seen: _Seen) -> None:
    before = rig.model.bytes_received()
    with pinging(rig.server.url) as pings:
        began = time.monotonic()
        status, answer = _post(rig.api, body)
        ended = time.monotonic()
    seen.walls.append(ended - began)
    seen.stalls.append(pings.longest(began, ended))
    if status != 200:
        seen.refusals.append(f"HTTP {status}: {answer[:200]}")
    elif rig.model.bytes_received() - before < _LEAST_READ:
        seen.refusals.append("hardly any of it reached the model")


def _post(api: str, body: _Body) -> tuple[int, str]:
    target = urlsplit(api)
    connection = http.client.HTTPConnection(target.netloc, timeout=_PATIENCE)
    try:
        connection.request("POST", f"{target.path}/chat/completions", body=body.data, headers={"Content-Type": body.media_type})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


def _multipart(sample: Sample) -> _Body:
    return _file(sample.path, sample.path.read_bytes())


def _file(path: Path, data: bytes) -> _Body:
    boundary = uuid.uuid4().hex  # the session's name as well: each file has one of its own
    start = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="message"\r\n\r\nWhat is this?\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="session_id"\r\n\r\n{boundary}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    whole = b"".join((start.encode(), data, f"\r\n--{boundary}--\r\n".encode()))
    return _Body(f"multipart/form-data; boundary={boundary}", whole)


def _json(sample: Sample) -> _Body:
    """The file with changed bytes, so that it is read again: a comment at the end, which PDF allows."""
    encoded = base64.b64encode(sample.path.read_bytes() + b"% sent as JSON\n").decode()
    part = {"type": "file", "file": {"filename": sample.path.name, "file_data": f"data:application/pdf;base64,{encoded}"}}
    message = {"role": "user", "content": [{"type": "text", "text": "What is this?"}, part]}
    return _Body("application/json", orjson.dumps({"messages": [message], "session_id": "json"}))
