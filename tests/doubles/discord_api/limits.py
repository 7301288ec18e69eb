"""How often may be sent to a channel, said in the headers of every answer. https://discord.com/developers/docs/topics/rate-limits"""

import time
from dataclasses import dataclass

from aiohttp import web


@dataclass(slots=True)
class _Window:
    ends: float
    left: int


class SendLimits:
    """Off until `amount` is set."""

    def __init__(self) -> None:
        self.amount = 0
        self.seconds = 5.0
        self.refused = 0
        self._windows: dict[str, _Window] = {}

    def take(self, channel_id: str) -> dict[str, str]:
        """The headers of an answer that is within the limit. Raises 429 (as a response) beyond it."""
        if not self.amount:
            return {}
        now = time.monotonic()
        window = self._windows.get(channel_id)
        if window is None or window.ends <= now:
            window = self._windows[channel_id] = _Window(ends=now + self.seconds, left=self.amount)
        after = window.ends - now
        headers = {"X-RateLimit-Limit": str(self.amount), "X-RateLimit-Reset-After": f"{after:.3f}", "X-RateLimit-Bucket": "post-messages"}
        if not window.left:
            self.refused += 1
            body = f'{{"message": "You are being rate limited.", "retry_after": {after:.3f}, "global": false}}'
            about = {**headers, "X-RateLimit-Remaining": "0", "Via": "1.1 google", "Retry-After": str(int(after) + 1)}
            raise web.HTTPTooManyRequests(text=body, headers={"Content-Type": "application/json", **about})
        window.left -= 1
        return {**headers, "X-RateLimit-Remaining": str(window.left)}
