"""A served assistant behind a wire that keeps what goes over it, and the stand-in model that it asks."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from tests.doubles.live_server import Config, LiveServer, live_server
from tests.doubles.model_server import ModelServer
from tests.flow.relay import Near, Relay, relaying

from .conversation import Exchange, Frame, exchanges
from .frames import check_frame
from .witness import Document, check_exchange

_STAND_IN = {
    "NANOBOT_AGENTS__DEFAULTS__PROVIDER": "custom",
    "NANOBOT_AGENTS__DEFAULTS__MODEL": "fake-model",
    "NANOBOT_PROVIDERS__CUSTOM__API_KEY": "not-a-secret",
    "NANOBOT_PROVIDERS__OPENAI__API_KEY": "not-a-secret",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    server: LiveServer
    model: ModelServer
    relay: Relay
    document: Document
    """/openapi.json of the server."""
    http: httpx2.AsyncClient
    """A client behind the wire, with the key where there is one."""
    seen: dict[Near, tuple[int, int]] = field(default_factory=dict[Near, tuple[int, int]])
    """How many exchanges and frames of a connection were checked."""

    @property
    def address(self) -> str:
        """Host and port of the wire: "127.0.0.1:40001"."""
        return urlsplit(self.relay.url).netloc

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def asked(self) -> dict[str, Any]:
        """What the model was asked last."""
        return json.loads(self.model.bodies[-1])

    def told(self) -> list[tuple[str, Any]]:
        """The conversation in it, without instructions."""
        return [(message["role"], message.get("content")) for message in self.asked()["messages"] if message["role"] != "system"]

    def check(self) -> tuple[list[Exchange], list[Frame]]:
        """What went over the wire since it was last looked at; all of it is as described, or this fails."""
        new, frames = list[Exchange](), list[Frame]()
        for near in self.relay.near:
            talked, heard = exchanges(bytes(near.said), bytes(near.heard))
            known = self.seen.get(near, (0, 0))
            new += talked[known[0] :]
            frames += heard[known[1] :]
            self.seen[near] = (len(talked), len(heard))
        for exchange in new:
            if exchange.status != 101:
                check_exchange(exchange, self.document)
        for frame in frames:
            check_frame(frame)
        return new, frames


@asynccontextmanager
async def opened(
    home: Path,
    *,
    config: Config | None = None,
    key: str | None = None,
    command: str = "serve",
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> AsyncGenerator[House]:
    """A server that asks the stand-in, as provider `custom` or `openai`, whatever else `config` configures, or a file in `args`."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with ModelServer() as model:
        variables = {**_STAND_IN, **{f"NANOBOT_PROVIDERS__{name}__API_BASE": model.url for name in ("CUSTOM", "OPENAI")}, **(env or {})}
        with live_server(home, config=config or {}, command=command, args=args, env=variables) as server:
            port = urlsplit(server.url).port
            assert port is not None
            async with relaying(port) as relay:
                async with (
                    httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=30) as direct,
                    httpx2.AsyncClient(base_url=relay.url.removesuffix("/v1"), headers=headers, timeout=30) as http,
                ):
                    document = (await direct.get("/openapi.json")).json()
                    house = House(server=server, model=model, relay=relay, document=document, http=http)
                    yield house
                house.check()
