"""JSON as no platform's documents have it: each value of an event in turn of another type, huge, nested, missing."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from assistant.contracts.channels import PlatformCall
from assistant.contracts.inbox import InboundMessage
from assistant.testing.platform import ChannelPlatform, running
from tests.doubles.served import CalledPlatform

_GONE: Final = object()
_STRANGE: Final[tuple[Any, ...]] = (
    _GONE,
    None,
    True,
    0,
    -1,
    10**18,
    10**400,
    1.5,
    "",
    " ",
    "x" * 70_000,
    "9" * 5000,
    "²",
    "\ud800",
    "a\x00b\u202e\n",
    "../../x",
    [],
    {},
    [None, 7, "x", [], {"a": 1}],
    {"a": [7], "": None},
    json.loads("[" * 900 + "]" * 900),
    json.loads('{"a":' * 900 + "1" + "}" * 900),
)


def places(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """The way to each value in it."""
    if path:
        yield path
    steps: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()  # pyright: ignore[reportUnknownArgumentType]
    for step in steps:
        yield from places(value[step], *path, step)


def mutations(base: Any) -> Iterator[Any]:
    for path in places(base):
        for strange in _STRANGE:
            made = copy.deepcopy(base)
            within = made
            for step in path[:-1]:
                within = within[step]
            if strange is _GONE:
                del within[path[-1]]
            else:
                within[path[-1]] = strange
            yield made


def check(message: InboundMessage, platform: ChannelPlatform) -> None:
    """What everything behind a channel relies on."""
    platform.kind.check_address(platform.settings, message.address)
    quote, command = message.quote, message.command
    ids = [message.external_id, message.sender.id, message.message_id or "-", *([quote.author_id or "-"] if quote else [])]
    assert all(0 < len(each) <= 700 and each.strip() and each.isprintable() for each in ids), ids
    words = [message.text, message.sender.name, *([quote.text, quote.author] if quote else [])]
    words += [command.name, command.arguments] if command else []
    assert all(each == each.encode(errors="replace").decode() for each in (*ids, *words))
    assert len(message.sender.name) <= 200
    assert len(message.files) <= 20
    for file in message.files:
        assert 0 < len(file.name) <= 255
        assert 0 < len(file.media_type) <= 255
        assert file.media_type.isprintable()
        assert file.size is None or 0 <= file.size < 1 << 60
        assert len(file.ref) <= 80_000
    assert message.at.tzinfo is not None


async def survive(
    platform: CalledPlatform[Any, Any], call_of: Callable[[bytes], PlatformCall], bases: list[Any], *, refused: tuple[int, ...] = ()
) -> None:
    """Every mutation of these events is answered, and nothing of it stays: the last one is taken as it is."""
    async with running(platform.channel) as link:
        for base in bases:
            for made in mutations(base):
                reply = await platform.adapter.called(call_of(json.dumps(made).encode()))
                assert reply.status == 200 or reply.status in refused, (reply.status, made)
                while not link.kept.empty():
                    check(link.kept.get_nowait(), platform)
        for base in bases:
            assert (await platform.adapter.called(call_of(json.dumps(base).encode()))).status == 200
            check(await link.next(), platform)
