"""The network of a command: the hosts that it named, by a proxy of ours, and nothing else."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Mapping

import pytest

from assistant.contracts.errors import ToolFailed
from assistant.contracts.secrets import NAMED
from assistant.sandbox.service import MachineSandbox
from tests.contract.sandbox.conftest import House, python, sandbox_in

KEY = "key-of-the-host-77"
FETCH = """
import http.client,sys
method, port, target, headers = {method!r}, {at}, {target!r}, {headers!r}
c = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
try:
    c.request(method, target, headers=headers)
    r = c.getresponse()
    print(r.status, r.read().decode())
except OSError as e:
    print('NOT REACHED', e)
"""


class OneSecret:
    """Secrets: TOKEN, for localhost alone."""

    def fill(self, text: str, host: str) -> str:
        if host != "localhost":
            raise ToolFailed("TOKEN is not for this host.")
        return NAMED.sub(KEY, text)

    def hide(self, text: str) -> str:
        return text.replace(KEY, "{{secret:TOKEN}}")


class Echo:
    """An HTTP server that answers with what it was asked, and keeps it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:  # the proxy had second thoughts
            writer.close()
            return
        self.asked.append(head)
        body = head.encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()


@pytest.fixture
async def echo() -> AsyncGenerator[Echo]:
    made = Echo()
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


async def asked(
    house: House,
    sandbox: MachineSandbox,
    hosts: tuple[str, ...],
    target: str,
    *,
    method: str = "GET",
    at: int = 3128,
    headers: Mapping[str, str] | None = None,
) -> str:
    code = FETCH.format(method=method, target=target, headers=dict(headers or {}), at=at)
    return (await python(sandbox, house, code, hosts=hosts)).stdout.decode()


async def with_hosts(house: House, sandbox: MachineSandbox, *private: str) -> MachineSandbox:
    """As `sandbox`, where its rung can have hosts; these may have private addresses."""
    rung = await sandbox.rung()
    if rung == "landlock":
        pytest.skip("this rung gives no network")
    return MachineSandbox(sandbox_in(house, rung, hosts=private).settings, sandbox.guarded, house.root, OneSecret())


async def test_a_command_that_gets_no_handle_leaves_no_proxy(
    monkeypatch: pytest.MonkeyPatch, sandbox: MachineSandbox, house: House
) -> None:
    box = await with_hosts(house, sandbox, "localhost")
    assert await box.rung() == await sandbox.rung()

    def none_left(_pid: int, _flags: int = 0) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def refused() -> int:
        with pytest.raises(ToolFailed, match="no handle for a process"):
            await python(box, house, "print(1)", hosts=("localhost",))
        return len(os.listdir("/proc/self/fd"))

    monkeypatch.setattr(os, "pidfd_open", none_left)
    before = await refused()
    assert await refused() == before


async def test_a_named_host_is_reached(echo: Echo, sandbox: MachineSandbox, house: House) -> None:
    box = await with_hosts(house, sandbox, "localhost")
    said = await asked(
        house, box, (f"localhost:{echo.port}",), f"http://localhost:{echo.port}/a?b=c", headers={"X-Mine": "1", "Proxy-Authorization": "no"}
    )
    assert said.startswith("200 GET /a?b=c HTTP/1.1")
    assert f"Host: localhost:{echo.port}" in said
    assert "X-Mine: 1" in said
    assert "Proxy-Authorization" not in said


@pytest.mark.parametrize(
    ("named", "private", "target", "method", "status"),
    [
        ("example.org", "localhost", "http://localhost:{port}/", "GET", "403"),
        ("localhost", "localhost", "http://localhost:{port}/", "GET", "403"),
        ("localhost:{port}", "", "http://localhost:{port}/", "GET", "403"),
        ("127.0.0.1:{port}", "localhost", "http://127.0.0.1:{port}/", "GET", "403"),
        ("127.1:{port}", "localhost", "http://127.1:{port}/", "GET", "403"),
        ("2130706433:{port}", "", "http://2130706433:{port}/", "GET", "403"),
        ("[::ffff:127.0.0.1]:{port}", "", "http://[::ffff:127.0.0.1]:{port}/", "GET", "403"),
        ("localhost:{port}", "localhost", "http://localhost.evil.example:{port}/", "GET", "403"),
        ("localhost:{port}", "localhost", "http://localhost:{port}@evil.example/", "GET", "403"),
        ("localhost:{port}", "localhost", "127.0.0.1:{port}", "CONNECT", "403"),
        ("localhost:{port}", "localhost", "ftp://localhost:{port}/", "GET", "400"),
        ("localhost:{port}", "localhost", "/", "GET", "400"),
        ("unreachable.invalid", "localhost", "http://unreachable.invalid/", "GET", "502"),
    ],
)
async def test_other_hosts_and_private_addresses_are_refused(
    named: str, private: str, target: str, method: str, status: str, echo: Echo, sandbox: MachineSandbox, house: House
) -> None:
    box = await with_hosts(house, sandbox, private)
    said = await asked(house, box, (named.format(port=echo.port),), target.format(port=echo.port), method=method)
    assert said.startswith(status), said
    assert not echo.asked


async def test_around_the_proxy_is_no_way(echo: Echo, sandbox: MachineSandbox, house: House) -> None:
    box = await with_hosts(house, sandbox, "localhost")
    assert "NOT REACHED" in await asked(house, box, (f"localhost:{echo.port}",), "/", at=echo.port)
    assert "NOT REACHED" in await asked(house, box, (), f"http://localhost:{echo.port}/")
    assert not echo.asked


async def test_a_tunnel_carries_what_it_is_given(echo: Echo, sandbox: MachineSandbox, house: House) -> None:
    box = await with_hosts(house, sandbox, "localhost")
    code = (
        "import http.client\nc = http.client.HTTPConnection('127.0.0.1', 3128, timeout=10)\n"
        f"c.set_tunnel('localhost', {echo.port})\nc.request('GET', '/t')\nprint(c.getresponse().read().decode())"
    )
    ran = await python(box, house, code, hosts=(f"localhost:{echo.port}",))
    assert ran.stdout.startswith(b"GET /t"), ran.stderr


async def test_a_secret_is_filled_in_and_never_seen(echo: Echo, sandbox: MachineSandbox, house: House) -> None:
    box = await with_hosts(house, sandbox, "localhost", "127.0.0.1")
    hosts = (f"localhost:{echo.port}", f"127.0.0.1:{echo.port}")
    said = await asked(house, box, hosts, f"http://localhost:{echo.port}/", headers={"Authorization": "Bearer {{secret:TOKEN}}"})
    assert f"Authorization: Bearer {KEY}" in echo.asked[0]
    assert "Bearer {{secret:TOKEN}}" in said
    assert KEY not in said
    other = await asked(house, box, hosts, f"http://127.0.0.1:{echo.port}/", headers={"Authorization": "Bearer {{secret:TOKEN}}"})
    assert other.startswith("403 TOKEN is not for this host")
    assert len(echo.asked) == 1


async def test_the_third_rung_has_no_hosts(house: House) -> None:
    box = sandbox_in(house, "landlock")
    if await box.rung() != "landlock":
        pytest.skip("this machine has no Landlock")
    with pytest.raises(ToolFailed, match="without hosts"):
        await python(box, house, "", hosts=("example.org",))
