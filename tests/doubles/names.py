"""A name server on loopback, and a resolver that asks it by UDP, for each look-up anew: RFC 1035, A and AAAA, time to live 0.

async with NameServer({"rebind.test": [["192.0.2.1"], ["127.0.0.1"]]}) as names:    first answer, second answer; the last one stays
    names.resolver, names.asked
"""

import asyncio
import ipaddress
import struct
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

_A, _AAAA, _IN, _NO_SUCH_NAME = 1, 28, 1, 3
_ANSWER: Final = 0x8180


class NameServer(asyncio.DatagramProtocol):
    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]]) -> None:
        """`answers`: by name, the addresses that each look-up in turn gets."""
        self._answers = answers
        self.asked: list[str] = []
        """The names, a look-up each."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.resolver = AskingResolver(self._transport.get_extra_info("sockname")[1])
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = _name(data, 12)
        (wanted,) = struct.unpack_from("!H", data, end)
        if wanted == _A:
            self.asked.append(name)
        rounds = self._answers.get(name, ())
        found = rounds[min(self.asked.count(name), len(rounds)) - 1] if rounds else ()
        addresses = [address for each in found if (address := ipaddress.ip_address(each)).version == (4 if wanted == _A else 6)]
        code = _ANSWER | (0 if rounds else _NO_SUCH_NAME)
        records = [struct.pack("!HHHIH", 0xC00C, wanted, _IN, 0, len(each.packed)) + each.packed for each in addresses]
        head = struct.pack("!HHHHHH", int.from_bytes(data[:2], "big"), code, 1, len(records), 0, 0)
        self._transport.sendto(head + data[12 : end + 4] + b"".join(records), addr)


class AskingResolver:
    """A `Resolver` without a memory."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        found = [*await self._ask(host, _A), *await self._ask(host, _AAAA)]
        if not found:
            raise OSError("no such name")
        return found

    async def _ask(self, host: str, wanted: int) -> list[str]:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bytes] = loop.create_future()

        class Client(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                answered.set_result(data)

        transport, _ = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.1", self._port))
        labels = b"".join(bytes([len(label)]) + label.encode() for label in host.split("."))
        transport.sendto(struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", wanted, _IN))
        try:
            data = await asyncio.wait_for(answered, 30)
        finally:
            transport.close()
        (count,) = struct.unpack_from("!H", data, 6)
        at = _name(data, 12)[1] + 4
        addresses: list[str] = []
        for _ in range(count):
            (length,) = struct.unpack_from("!H", data, at + 10)
            addresses.append(str(ipaddress.ip_address(data[at + 12 : at + 12 + length])))
            at += 12 + length
        return addresses


def _name(data: bytes, at: int) -> tuple[str, int]:
    """A name without compression, and where it ends."""
    labels: list[str] = []
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels), at + 1
