"""A household for tests."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from assistant.contracts.people import OWNER_ID, Person, UnknownPeople


class Household(UnknownPeople):
    """People whose zones a test names; everybody else is a group, by UTC."""

    def __init__(self, zones: Mapping[str, str] | None = None) -> None:
        self._zones = {OWNER_ID: "UTC"} | dict(zones or {})

    async def person(self, owner: str) -> Person | None:
        if owner not in self._zones:
            return None
        role = "owner" if owner == OWNER_ID else "user"
        return Person(id=owner, name=owner, role=role, zone=ZoneInfo(self._zones[owner]), zone_chosen=True, identities=(owner,))

    async def zone(self, owner: str) -> ZoneInfo:
        return ZoneInfo(self._zones.get(owner, "UTC"))
