"""What people send by Signal: mentions, quotes, files, receipts, and envelopes of every shape."""

import base64
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from assistant.contracts.channels import SendRefused
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.inbox import InboundFile
from assistant.testing.platform import RecordingLink, Said, event_to, running, send
from channels.signal.settings import SignalSettings
from tests.contract.plugins.test_signal import ADA, BO, GROUP, SignalPlatform
from tests.doubles.mutated import check, mutations
from tests.doubles.signal_server import ACCOUNT, ME, NOW, SignalServer


def envelope(data: Any, **more: Any) -> dict[str, Any]:
    return {"sourceUuid": ADA, "sourceName": "Ada", "timestamp": NOW, "dataMessage": data, **more}


async def test_mentions_have_names_and_ours_is_left_out(platform: SignalPlatform, link: RecordingLink) -> None:
    mentions = [{"name": "me", "uuid": ME, "start": 0, "length": 1}, {"name": "Bo", "uuid": BO, "start": 10, "length": 1}]
    data = {"timestamp": NOW, "message": "\ufffc tell 👋 \ufffc hi", "mentions": mentions, "groupInfo": {"groupId": GROUP}}
    platform.server.tell(envelope(data))
    message = await link.next()
    assert (message.text, message.private, message.sender.id) == ("tell 👋 @Bo hi", False, ADA)


async def test_an_answer_to_an_answer_is_quoted_both_ways(platform: SignalPlatform, link: RecordingLink) -> None:
    platform.write(Said(text="the **question**"))
    asked = await link.next()
    event = event_to(platform.address, "w1")
    [receipt] = await send(platform, event=event, reply_to=asked.message_id)
    _, params = platform.server.calls[-1]
    assert (params["quoteAuthor"], params["quoteMessage"]) == (ADA, "the **question**")
    assert platform.seen()[-1].reply_to == asked.message_id
    await send(platform, event=event, reply_to=receipt.message_id)
    assert platform.server.calls[-1][1]["quoteAuthor"] == ME


async def test_receipts_become_ours(platform: SignalPlatform, link: RecordingLink) -> None:
    for kind in ("isDelivery", "isRead", "isViewed"):
        platform.server.tell({"sourceUuid": ADA, "timestamp": NOW, "receiptMessage": {kind: True, "timestamps": [NOW + 1, "x"]}})
    platform.write(Said(text="last"))
    await link.next()
    assert link.reached == [(f"{NOW + 1}:me", False), (f"{NOW + 1}:me", True)]


@pytest.mark.parametrize(
    "data",
    [
        {"timestamp": NOW, "message": None, "reaction": {"emoji": "x"}},
        {"timestamp": NOW, "message": "", "groupInfo": {"groupId": GROUP, "type": "UPDATE"}},
        {"timestamp": NOW, "remoteDelete": {"timestamp": 1}},
        {"timestamp": "x", "message": ["x"]},
        {"timestamp": NOW, "message": "x", "groupInfo": {"groupId": "../x"}},
        {
            "timestamp": NOW,
            "message": "\ufffc",
            "mentions": [{"start": -5, "length": 10**9}, {"start": "x"}, 7],
            "groupInfo": {"groupId": GROUP},
        },
        {"timestamp": 10**18, "message": "", "attachments": {"id": 7}},
        [],
        7,
    ],
)
async def test_what_is_no_message_is_none(platform: SignalPlatform, link: RecordingLink, data: Any) -> None:
    platform.server.tell(envelope(data, timestamp=NOW + 5))
    platform.server.tell({"sourceUuid": "not an id", "timestamp": NOW, "dataMessage": {"timestamp": NOW, "message": "x"}})
    platform.server.tell(envelope({"timestamp": NOW, "message": "x"}, sourceUuid=ME))
    platform.write(Said(text="last"))
    assert (await link.next()).text == "last"


async def test_a_name_in_a_mention_is_no_address(platform: SignalPlatform, link: RecordingLink) -> None:
    """Names are others' to choose, and stand among the sender's own words."""
    mentions = [{"name": "telegram:123456789", "uuid": BO, "start": 0, "length": 1}, {"number": "+15557654321", "start": 2, "length": 1}]
    platform.server.tell(envelope({"timestamp": NOW, "message": "\ufffc \ufffc hi", "mentions": mentions}))
    assert (await link.next()).text == "@telegram:… @+… hi"


async def test_an_envelope_with_any_value_in_any_place_is_taken(platform: SignalPlatform, link: RecordingLink) -> None:
    file = {"id": "f1", "contentType": "image/png", "filename": "a.png", "size": 7, "isVoiceNote": False}
    mention = {"name": "Bo", "uuid": BO, "number": "+1", "start": 0, "length": 1}
    quote = {"id": 1, "author": ADA, "authorUuid": ADA, "text": "what", "attachments": [file]}
    data = {"timestamp": NOW, "message": "\ufffc hi", "mentions": [mention], "attachments": [file], "quote": quote}
    receipt = {"isDelivery": True, "isRead": False, "timestamps": [NOW]}
    bases = [envelope({**data, "groupInfo": {"groupId": GROUP, "type": "DELIVER"}}), envelope(data)]
    bases += [{"sourceUuid": ADA, "timestamp": NOW, "editMessage": {"targetSentTimestamp": NOW, "dataMessage": data}}]
    bases += [{"sourceUuid": ADA, "timestamp": NOW, "receiptMessage": receipt}]
    for base in bases:
        for made in mutations({"account": ACCOUNT, "envelope": base}):
            platform.server.raw(json.dumps(made).encode())
    platform.write(Said(text="last"))
    while (message := await link.next()).text != "last":
        check(message, platform)


