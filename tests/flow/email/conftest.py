from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from tests.doubles.dovecot import MISSING, Dovecot, running_dovecot
from tests.doubles.live_server import free_port
from tests.flow.email.rig import EmailPlatform, email_platform


@pytest.fixture(scope="module")
def dovecot() -> Generator[Dovecot]:
    if MISSING:
        pytest.skip(MISSING)
    with running_dovecot((free_port(), free_port())) as dovecot:
        yield dovecot


@pytest.fixture
async def platform(dovecot: Dovecot, tmp_path: Path) -> AsyncGenerator[EmailPlatform]:
    async with email_platform(dovecot, tmp_path) as platform:
        yield platform
