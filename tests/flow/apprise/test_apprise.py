"""Apprise itself, sending to a receiver on loopback by its json:// service."""

import base64
import json
import logging
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import ValidationError

from assistant.contracts.addresses import address_of
from assistant.contracts.channels import ChannelContext, ChannelFailed, Sending, SendLater, SendRefused
from assistant.contracts.errors import InvalidAddress
from assistant.contracts.outbox import Button, Media, Origin, OutboundEvent, OutboundPart
from channels.apprise.adapter import AppriseChannel
from channels.apprise.kind import KIND
from channels.apprise.settings import AppriseSettings
from tests.flow.media_folder import MediaFolder

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""Apprise's own, where it looks for PGP."""


class Receiver:
    def __init__(self) -> None:
        self.bodies: list[dict[str, object]] = []
        self.status = 200
        self.port = 0

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(json.loads(await request.read()))
        return web.Response(status=self.status)


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    yield receiver
    await runner.cleanup()


def channel(folder: Path, **services: str) -> AppriseChannel:
    settings = AppriseSettings.model_validate({"enabled": True, "services": services})
    return AppriseChannel(settings, ChannelContext(files=MediaFolder(folder), version="1"))


def event(text: str, *, to: str = "ops", media: tuple[Media, ...] = (), buttons: tuple[tuple[Button, ...], ...] = ()) -> OutboundEvent:
    return OutboundEvent(
        id="evt_1",
        address=address_of("apprise", to),
        text=text,
        media=media,
        buttons=buttons,
        expires_at=datetime.now(UTC),
        origin=Origin(kind="tool", owner="local"),
    )


async def send(apprise: AppriseChannel, part: OutboundPart, to: str = "ops") -> None:
    receipt = await apprise.send(
        Sending(address=address_of("apprise", to), part=part, place=0, key="k", reply_to=None, replaces=None, again=None)
    )
    assert receipt.message_id is None


async def test_a_message_arrives_as_plain_text_with_its_files(receiver: Receiver, tmp_path: Path) -> None:
    media = MediaFolder(tmp_path).add("a.txt", b"hello", "text/plain")
    apprise = channel(tmp_path, ops=f"json://127.0.0.1:{receiver.port}/in")
    buttons = ((Button(text="Open", url="https://example.org/x"), Button(text="No")),)
    (part,) = apprise.plan(event("**Done** [log](https://example.org/l)", media=(media,), buttons=buttons))
    await send(apprise, part)
    (body,) = receiver.bodies
    assert body["message"] == "Done log (https://example.org/l)\n\nOpen (https://example.org/x)\nNo"
    assert [(file["filename"], base64.b64decode(file["base64"])) for file in body["attachments"]] == [("a.txt", b"hello")]  # pyright: ignore


async def test_a_no_is_later_and_counts(receiver: Receiver, tmp_path: Path) -> None:
    receiver.status = 500
    apprise = channel(tmp_path, ops=f"json://127.0.0.1:{receiver.port}/in")
    with pytest.raises(SendLater) as caught:
        await send(apprise, apprise.plan(event("x"))[0])
    assert caught.value.counts


async def test_a_long_text_comes_in_parts_of_the_services_own_length(receiver: Receiver, tmp_path: Path) -> None:
    apprise = channel(tmp_path, ops="d7sms://user:pass@15551232000", long=f"json://127.0.0.1:{receiver.port}")
    words = [f"word{place}" for place in range(300)]
    parts = apprise.plan(event(" ".join(words)))
    assert max(len(part.text) for part in parts) <= 160
    assert " ".join(part.text for part in parts).split() == words
    assert len(apprise.plan(event(" ".join(words), to="long"))) == 1


async def test_a_bad_url_is_said_by_its_name_and_does_not_stop_the_others(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    apprise = channel(tmp_path, bad="nosuch://hush-hush", ops=f"json://user:hush-hush@127.0.0.1:{receiver.port}/")
    with pytest.raises(ChannelFailed, match=r"URL in channels\.apprise\.services\.bad; services: ops \(JSON\)$") as told:
        await apprise.identity()
    assert told.value.fatal
    assert await channel(tmp_path, ops=f"json://127.0.0.1:{receiver.port}/").identity() == "services: ops (JSON)"
    with pytest.raises(SendRefused):
        apprise.plan(event("x", to="bad"))
    with pytest.raises(SendRefused):
        apprise.plan(event("x", to="gone"))
    await send(apprise, apprise.plan(event("x"))[0])
    assert "hush-hush" not in caplog.text
    with pytest.raises(ChannelFailed, match=r"channels\.apprise\.services\.bad") as caught:
        channel(tmp_path, bad="nosuch://hush-hush")
    assert caught.value.fatal
    assert "hush-hush" not in str(caught.value)


def test_files_are_refused_where_the_service_takes_none(tmp_path: Path) -> None:
    media = Media(name="a.txt", media_type="text/plain", size=5, digest="0" * 64)
    with pytest.raises(SendRefused) as caught:
        channel(tmp_path, ops="d7sms://user:pass@15551232000").plan(event("x", media=(media,)))
    assert caught.value.trouble.code == "no_files"


def test_an_address_is_the_name_of_a_service() -> None:
    there = AppriseSettings.model_validate({"enabled": True, "services": {"ops": "json://127.0.0.1"}})
    assert KIND.check_address(there, address_of("apprise", "ops"))
    assert KIND.named(there) == ["ops"]
    assert KIND.check_address(AppriseSettings(), address_of("apprise", "anything"))
    for wrong in (address_of("apprise", "other"), address_of("apprise", "../x"), address_of("apprise", "ops", "7")):
        with pytest.raises(InvalidAddress):
            KIND.check_address(there, wrong)
    with pytest.raises(ValidationError):
        AppriseSettings.model_validate({"services": {"Not a name": "json://127.0.0.1"}})


async def test_a_service_that_takes_no_answer_is_not_told_to_reply(receiver: Receiver, tmp_path: Path) -> None:
    apprise = channel(tmp_path, ops=f"json://127.0.0.1:{receiver.port}/in")
    (part,) = apprise.plan(event("stretch", buttons=((Button(text="Done", command="/done", subject="occ_1"),),)))
    await send(apprise, part)
    assert receiver.bodies[0]["message"] == "stretch"
