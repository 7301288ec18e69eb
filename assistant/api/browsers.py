"""/v1/login, /v1/logout, /v1/browsers and /v1/me: browsers that log in, and who a caller is."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Final, Literal

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from assistant.access.authenticator import Authenticator
from assistant.access.browsers import LASTS, BrowserAccess
from assistant.access.principals import Principal
from assistant.api.answers import Answer, ListAnswer, Time
from assistant.api.body.request import read_json
from assistant.api.complaints import validated
from assistant.api.middleware.auth import COOKIE, LOGIN
from assistant.api.middleware.guard import Network, came_by_https, client_of
from assistant.api.middleware.request import header, principal
from assistant.api.openapi import endpoint, errors, takes
from assistant.api.people import PersonAnswer, shown
from assistant.api.settings import ApiLimits
from assistant.contracts.access import SCOPES, Browser, Scope
from assistant.contracts.errors import InvalidRequest, NotFound, Unauthenticated
from assistant.contracts.people import PeopleDirectory, PersonNotFound, shown_person
from assistant.contracts.records import record
from assistant.contracts.util import visible_name

_LIMITS: Final = ApiLimits(json_bytes=64 * 1024)
"""Of a body that comes without a key; tokens of others have thousands of characters."""
_LINK_ENDED: Final = "This link opens nothing: it was used before, or its five minutes are over. `nanobot web` makes another."


class LoginRequest(BaseModel):
    """One of the two."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    link: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="Of `nanobot web`: what follows `#login=`."
    )
    key: Annotated[str, Field(min_length=1, max_length=20_000)] | None = Field(
        default=None, description="What an Authorization header would hold: an API key, the shared key, a token."
    )


