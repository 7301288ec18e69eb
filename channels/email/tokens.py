"""What a mail server is shown: a password, or a token that a command of the user's prints."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from channels.kit.http import Answered

_SECONDS: Final = 30.0
_MOST_BYTES: Final = 16_384
_KEPT: Final = 300.0
"""Seconds that a token is used; the command itself knows when it needs a new one."""


@dataclass(frozen=True, slots=True)
class Secret:
    value: str
    token: bool
    """An OAuth access token, and no password."""


class Credentials:
    """One for IMAP and one for SMTP."""

    def __init__(self, user: str, password: str, command: Sequence[str]) -> None:
        self.user = user
        self._password = password
        self._command = tuple(command)
        self._token: tuple[float, Secret] | None = None
        self._lock = asyncio.Lock()

    async def secret(self) -> Secret:
        """Raises Answered (401): the command prints no token."""
        if self._password or not self._command:
            return Secret(self._password, token=False)
        async with self._lock:
            if self._token is None or time.monotonic() - self._token[0] > _KEPT:
                self._token = (time.monotonic(), Secret(await _printed(self._command), token=True))
            return self._token[1]

    def forget(self) -> None:
        """The server did not accept the token."""
        self._token = None


async def _printed(command: Sequence[str]) -> str:
    """The first line that the command prints. Its words are never shown: they may hold the token."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except (OSError, ValueError) as error:
        raise Answered(401, f"tokenCommand can't be run: {type(error).__name__}") from None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_SECONDS):
            printed = b""
            while len(printed) < _MOST_BYTES and (piece := await process.stdout.read(_MOST_BYTES)):
                printed += piece
            code = await process.wait()
    except TimeoutError:
        raise Answered(401, f"tokenCommand did not end within {_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    lines = printed.decode("ascii", errors="replace").split()
    if code != 0 or len(lines) != 1:
        raise Answered(401, f"tokenCommand printed no token (status {code})")
    return lines[0]
