"""Answers that no Telegram gives, but something between may: they cost the message or the round that they are the answer to, and nothing else."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from assistant.contracts.channels import Channel, SendFailed, SendLater, SendRefused, SendUnclear
from assistant.contracts.inbox import InboundFile
from tests.doubles.mutated import mutations
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.telegram.rig import Rig, event
from tests.flow.telegram.test_telegram_webhook import webhook

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
ME = {"id": 1, "is_bot": True, "first_name": "b", "username": "test_bot"}


class Impostor:
    """Answers what the test says: by method, a status and bytes, or something that answers by itself."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes] | Answer] = {}
        self.asked = 0
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        self.asked += method == "getUpdates"
        match self.answers.get(method):
            case None:
                return web.json_response({"ok": True, "result": ME if method == "getMe" else True})
            case (int(status), bytes(body)):
                return web.Response(status=status, body=body, content_type="application/json")
            case answer:
                assert callable(answer)
                return await answer(request)


@pytest.fixture
async def impostor() -> AsyncGenerator[Impostor]:
    impostor = Impostor()
    app = web.Application()
    app.router.add_route("*", "/bot{token}/{method}", impostor.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    impostor.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield impostor
    await runner.cleanup()


def opened(rig: Rig, impostor: Impostor, answer_seconds: float | None = None) -> Channel:
    return rig.open(answer_seconds, apiBase=impostor.url)


async def failure(rig: Rig, channel: Channel) -> SendFailed:
    with pytest.raises(SendFailed) as failed:
        await rig.send(channel, event())
    return failed.value


@pytest.mark.parametrize(("said", "obeyed"), [("1e999", None), ("NaN", None), ("-5", None), ('"soon"', None), ("1e308", 30 * 86_400.0)])
async def test_a_wait_that_is_none_is_none_and_none_is_longer_than_a_month(rig: Rig, impostor: Impostor, said: str, obeyed: float | None):
    impostor.answers["sendMessage"] = 429, f'{{"ok": false, "parameters": {{"retry_after": {said}}}}}'.encode()
    later = await failure(rig, opened(rig, impostor))
    assert isinstance(later, SendLater)
    assert later.retry_after == obeyed


async def test_what_telegram_says_can_be_shown_whatever_it_holds(rig: Rig, impostor: Impostor):
    impostor.answers["sendMessage"] = 400, b'{"ok": false, "description": "half \\ud800 and \\u0000"}'
    refused = await failure(rig, opened(rig, impostor))
    assert isinstance(refused, SendRefused)
    assert refused.trouble.words == "Telegram refused it: half ? and."


@pytest.mark.parametrize("status", [200, 400])
async def test_an_answer_nested_without_end_is_an_answer_that_cannot_be_read(rig: Rig, impostor: Impostor, status: int):
    impostor.answers["sendMessage"] = status, b"[" * 100_000
    failed = await failure(rig, opened(rig, impostor))
    assert isinstance(failed, SendUnclear if status == 200 else SendRefused)
    assert failed.trouble.code in ("no_answer", "refused")


async def test_an_answer_without_end_is_not_read_to_it(rig: Rig, impostor: Impostor):
    written = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        while written < 500_000_000:
            await response.write(b"x" * 1_000_000)
            written += 1_000_000
        return response

    impostor.answers["sendMessage"] = endless
    assert "too long" in (await failure(rig, opened(rig, impostor))).trouble.words
    assert written < 150_000_000


async def test_an_answer_that_drips_is_given_up(rig: Rig, impostor: Impostor):
    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport is not None:
            await response.write(b" ")
            await asyncio.sleep(0.02)
        return response

    impostor.answers["getMe"] = dripping
    channel = rig.open(0.1, apiBase=impostor.url)
    async with asyncio.timeout(60):
        with pytest.raises(Exception, match="can't be reached"):
            await channel.identity()


async def test_updates_that_are_told_again_and_again_are_not_asked_for_in_a_tight_loop(rig: Rig, impostor: Impostor):
    said: dict[str, Any] = {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}, "text": "x"}
    update = f'{{"update_id": 7, "message": {said}}}'.replace("'", '"').encode()
    impostor.answers["getUpdates"] = 200, b'{"ok": true, "result": [' + update + b"]}"
    rig.start(opened(rig, impostor))
    await rig.link.state("connected")
    await asyncio.sleep(0.5)
    assert impostor.asked < 10


