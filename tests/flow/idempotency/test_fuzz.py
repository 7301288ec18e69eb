"""Whatever stands in the headers and however a body is cut: never a 5xx, and a repeat is one only of the same request."""

import asyncio
import itertools
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.api.idempotency.exchange import Fingerprint
from tests.flow.idempotency.conftest import CHAT, opened

HEAD = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n".encode()
BODY = b'{"messages":[{"role":"user","content":"hi"}]}'
VALUES = st.binary(max_size=300).map(lambda value: value.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b""))


def print_of(body: Iterable[bytes], content_type: bytes = b"application/json") -> str:
    scope = {"method": "POST", "path": CHAT, "query_string": b"", "headers": [(b"content-type", content_type)]}
    fingerprint = Fingerprint(scope)
    for piece in body:
        fingerprint.add(piece)
    return fingerprint.finish()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def test_no_header_brings_a_5xx(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        rig = runner.run(stack.enter_async_context(opened(tmp_path)))

        @settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
        @given(name=st.sampled_from([b"Idempotency-Key", b"X-Stainless-Retry-Count"]), value=VALUES)
        def example(name: bytes, value: bytes) -> None:
            request = HEAD + name + b": " + value + b"\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
            status = runner.run(rig.api.raw(request)).split(b" ")[1]
            assert status in (b"200", b"400")

        try:
            example()
        finally:
            runner.run(stack.aclose())


@given(data=st.binary(max_size=200), places=st.lists(st.integers(0, 200), max_size=10))
def test_a_body_is_the_same_however_it_is_cut(data: bytes, places: list[int]) -> None:
    for content_type in (b"application/json", b"multipart/form-data; boundary=ab"):
        assert print_of(cut(data, places), content_type) == print_of([data], content_type)


@given(
    parts=st.lists(st.binary(max_size=20).filter(lambda part: b"--" not in part), min_size=1, max_size=5),
    places=st.lists(st.integers(0, 200), max_size=10),
)
def test_a_form_is_the_same_under_any_boundary_and_another_form_is_another(parts: list[bytes], places: list[int]) -> None:
    one, other = (b"".join(b"--%b\r\n\r\n%b\r\n" % (boundary, part) for part in parts) for boundary in (b"BOUNDARY", b"x7x"))
    form = b'multipart/form-data; boundary="%b"'
    assert print_of(cut(one, places), form % b"BOUNDARY") == print_of([other], form % b"x7x")
    assert print_of([one + b"!"], form % b"BOUNDARY") != print_of([other], form % b"x7x")


@given(one=st.binary(max_size=30), other=st.binary(max_size=30))
def test_two_bodies_of_json_are_the_same_only_byte_by_byte(one: bytes, other: bytes) -> None:
    assert (print_of([one]) == print_of([other])) == (one == other)
