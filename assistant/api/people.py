"""/v1/people and /v1/link: who is who, and which chats and keys are the same person's."""

from typing import Annotated, Any, Final, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from assistant.api.answers import Answer, ListAnswer, Time
from assistant.api.middleware.request import principal
from assistant.api.openapi import endpoint, errors
from assistant.contracts.addresses import parse_address
from assistant.contracts.channels import ChannelDirectory
from assistant.contracts.people import OWNER_ID, OWNER_SHOWN, Person, PersonNotFound, PersonRole, shown_person
from assistant.contracts.records import record
from assistant.contracts.util import visible_name
from assistant.store.links import LinkStore
from assistant.store.people import PeopleStore, read_quiet, read_zone

ME: Final = "me"


class PersonAnswer(Answer):
    """`identities`: what belongs to the person: `telegram:42`, `key:<id>`."""

    id: str
    object: Literal["person"] = "person"
    name: str = Field(description="Empty: unknown.")
    role: PersonRole
    zone: str = Field(description="IANA's name; the server's where the person chose none.")
    zone_chosen: bool
    quiet: str | None = Field(description='Hours without deliveries that are not urgent, by the person\'s clock: "22:00-07:00".')
    identities: list[str]
    prefers: list[str] = Field(description="The chats in which messages to the person go first.")


class PersonList(ListAnswer[PersonAnswer]):
    pass


class PersonChange(BaseModel):
    """What is left out or null stays as it is."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: Annotated[str, Field(max_length=64)] | None = None
    role: PersonRole | None = None
    zone: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="IANA's name; \"\": the server's.")
    quiet: Annotated[str, Field(max_length=32)] | None = Field(default=None, description='"22:00-07:00"; "": none.')
    prefers: Annotated[list[Annotated[str, Field(min_length=1, max_length=300)]], Field(max_length=20)] | None = Field(
        default=None,
        description="Chats as channel:chat_id, in which messages to the person go first, and the next where one can't be reached.",
    )


class CodeAnswer(Answer):
    """Anyone who enters the code shares everything of the person from then on."""

    object: Literal["person.code"] = "person.code"
    code: str
    expires_at: Time = Field(validation_alias="expires")


class CodeEntered(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    code: Annotated[str, Field(min_length=1, max_length=64)]


_PATH: Final = "/v1/people"
_ONE: Final = _PATH + "/{person_id}"


@record
class Household:
    """The services that people need."""

    people: PeopleStore
    links: LinkStore
    channels: ChannelDirectory


@record
class PeopleEndpoints:
    household: Household

    @endpoint("GET", _PATH, "List people", scope="admin", responses=errors(401, 503))
    async def index(self) -> PersonList:
        """The owner first, then in the order in which they came; all at once."""
        return PersonList(data=[shown(person) for person in await self.household.people.list()], has_more=False)

    @endpoint("GET", _ONE, "Show a person", scope="chat", responses=errors(401, 404, 503))
    async def show(self, request: Request, person_id: str) -> PersonAnswer:
        """`me`: the caller. Another needs the scope `admin`."""
        return shown(await self._person(request, person_id))

    @endpoint("POST", _ONE, "Change a person", scope="admin", responses=errors(400, 401, 404, 409, 503))
    async def change(self, request: Request, person_id: str, change: PersonChange) -> PersonAnswer:
        if change.zone:
            read_zone(change.zone)
        if change.quiet:
            read_quiet(change.quiet)
        person = await self._person(request, person_id)
        given: dict[str, Any] = change.model_dump(exclude_none=True)
        if change.name is not None:
            given["name"] = visible_name(change.name)
        if change.prefers is not None:
            given["prefers"] = [self.household.channels.check(parse_address(chat)) for chat in change.prefers]
        return shown(await self.household.people.change(person.id, **given))

    @endpoint(
        "POST", _ONE + "/codes", "Make a code that joins a chat or key", scope="chat", responses=errors(401, 404, 503), status_code=201
    )
    async def create_code(self, request: Request, person_id: str) -> CodeAnswer:
        """Valid for ten minutes, once; an earlier one ends. `me`: of the caller. Another's needs the scope `admin`. It is entered as
        `/link CODE` in a private chat, or by `POST /v1/link` with another key."""
        made = await self.household.links.code((await self._person(request, person_id)).id)
        return CodeAnswer.model_validate(made)

    @endpoint("DELETE", _ONE + "/identities/{identity:path}", "Separate an identity", scope="admin", responses=errors(401, 404, 409, 503))
    async def unlink(self, request: Request, person_id: str, identity: str) -> PersonAnswer:
        """It becomes a person of its own, without what is kept; returns that person."""
        person = await self._person(request, person_id)
        if identity not in person.identities:
            raise PersonNotFound("This person has no such identity.", param="identity")
        return shown(await self.household.links.unlink(identity))

    @endpoint("POST", "/v1/link", "Enter a code", scope="chat", responses=errors(400, 401, 404, 409, 503))
    async def enter(self, request: Request, entered: CodeEntered) -> PersonAnswer:
        """Join the caller's key, and all that belongs to it, to the person whose code it is. Refused for the person who runs the server, and while
        something of the caller's is under way (409). After ten wrong codes in an hour, 429."""
        id = await self.household.links.enter(entered.code, principal(request.scope).id)
        return shown(await self._found(id))

    async def _person(self, request: Request, id: str) -> Person:
        who = principal(request.scope)
        wanted = who.person if id == ME else OWNER_ID if id == OWNER_SHOWN else id
        if wanted != who.person:
            who.require("admin")
        return await self._found(wanted)

    async def _found(self, id: str) -> Person:
        person = await self.household.people.person(id)
        if person is None:
            raise PersonNotFound(param="person_id")
        return person


def shown(person: Person) -> PersonAnswer:
    """The answer about a person."""
    quiet = person.quiet
    return PersonAnswer(
        id=shown_person(person.id),
        name=person.name,
        role=person.role,
        zone=person.zone.key,
        zone_chosen=person.zone_chosen,
        quiet=f"{quiet.start:%H:%M}-{quiet.end:%H:%M}" if quiet else None,
        identities=list(person.identities),
        prefers=list(map(str, person.prefers)),
    )
