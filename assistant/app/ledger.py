"""Builds the meter, and tells people that a budget comes to its end."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from assistant.config import Config
from assistant.contracts.addresses import Address, parse_address
from assistant.contracts.causes import Payer
from assistant.contracts.channels import ChannelSettings
from assistant.contracts.errors import InvalidAddress
from assistant.contracts.inbox import CommandCall
from assistant.contracts.ledger import BudgetWindow
from assistant.contracts.metrics import Metrics
from assistant.contracts.outbox import Origin, OutboundEvent
from assistant.contracts.people import OWNER_ID, PeopleDirectory
from assistant.contracts.records import record
from assistant.contracts.util import derived_id
from assistant.ledger.budgets import BudgetRules, amount, budget_period, whose
from assistant.ledger.meter import Meter
from assistant.ledger.prices import Prices
from assistant.ledger.report import UsageReports
from assistant.store.store import Store

log = logging.getLogger(__name__)


def build_meter(config: Config, store: Store, people: PeopleDirectory, metrics: Metrics) -> Meter:
    budgets = BudgetRules(config.budgets, store.ledger, people)
    return Meter(store.ledger, budgets, Prices(config.models), people, metrics)


@record
class BudgetNotices:
    """Writes to the one whose budget it is, or to the owner where it is no person's. No chat is known: the log has it."""

    store: Store
    people: PeopleDirectory
    channels: dict[str, ChannelSettings]
    """The enabled ones."""

    async def tell(self, window: BudgetWindow, payer: Payer) -> None:
        """Raises StoreUnavailable."""
        budget = window.budget
        zone = await self.people.zone(payer.owner)
        log.warning("budget.near subject=%s period=%s unit=%s amount=%d", budget.subject, budget.period, budget.unit, budget.amount)
        text = (
            f"Four fifths of {whose(budget.subject)} are used: {amount(budget.unit, budget.amount)} {budget_period(budget.period)}. "
            f"When all of it is, I can't answer until {window.end.astimezone(zone):%Y-%m-%d %H:%M} {zone}."
        )
        async for address in self._chats(window, payer):
            event = OutboundEvent(
                id=derived_id("evt", "budget", budget.subject, budget.period, budget.unit, window.start.isoformat()),
                address=address,
                text=text,
                expires_at=window.end,
                origin=Origin(kind="notice", owner=payer.owner),
            )
            await self.store.outbox.enqueue([event])
            return

    async def _chats(self, window: BudgetWindow, payer: Payer) -> AsyncIterator[Address]:
        """The chat in which the call was made, where the budget is its person's; then private chats from which that person or the owner wrote."""
        personal = window.budget.subject.startswith(("person:", "key:"))
        person = await self.people.person(payer.owner if personal else OWNER_ID)
        names = [payer.session] if personal else []
        names += person.identities if person is not None else ()
        if not personal or payer.owner == OWNER_ID:
            names += [f"{channel}:{owner}" for channel, settings in self.channels.items() for owner in settings.owners]
        for name in names:
            try:
                address = parse_address(name)
            except InvalidAddress:
                continue
            if address.channel in self.channels and await self.store.inbox.wrote(address):
                yield address


@dataclass(frozen=True, slots=True)
class UsageCommand:
    """/usage in a chat."""

    reports: UsageReports

    async def __call__(self, call: CommandCall) -> str:
        sender = f"{call.message.address.channel}:{call.message.sender.id}"
        return await self.reports.summary(Payer(owner=call.place.owner, caller=sender))