class LogoutRequest(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    everywhere: bool = False


class BrowserAnswer(Answer):
    """A browser that is logged in. `person`: whose it is."""

    id: str
    object: Literal["browser"] = "browser"
    name: str = Field(description='What it says it is: "Firefox on Linux".')
    person: str
    expires_at: Time
    created_at: Time
    last_used_at: Time | None
    current: bool = Field(description="It is the one that asks.")


class BrowserList(ListAnswer[BrowserAnswer]):
    pass


class BrowserDeleted(Answer):
    id: str
    object: Literal["browser.deleted"] = "browser.deleted"
    deleted: Literal[True] = True


class LoggedOut(Answer):
    object: Literal["logout"] = "logout"
    ended: int = Field(description="How many browsers were logged out.")


class MeAnswer(Answer):
    """`scopes`: what the caller may; null: all. `features`: the parts that this server has. `browser`: its id, where a cookie was sent."""

    object: Literal["me"] = "me"
    person: PersonAnswer
    scopes: list[Scope] | None
    version: str
    browser: str | None
    features: list[str]


class BrowserNotFound(NotFound, code="browser_not_found"):
    """There is no such browser."""


@record
class BrowserEndpoints:
    authenticator: Authenticator
    browsers: BrowserAccess
    people: PeopleDirectory
    proxies: Sequence[Network]
    """As AuthMiddleware knows them."""
    version: str
    features: Sequence[str]

    @endpoint(
        "POST",
        LOGIN,
        "Log a browser in",
        scope=None,
        responses=errors(400, 401, 413, 415, 429, 503),
        status_code=201,
        extra={**takes(LoginRequest), "security": []},
    )
    async def log_in(self, request: Request, response: Response) -> BrowserAnswer:
        """With a link (once) or a credential. The answer sets the cookie `nanobot`, which only this server sees, and no script. It opens what the
        credential opens, for thirty days or until that ends."""
        asked = validated(LoginRequest, await read_json(request.scope, request.receive, _LIMITS))
        address, passed_on = client_of(request.scope, tuple(self.proxies))
        name = _named((header(request.scope, b"user-agent") or b"").decode("latin-1"))
        if asked.key is not None and asked.link is None:
            who = await self.authenticator.identify(address, b"Bearer " + asked.key.encode(errors="replace"), passed_on=passed_on)
            await (await self.authenticator.admit(who)).end()  # this path is open: nothing has counted the request
            secret, browser = await self.browsers.log_in(who, asked.key, name)
        elif asked.link is not None and asked.key is None:
            self.authenticator.attempts.check(address)
            found = await self.browsers.redeem(asked.link, name)
            if found is None:
                self.authenticator.attempts.failed(address)
                raise Unauthenticated(_LINK_ENDED)
            secret, browser = found
        else:
            raise InvalidRequest("Send 'link' or 'key', and one of them only.")
        response.headers["set-cookie"] = self._cookie(request, secret, LASTS)
        held = await self.browsers.identify(secret.encode())
        return _answer(browser, held.person if held else browser.caller, None)

    @endpoint("POST", "/v1/logout", "Log out", scope=None, responses=errors(400, 401, 503))
    async def log_out(self, request: Request, response: Response, asked: LogoutRequest) -> LoggedOut:
        """This browser, or `everywhere`: all browsers of the person, with links that were not used. What they have open ends within a second."""
        who = principal(request.scope)
        ended = 0
        if asked.everywhere:
            _may_end(who)
            ended = await self.browsers.log_out(who.person)
        elif who.browser is not None:
            ended = await self.browsers.log_out(who.person, who.browser)
        response.headers["set-cookie"] = self._cookie(request, "", timedelta(0))
        return LoggedOut(ended=ended)

    @endpoint("GET", "/v1/browsers", "List browsers", scope=None, responses=errors(401, 503))
    async def index(self, request: Request) -> BrowserList:
        """Those of the caller's person that are logged in; a key needs the scope `admin`."""
        who = principal(request.scope)
        _may_end(who)
        found = await self.browsers.store.list(who.person)
        return BrowserList(data=[_answer(each, who.person, who.browser) for each in found], has_more=False)

    @endpoint("DELETE", "/v1/browsers/{browser_id}", "Log a browser out", scope=None, responses=errors(401, 404, 503))
    async def delete(self, request: Request, browser_id: str) -> BrowserDeleted:
        """Of the caller's person; a key needs the scope `admin`."""
        who = principal(request.scope)
        _may_end(who)
        if not await self.browsers.log_out(who.person, browser_id):
            raise BrowserNotFound(param="browser_id")
        return BrowserDeleted(id=browser_id)

    @endpoint("GET", "/v1/me", "Who am I", scope=None, responses=errors(401, 404, 503))
    async def me(self, request: Request) -> MeAnswer:
        """The caller's person, what it may, and what this server has."""
        who = principal(request.scope)
        person = await self.people.person(who.person)
        if person is None:
            raise PersonNotFound
        return MeAnswer(
            person=shown(person),
            scopes=None if who.scopes is None else [scope for scope in SCOPES if scope in who.scopes],
            version=self.version,
            browser=who.browser,
            features=list(self.features),
        )

    def _cookie(self, request: Request, secret: str, lasts: timedelta) -> str:
        """`Secure` over HTTPS."""
        secure = "; Secure" if came_by_https(request.scope, tuple(self.proxies)) else ""
        return f"{COOKIE}={secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age={int(lasts.total_seconds())}{secure}"


def _may_end(who: Principal) -> None:
    if who.browser is None:
        who.require("admin")


def _answer(browser: Browser, person: str, current: str | None) -> BrowserAnswer:
    return BrowserAnswer.model_validate(
        {
            "id": browser.id,
            "name": browser.name,
            "person": shown_person(person),
            "expires_at": browser.expires,
            "created_at": browser.created,
            "last_used_at": browser.last_used,
            "current": browser.id == current,
        }
    )


_BROWSERS: Final = {"Edg": "Edge", "OPR": "Opera", "Firefox": "", "FxiOS": "Firefox", "CriOS": "Chrome", "Chrome": "", "Safari": ""}
"""By the mark in a User-Agent, the most telling first; the name, where it differs."""
_SYSTEMS: Final = {"Android": "", "iPhone": "", "iPad": "", "Windows": "", "Mac OS X": "macOS", "CrOS": "ChromeOS", "Linux": ""}


def _named(agent: str) -> str:
    """A User-Agent in words: "Firefox on Linux"; else the beginning of it."""
    browser = next((name or mark for mark, name in _BROWSERS.items() if f"{mark}/" in agent or f"{mark}A/" in agent), "")
    system = next((name or mark for mark, name in _SYSTEMS.items() if mark in agent), "")
    if browser:
        return f"{browser} on {system}" if system else browser
    return visible_name(re.split(r"[\s/(]", agent.strip(), maxsplit=1)[0]) or "Unknown"
