"""The public servers and suites of the protocol, from npm: `make test-mcp` installs them; skipped where they are not."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.mcp.settings import McpServer

from .conftest import Rig, call, names

NODE = Path(__file__).parent / "node"
PACKAGES = NODE / "node_modules" / "@modelcontextprotocol"
ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(not PACKAGES.is_dir(), reason="npm's packages are not installed (make test-mcp)")

SCENARIOS = (
    *("initialize", "tools_call", "sse-retry"),
    *[f"auth/metadata-{which}" for which in ("default", "var1")],
    *("auth/2025-03-26-oauth-metadata-backcompat", "auth/2025-03-26-oauth-endpoint-fallback"),
    *(
        "auth/scope-from-www-authenticate",
        "auth/scope-from-scopes-supported",
        "auth/scope-omitted-when-undefined",
        "auth/scope-retry-limit",
    ),
    *[f"auth/token-endpoint-auth-{how}" for how in ("basic", "post", "none")],
    *("auth/resource-mismatch", "auth/pre-registration"),
)
"""Not among them: metadata that names another issuer than the one that was asked (var2, var3), which is refused; elicitation, which is declined;
client credentials and a wider scope in the middle of a call, which no login asked a person for; a client's id that is an address, which a server at
home does not have."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_clients_conformance(scenario: str) -> None:
    suite = PACKAGES / "conformance" / "dist" / "index.js"
    client = f"{sys.executable} -m tests.flow.mcp.conformer"
    line = ["node", suite, "client", "--command", client, "--scenario", scenario, "--timeout", "80000"]
    done = subprocess.run(line, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, timeout=110, check=False)
    assert "OVERALL: PASSED" in done.stdout + done.stderr
    assert done.returncode == 0


async def test_the_everything_server(rig: Rig) -> None:
    program = McpServer(command="node", args=(str(PACKAGES / "server-everything" / "dist" / "index.js"), "stdio"), timeout=60)
    servers = rig.open(every=program)
    async with asyncio.timeout(60):
        await servers.servers["every"].link.connected()
        offered = await names(servers)
        assert {"mcp_every_echo", "mcp_every_get-sum", "mcp_every_get-tiny-image", "mcp_read"} <= {*offered}
        assert "tea" in (await call(servers, "mcp_every_echo", {"message": "tea"})).text
        assert "7" in (await call(servers, "mcp_every_get-sum", {"a": 3, "b": 4})).text
        picture = await call(servers, "mcp_every_get-tiny-image", {})
        assert picture.images or "image/png" in picture.text  # the one of 2026.8.31 is damaged
        listed = (await call(servers, "mcp_read", {"server": "every"})).text
        assert "prompt " in listed
        assert "resource " in listed