async def test_an_update_nested_too_deep_holds_up_no_other(rig: Rig, impostor: Impostor):
    deep = b'{"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}, "reply_to_message": ' * 600 + b"{}" + b"}" * 600
    impostor.answers["getUpdates"] = 200, b'{"ok": true, "result": [{"update_id": 1, "message": ' + deep + b"}]}"
    task = rig.start(opened(rig, impostor))
    await rig.link.state("connected")
    while impostor.asked < 2:
        assert not task.done()
        await asyncio.sleep(0.01)


async def test_an_update_with_any_value_in_any_place_is_taken(rig: Rig, impostor: Impostor):
    ada: dict[str, Any] = {"id": 11, "is_bot": False, "first_name": "Ada"}
    said = {"message_id": 5, "date": 1, "chat": {"id": 11, "type": "private"}, "from": ada, "text": "hi"}
    photo = {"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1, "file_size": 3}
    album = {**said, "text": None, "caption": "c", "photo": [photo], "media_group_id": "g", "reply_to_message": said}
    press = {"id": "1", "from": ada, "chat_instance": "x", "data": "say:hi", "message": said}
    bases: list[dict[str, Any]] = [
        {"message": said},
        {"message": album},
        {"edited_message": {**said, "edit_date": 2}},
        {"callback_query": press},
    ]
    updates = [{"update_id": number, **made} for number, made in enumerate(made for base in bases for made in mutations(base))]
    updates.append({"update_id": len(updates), "message": {**said, "text": "last"}})

    async def answer(request: web.Request) -> web.StreamResponse:
        offset = (await request.json()).get("offset") or 0
        return web.json_response({"ok": True, "result": [each for each in updates if each["update_id"] >= offset][:100]})

    impostor.answers["getUpdates"] = answer
    rig.start(opened(rig, impostor)).add_done_callback(lambda task: task.cancelled() or task.result())
    await rig.link.until(lambda: any(each.text == "last" for each in rig.link.messages))
    for message in rig.link.messages:
        ids = (message.external_id, message.sender.id, message.address.chat_id)
        assert all(0 < len(each) < 500 and each.isprintable() for each in ids)


@pytest.mark.parametrize("path", ["/etc/hostname", "{here}"])
async def test_a_file_of_this_machine_is_never_read_for_one_that_was_sent(rig: Rig, server: TelegramServer, tmp_path: Path, path: str):
    (tmp_path / "secret").write_text("a secret")
    ref = server.file(b"data", path.format(here=tmp_path / "secret"))
    conversation = rig.open().conversation
    assert conversation is not None
    file = InboundFile(name="n.txt", kind="document", media_type="text/plain", size=None, ref=ref)
    with pytest.raises(SendRefused, match="does not give it out"):
        await conversation.fetch(file, tmp_path / "into", 1000)
    assert not (tmp_path / "into").exists()


async def test_a_secret_that_is_no_text_is_a_wrong_one(rig: Rig):
    settings = webhook(webhookSecretToken="a-secret")
    await rig.run(**settings)
    port = settings["webhookListenPort"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"POST /telegram HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nX-Telegram-Bot-Api-Secret-Token: \xff\xfe\r\nConnection: close\r\n\r\n{}"
    writer.write(head)
    assert (await reader.readline()).split()[1] == b"403"
    writer.close()


async def test_a_call_nested_without_end_is_refused(rig: Rig, server: TelegramServer):
    settings = webhook(webhookSecretToken="a-secret")
    await rig.run(**settings)
    url = f"http://127.0.0.1:{settings['webhookListenPort']}/telegram"
    async with ClientSession() as session:
        call = session.post(url, data=b"[" * 100_000, headers={"X-Telegram-Bot-Api-Secret-Token": "a-secret"})
        async with call as answer:
            assert answer.status == 400
