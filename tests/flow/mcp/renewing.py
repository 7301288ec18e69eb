"""Another process that uses a grant: `python -m tests.flow.mcp.renewing STATE NAME URL TIMES`; prints each token that it got, or "none"."""

import asyncio
import sys
from pathlib import Path

from assistant.mcp.grants import Grants
from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import open_store


async def main(state: str, name: str, url: str, times: str) -> None:
    store = await open_store(StoreSettings(), Path(state), AttachmentSettings())
    grants = Grants(store.mcp)
    for _ in range(int(times)):
        grant = await grants.current(name, url)
        print(grant.access_token if grant else "none", flush=True)
    await grants.close()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
