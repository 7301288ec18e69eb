"""What a WebSocket is promised below what is said over it: frames, limits, ends."""

import asyncio
import struct
from typing import cast

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from .socket_rig import HANDSHAKE, SAMPLE_ACCEPT, closed, echoing

MASK = b"\0\0\0\0"


def frame(data: bytes, *, opcode: int = 1, fin: bool = True) -> bytes:
    """A frame as a client sends it, its mask all zeros."""
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
    return bytes([(0x80 if fin else 0) | opcode]) + length + MASK + data


async def end_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(30):
        return await reader.read()


def close_code(said: bytes) -> int:
    """That of the close frame in what the server said."""
    at = said.index(b"\x88", said.index(b"\r\n\r\n") + 4)
    return struct.unpack("!H", said[at + 2 : at + 4])[0]


async def test_words_and_bytes_arrive_whole_and_in_order() -> None:
    async with echoing() as server, server.connect() as socket:
        sent = ["hello", b"\x00\xff", "ü" * 100_000, b"x" * 3_000_000, "", b""]
        for message in sent:
            await socket.send(message)
        assert [await socket.recv() for _ in sent] == sent


async def test_a_message_in_pieces_is_one_message() -> None:
    async with echoing() as server, server.connect() as socket:
        await socket.send(["Gr", "ü", "ße"])
        assert await socket.recv() == "Grüße"
        await socket.send([b"a"] * 5000)
        assert await socket.recv() == b"a" * 5000


async def test_nothing_is_compressed_whatever_a_client_offers() -> None:
    async with echoing() as server, server.connect(compression="deflate") as socket:
        assert socket.response is not None
        assert "sec-websocket-extensions" not in socket.response.headers
        await socket.send("words")
        assert await socket.recv() == "words"


@pytest.mark.parametrize("piece", [1, 7, 50, len(HANDSHAKE)])
async def test_a_handshake_may_come_in_pieces_with_frames_right_behind_it(piece: int) -> None:
    async with echoing() as server, server.raw(b"") as (reader, writer):
        data = HANDSHAKE + frame(b"early")
        for at in range(0, len(data), piece):
            writer.write(data[at : at + piece])
            await asyncio.sleep(0)
        async with asyncio.timeout(30):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
            assert SAMPLE_ACCEPT in head
            assert await reader.readexactly(7) == b"\x81\x05early"


@pytest.mark.parametrize(
    ("was", "instead"),
    [
        (b"Version: 13", b"Version: 8"),
        (b"Sec-WebSocket-Version: 13\r\n", b""),
        (b"Key: dGhlIHNhbXBsZSBub25jZQ==", b"Key: short"),
        (b"Key: dGhlIHNhbXBsZSBub25jZQ==", b"Key: !!"),
        (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
    ],
)
async def test_a_handshake_that_is_none_is_400(was: bytes, instead: bytes) -> None:
    async with echoing() as server, server.raw(HANDSHAKE.replace(was, instead)) as (reader, _):
        answer = await end_of(reader)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"invalid_value"' in answer
        assert server.echo.scopes == []


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x02hi", 1002),  # without a mask
        (frame(b"hi", opcode=3), 1002),
        (frame(b"", opcode=0), 1002),
        (frame(b"a", fin=False) + frame(b"b"), 1002),
        (b"\xc1" + frame(b"hi")[1:], 1002),  # a reserved bit
        (frame(b"x" * 126, opcode=9), 1002),
        (frame(b"\xff\xfe"), 1007),
        (frame(b"ok", fin=False) + frame(b"\xff", opcode=0), 1007),
        (b"\x82\xff" + struct.pack("!Q", 2**62) + MASK, 1009),
        (frame(b"\x03\xe8bye", opcode=8), 1000),
    ],
)
async def test_what_breaks_the_rules_is_told_which_and_costs_nobody_else(sent: bytes, code: int) -> None:
    async with echoing() as server, server.connect() as other:
        async with server.raw(HANDSHAKE + sent) as (reader, _):
            assert close_code(await end_of(reader)) == code
        await other.send("still here")
        assert await other.recv() == "still here"
        await server.echo.until(lambda: server.echo.left == [code])


