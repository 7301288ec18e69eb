"""Sites on loopback, each at an address of its own on a usual port of the web, which say what they were asked.

async with WebSite() as site:
    site.pages["/p"] = Served(b"<p>hello</p>")
    f"http://{site.at}/p", site.asked
"""

import asyncio
import datetime
import os
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aiohttp import web

_PORTS: Final = (8080, 8443, 80)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    method: str
    url: str
    """Path and query."""
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Served:
    data: bytes = b""
    kind: str = "text/html; charset=utf-8"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    hangs: bool = False
    """It never answers."""


class WebSite:
    def __init__(self, *, tls: ssl.SSLContext | None = None, ports: int = 1) -> None:
        """`ports`: on how many it is, of the usual ones; 0: on an unusual one of 127.0.0.1."""
        self.pages: dict[str, Served | Callable[[Asked], Served]] = {}
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self.gate = asyncio.Event()
        """Answers wait while it is cleared."""
        self.gate.set()
        self._now = 0
        self._tls = tls
        self._count = ports

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=10_000_000)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self.host = f"127.{random.randint(1, 254)}.{os.getpid() % 250 + 1}.{random.randint(1, 254)}"
        self.ports: list[int] = []
        if not self._count:
            self.host = "127.0.0.1"
            await web.TCPSite(self._runner, self.host, 0, ssl_context=self._tls).start()
            self.ports = [self._runner.addresses[0][1]]
            return self
        for port in _PORTS:
            if len(self.ports) < self._count:
                try:
                    await web.TCPSite(self._runner, self.host, port, ssl_context=self._tls).start()
                    self.ports.append(port)
                except OSError:  # something listens there on every address
                    continue
        assert len(self.ports) == self._count, f"of the ports {_PORTS} too few are free"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.gate.set()
        await self._runner.shutdown()
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def at(self) -> str:
        """Address and port."""
        return f"{self.host}:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [each.url for each in self.asked]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(
            method=request.method,
            url=request.raw_path,
            headers={k.lower(): v for k, v in request.headers.items()},
            body=await request.read(),
        )
        self.asked.append(asked)
        page = self.pages.get(request.path, Served(b"<title>Nothing here</title>", status=404))
        served = page(asked) if callable(page) else page
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            await (asyncio.Event().wait() if served.hangs else self.gate.wait())
        finally:
            self._now -= 1
        return web.Response(body=served.data, status=served.status, headers={"Content-Type": served.kind, **served.headers})


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(For a server called `name`, for a client that trusts it)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, now - datetime.timedelta(days=1), now + datetime.timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = folder / f"{name}.pem"
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(secret + made.public_bytes(pem))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    client = ssl.create_default_context(cadata=made.public_bytes(pem).decode())
    return server, client
