from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from tests.doubles.live_server import free_port
from tests.doubles.prosody import MISSING, Prosody, running_prosody
from tests.flow.xmpp.rig import XmppPlatform, xmpp_platform


@pytest.fixture(scope="module")
def prosody() -> Generator[Prosody]:
    if MISSING:
        pytest.skip(MISSING)
    with running_prosody(free_port(), free_port()) as prosody:
        yield prosody


@pytest.fixture
async def platform(prosody: Prosody, tmp_path: Path) -> AsyncGenerator[XmppPlatform]:
    async with xmpp_platform(prosody, tmp_path) as platform:
        yield platform