async def test_a_receipt_waits_for_the_store(platform: SignalPlatform) -> None:
    class Failing(RecordingLink):
        async def delivered(self, message_id: str, read: bool = False) -> None:
            if self.unavailable:
                self.unavailable -= 1
                raise StoreUnavailable
            await super().delivered(message_id, read)

    link = Failing()
    async with running(platform.channel, link):
        link.unavailable = 2
        platform.server.tell({"sourceUuid": ADA, "timestamp": NOW, "receiptMessage": {"isDelivery": True, "timestamps": [NOW + 1]}})
        platform.write(Said(text="last"))
        await link.next()
    assert (link.reached, len(link.why)) == ([(f"{NOW + 1}:me", False)], 2)


@pytest.mark.parametrize("data", [None, "", 7, ["x"], "no base64", "Tm9uZQ", "\ud800"], ids=range(7))
async def test_a_file_that_is_no_base64_is_gone(platform: SignalPlatform, tmp_path: Path, data: Any) -> None:
    platform.server.instead["data"] = data
    file = InboundFile(name="f", kind="document", media_type="x", size=None, ref=f"1 {ADA}")
    with pytest.raises(SendRefused, match="no longer there"):
        await platform.adapter.conversation.fetch(file, tmp_path / "in", 100)


async def test_what_is_large_arrives_whole(platform: SignalPlatform, link: RecordingLink, tmp_path: Path) -> None:
    platform.write(Said(text="x" * 2_000_000))
    platform.server.files["1"] = bytes(3_000_000)
    assert len((await link.next()).text) == 2_000_000
    file = InboundFile(name="f", kind="document", media_type="x", size=None, ref=f"1 {ADA}")
    await platform.adapter.conversation.fetch(file, tmp_path / "in", 3_000_000)
    assert (tmp_path / "in").stat().st_size == 3_000_000
    with pytest.raises(SendRefused, match="larger than 1 MB"):
        await platform.adapter.conversation.fetch(file, tmp_path / "in", 1_000_000)


async def test_another_account_of_the_daemon_is_not_ours(platform: SignalPlatform, link: RecordingLink) -> None:
    platform.server.raw(orjson.dumps({"account": "+1", "envelope": envelope({"timestamp": NOW, "message": "x"})}))
    platform.write(Said(text="last"))
    assert (await link.next()).text == "last"


async def test_a_subscribed_message_is_read(cli: SignalServer, tmp_path: Path) -> None:
    platform = SignalPlatform(cli, tmp_path, cli.tcp, subscribe=True)
    async with running(platform.channel) as link:
        result = {"account": ACCOUNT, "envelope": envelope({"timestamp": NOW, "message": "x"})}
        cli.raw(orjson.dumps({"subscription": 0, "result": result}))
        assert (await link.next()).text == "x"
    assert ("subscribeReceive", {"account": ACCOUNT}) in cli.calls
    await platform.channel.close()


async def test_a_file_comes_from_the_folder_where_there_is_one(cli: SignalServer, tmp_path: Path) -> None:
    (tmp_path / "att").mkdir()
    (tmp_path / "att" / "f.pdf").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret")
    platform = SignalPlatform(cli, tmp_path, cli.url, attachmentsDir=tmp_path / "att")
    file = InboundFile(name="f", kind="document", media_type="x", size=None, ref=f"f.pdf {ADA}")
    await platform.adapter.conversation.fetch(file, tmp_path / "in", 100)
    assert (tmp_path / "in").read_bytes() == b"content"
    for ref, most, code in ((f"f.pdf {ADA}", 3, "too_large"), (f"../secret {ADA}", 100, "gone"), (f"none {ADA}", 100, "gone")):
        file = InboundFile(name="f", kind="document", media_type="x", size=None, ref=ref)
        with pytest.raises(SendRefused) as refused:
            await platform.adapter.conversation.fetch(file, tmp_path / "in", most)
        assert refused.value.trouble.code == code
    await platform.channel.close()


def test_nanobots_keys_are_taken() -> None:
    found = SignalSettings.model_validate({"phoneNumber": ACCOUNT, "daemonHost": "signal", "daemonPort": 8081})
    assert (found.account, found.daemon) == (ACCOUNT, "http://signal:8081")


async def test_files_travel_in_the_request(platform: SignalPlatform) -> None:
    media = platform.files.put("ü;b.pdf", b"%PDF", "application/pdf")
    await send(platform, event=event_to(platform.address, "w1", media=(media,)))
    [uri] = platform.server.calls[-1][1]["attachment"]
    assert uri == "data:application/pdf;filename=%C3%BC%3Bb.pdf;base64," + base64.b64encode(b"%PDF").decode()
