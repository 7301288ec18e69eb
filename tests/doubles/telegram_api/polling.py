"""How the bot takes its updates from the stand-in: by asking for them, or by a webhook."""

import asyncio
import json
from typing import Any

import aiohttp

from tests.doubles.telegram_api.chats import Update
from tests.doubles.telegram_api.faults import Refusal
from tests.doubles.telegram_api.methods import Methods
from tests.doubles.telegram_api.params import Params

_ANOTHER = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
_WEBHOOK = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"


class Updates(Methods):
    """Updates stay until the bot asks for a higher offset, or its webhook answered 2xx."""

    def __init__(self) -> None:
        super().__init__()
        self.webhook: dict[str, Any] = {}
        """What setWebhook was told; empty: none is set."""
        self.webhook_answers: list[int] = []
        """The status of every call of the webhook."""
        self.asked_offsets: list[int] = []
        """The offset of every getUpdates."""
        self._allowed: list[str] = []
        self._poll = 0
        self._changed = asyncio.Event()
        self.closing = asyncio.Event()
        self.seen = asyncio.Event()
        """Set whenever something happened."""
        self._pusher: asyncio.Task[None] | None = None

    async def get_updates(self, params: Params) -> list[Update]:
        if self.webhook:
            raise Refusal(409, _WEBHOOK)
        self._poll += 1
        mine = self._poll
        self._changed.set()
        offset, limit = params.number("offset"), params.number("limit", 100)
        self.asked_offsets.append(offset)
        if params.values.get("allowed_updates") is not None:
            self._allowed = params.items("allowed_updates")
        if offset > 0:
            self._acknowledge(offset)
        self.seen.set()
        deadline = asyncio.get_running_loop().time() + params.number("timeout")
        while True:
            self._changed.clear()
            self._drop_what_is_not_asked_for()
            if (found := list(self.updates)[:limit]) or self.closing.is_set():
                return found
            try:
                async with asyncio.timeout_at(deadline):
                    await self._changed.wait()
            except TimeoutError:
                return []
            if self._poll != mine:
                raise Refusal(409, _ANOTHER)

    def _acknowledge(self, offset: int) -> None:
        for update in [each for each in list(self.updates) if each.get("update_id", 0) < offset]:
            self.updates.remove(update)

    def _drop_what_is_not_asked_for(self) -> None:
        if self._allowed:
            for update in [each for each in list(self.updates) if len(each) == 2 and not set(each) & set(self._allowed)]:
                self.updates.remove(update)

    def set_webhook(self, params: Params) -> bool:
        self.webhook = dict(params.values) if params.text("url") else {}
        self._changed.set()
        return True

    def delete_webhook(self, params: Params) -> bool:
        self.webhook = {}
        if params.flag("drop_pending_updates"):
            self.updates.clear()
        return True

    def webhook_info(self, _: Params) -> dict[str, Any]:
        return {"url": self.webhook.get("url", ""), "has_custom_certificate": False, "pending_update_count": len(self.updates)}

    async def push(self, update: Update, *, secret: str | None = None) -> int:
        """Call the webhook once, as the platform does. Returns the status; 2xx means that the update is acknowledged."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.webhook.get("secret_token", "") if secret is None else secret}
        headers["Content-Type"] = "application/json"
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.webhook["url"], data=json.dumps(update), headers=headers) as answer,
        ):
            self.webhook_answers.append(answer.status)
            if 200 <= answer.status < 300 and update in self.updates:
                self.updates.remove(update)
            return answer.status

    async def push_all(self) -> list[int]:
        """Call the webhook with every update that waits, side by side."""
        return await asyncio.gather(*[self.push(update) for update in list(self.updates)])