async def test_a_message_beyond_the_limit_is_1009_in_however_many_pieces() -> None:
    async with echoing({"sockets": {"messageBytes": 2048}}) as server:
        async with server.connect() as socket:
            await socket.send(b"x" * 2048)
            assert len(await socket.recv()) == 2048
            await socket.send(b"x" * 2049)
            assert (await closed(socket))[0] == 1009
        pieces = frame(b"x", opcode=2, fin=False) + frame(b"x" * 100, opcode=0, fin=False) * 30
        async with server.raw(HANDSHAKE + pieces) as (reader, _):
            assert close_code(await end_of(reader)) == 1009


async def test_a_flood_is_taken_in_as_fast_as_it_is_asked_for_and_no_faster() -> None:
    async with echoing() as server, server.connect() as socket:
        server.echo.gate = asyncio.Event()
        flood = asyncio.create_task(_send_all(socket, 3000))
        async with server.connect() as other:
            server.echo.gate.set()
            await other.send("me too")
            assert await other.recv() == "me too"
        for number in range(3000):
            assert await socket.recv() == b"%d" % number + b"." * 2000
        await flood


async def _send_all(socket: ClientConnection, count: int) -> None:
    for number in range(count):
        await socket.send(b"%d" % number + b"." * 2000)


async def test_a_flood_of_pings_that_reads_no_pongs_is_closed() -> None:
    async with echoing() as server, server.raw(HANDSHAKE) as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        cast("asyncio.Transport", writer.transport).pause_reading()
        pings = frame(b"p" * 120, opcode=9) * 5000
        async with asyncio.timeout(30):
            while not server.echo.left:
                writer.write(pings)
                await asyncio.sleep(0)
        assert server.echo.left == [1013]


async def test_who_does_not_read_is_closed_with_1013_and_the_others_are_served() -> None:
    async with echoing({"timeouts": {"unread": 0.3}}) as server, server.connect() as other:
        async with server.connect(max_queue=None) as stalled:
            stalled.transport.pause_reading()
            for _ in range(8):
                await stalled.send(b"x" * 2_000_000)
                await other.send("still here")
                assert await other.recv() == "still here"
            await server.echo.until(lambda: server.echo.left == [1013])
            stalled.transport.resume_reading()
            assert (await closed(stalled))[0] == 1013
        await other.send("still here")
        assert await other.recv() == "still here"


async def test_who_reads_slowly_but_steadily_is_not_closed() -> None:
    async with echoing({"timeouts": {"unread": 5}}) as server, server.connect(max_queue=1) as slow:
        for _ in range(4):
            await slow.send(b"x" * 3_000_000)
        for _ in range(4):
            slow.transport.pause_reading()
            await asyncio.sleep(0.1)
            slow.transport.resume_reading()
            assert len(await slow.recv()) == 3_000_000


async def test_who_answers_no_pings_is_closed_and_who_does_is_not() -> None:
    async with echoing({"sockets": {"pingSeconds": 0.3}}) as server, server.connect() as alive:
        async with server.raw(HANDSHAKE) as (reader, _), asyncio.timeout(30):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"\x89\x00"
            assert await reader.readexactly(4) == b"\x88\x15" + struct.pack("!H", 1011)
        await alive.send("still here")
        assert await alive.recv() == "still here"


async def test_a_socket_counts_as_a_connection() -> None:
    async with echoing({"maxConnections": 2}) as server, server.connect(), server.connect() as second:
        with pytest.raises(InvalidStatus, match="503"):
            await server.connect()
        await second.close()
        await server.echo.until(lambda: server.echo.left == [1000])
        async with server.connect() as third:
            await third.send("in")
            assert await third.recv() == "in"


async def test_at_the_end_of_the_server_its_sockets_are_closed_with_1001() -> None:
    async with echoing(grace=90) as server, server.connect() as socket:
        server.stop.set()
        assert (await closed(socket))[0] == 1001
        async with asyncio.timeout(30):  # well before the grace is over
            await server.ended


async def test_who_vanishes_is_noticed() -> None:
    async with echoing() as server:
        async with server.raw(HANDSHAKE) as (reader, _):
            await reader.readuntil(b"\r\n\r\n")
        await server.echo.until(lambda: server.echo.left == [1006])
