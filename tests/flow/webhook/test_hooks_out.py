"""A message to a hook: one signed POST, and its answer taken at its word."""

import asyncio
import base64
import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import web

from assistant.contracts.channels import SendFailed, SendLater, SendRefused, SendUnclear
from channels.kit.answers import seconds_until
from channels.kit.calls import is_recent
from channels.webhook.adapter import is_signed
from tests.flow.media_folder import MediaFolder

from .conftest import Receiver, event, sending, webhook

SECRET = "o" * 32


async def test_a_message_is_posted_once_signed_with_its_files_and_its_key(receiver: Receiver, tmp_path: Path) -> None:
    media = MediaFolder(tmp_path).add("a.txt", b"hello", "text/plain")
    async with webhook(tmp_path, {"build": {"secret": "i" * 32, "outSecret": SECRET, "url": receiver.url}}) as channel:
        (part,) = channel.plan(event("**Hi**\n- x", media=(media,)))
        receipt = await channel.send(sending(part))
    assert receipt.message_id is None
    ((headers, body),) = receiver.requests
    assert headers["idempotency-key"] == "k" * 25
    assert headers["user-agent"] == "nanobot/9.8.7"
    stamp = headers["x-nanobot-timestamp"]
    assert is_recent(stamp, datetime.now(UTC).timestamp())
    assert is_signed(SECRET, stamp, headers["x-nanobot-signature"], body)
    assert json.loads(body) == {
        "id": "k" * 25,
        "channel": "webhook",
        "chat_id": "build",
        "thread_id": "7",
        "text": "**Hi**\n- x",
        "media": [{"name": "a.txt", "media_type": "text/plain", "size": 5, "data": base64.b64encode(b"hello").decode()}],
        "buttons": [],
    }


async def test_without_a_secret_it_is_not_signed(receiver: Receiver, tmp_path: Path) -> None:
    async with webhook(tmp_path, {"build": {"url": receiver.url}}) as channel:
        await channel.send(sending(channel.plan(event("x"))[0]))
    assert not any("signature" in name for name in receiver.requests[0][0])


@pytest.mark.parametrize(
    ("status", "kind", "counts"),
    [
        (200, None, None),
        (204, None, None),
        (301, SendRefused, None),
        (307, SendRefused, None),
        (400, SendRefused, None),
        (401, SendRefused, None),
        (404, SendRefused, None),
        (410, SendRefused, None),
        (408, SendLater, False),
        (425, SendLater, False),
        (429, SendLater, False),
        (500, SendLater, True),
        (503, SendLater, True),
    ],
)
async def test_an_answer_means_what_it_says(
    receiver: Receiver, tmp_path: Path, status: int, kind: type[SendFailed] | None, counts: bool | None
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Retry-After": "17", "Location": f"{receiver.url}/elsewhere"})

    receiver.answer = answer
    async with webhook(tmp_path, {"build": {"url": receiver.url}}) as channel:
        part = channel.plan(event("x"))[0]
        if kind is None:
            await channel.send(sending(part))
        else:
            with pytest.raises(kind) as caught:
                await channel.send(sending(part))
            if isinstance(caught.value, SendLater):
                assert (caught.value.retry_after, caught.value.counts) == (17.0, counts)
            assert str(status) in caught.value.trouble.words
            assert receiver.url not in caught.value.trouble.words
    assert len(receiver.requests) == 1


async def test_nobody_there_is_later_and_says_nothing_against_the_message(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        async with webhook(tmp_path, {"build": {"url": f"http://127.0.0.1:{taken.getsockname()[1]}/"}}) as channel:
            with pytest.raises(SendLater) as caught:
                await channel.send(sending(channel.plan(event("x"))[0]))
    assert (caught.value.counts, caught.value.trouble.code) == (False, "network")


async def test_a_reset_after_the_request_is_unclear(receiver: Receiver, tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        await asyncio.Event().wait()
        raise AssertionError

    receiver.answer = answer
    async with webhook(tmp_path, {"build": {"url": receiver.url}}) as channel:
        with pytest.raises(SendUnclear):
            await channel.send(sending(channel.plan(event("x"))[0]))
        assert channel.keyed
    assert len(receiver.requests) == 1


async def test_a_hook_without_a_url_and_one_that_is_gone_can_not_be_written_to(tmp_path: Path) -> None:
    async with webhook(tmp_path, {"build": {"secret": SECRET}}) as channel:
        for name, code in (("build", "no_url"), ("other", "unknown_hook")):
            with pytest.raises(SendRefused) as caught:
                channel.plan(event("x", name))
            assert caught.value.trouble.code == code


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert seconds_until("120", now) == 120
    assert seconds_until(format_datetime(now + timedelta(minutes=3), usegmt=True), now) == 180
    assert seconds_until(format_datetime(now - timedelta(minutes=3), usegmt=True), now) == 0
    assert [seconds_until(value, now) for value in (None, "", "soon", "-5", "1e400", "²", "9" * 400)] == [None] * 7
