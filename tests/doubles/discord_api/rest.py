"""The REST side: what discord.py asks, answered and refused as Discord does.

https://discord.com/developers/docs/resources/channel, …/message, …/user; codes: …/topics/opcodes-and-status-codes
"""

import json
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, cast

from aiohttp import web

from tests.doubles.discord_api.limits import MOST_NAME, SendLimits, wrong_fields
from tests.doubles.discord_api.shapes import Payload, recent
from tests.doubles.discord_api.world import DM, POSTS, REQUIRES_TAG, THREAD, World

Handler = Callable[[web.Request], Awaitable[web.Response]]
_PING: Final = re.compile(r"@everyone|@here|<@[!&]?\d+>")


class Refused(Exception):
    """Answered with an error of Discord's."""

    def __init__(self, status: int, code: int, message: str, errors: Payload | None = None) -> None:
        """`errors`: what is wrong with which field, nested by the field's path."""
        super().__init__(message)
        self.answer = answer({"message": message, "code": code, **({"errors": errors} if errors else {})}, status)


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """JSON under exactly the type that discord.py looks for."""
    return web.Response(body=json.dumps(body).encode(), status=status, headers={"Content-Type": "application/json", **(headers or {})})


class Rest:
    def __init__(self, world: World) -> None:
        self._world = world
        self.limits = SendLimits()
        self.archived_threads_refuse = False
        """Whether a message to an archived thread is refused, and the thread has to be opened first."""
        self.nonce_seconds = 300.0
        """How long a nonce is remembered."""

    def routes(self) -> list[tuple[str, str, Handler]]:
        """(method, path below the API's base, handler)."""
        message = "/channels/{channel}/messages/{message}"
        return [
            ("GET", "/users/@me", self._me),
            ("GET", "/oauth2/applications/@me", self._application),
            ("POST", "/users/@me/channels", self._open_dm),
            ("GET", "/users/{user}", self._user),
            ("GET", "/applications/{app}/commands", self._commands),
            ("PUT", "/applications/{app}/commands", self._put_commands),
            ("GET", "/guilds/{guild}", self._guild),
            ("GET", "/guilds/{guild}/threads/active", self._threads),
            ("GET", "/channels/{channel}", self._channel),
            ("PATCH", "/channels/{channel}", self._patch_channel),
            ("POST", "/channels/{channel}/threads", self._post_thread),
            ("GET", "/channels/{channel}/messages", self._history),
            ("POST", "/channels/{channel}/messages", self._post),
            ("GET", message, self._message),
            ("PATCH", message, self._patch),
            ("DELETE", message, self._delete),
            ("PUT", message + "/reactions/{emoji}/@me", self._react),
            ("POST", "/channels/{channel}/typing", self._type),
            ("POST", "/interactions/{interaction}/{token}/callback", self._callback),
        ]

    async def _me(self, request: web.Request) -> web.Response:
        return answer(self._world.me)

    async def _application(self, request: web.Request) -> web.Response:
        me = self._world.me
        about = {"id": me["id"], "name": "nanobot", "icon": None, "description": "", "bot_public": True, "bot_require_code_grant": False}
        return answer({**about, "verify_key": "", "flags": 0, "owner": me, "team": None})

    async def _open_dm(self, request: web.Request) -> web.Response:
        user = self._world.users.get(str((await _json(request))["recipient_id"]))
        if user is None or user["bot"]:
            raise Refused(400, 50033, "Invalid Recipient(s)")
        return answer(self._world.dm(user))

    async def _user(self, request: web.Request) -> web.Response:
        user = self._world.users.get(request.match_info["user"])
        if user is None:
            raise Refused(404, 10013, "Unknown User")
        return answer(user)

    async def _commands(self, request: web.Request) -> web.Response:
        return answer(self._world.commands)

    async def _put_commands(self, request: web.Request) -> web.Response:
        commands = cast("list[Payload]", await request.json())
        common = {"application_id": self._world.me["id"], "version": "1", "default_member_permissions": None}
        self._world.commands[:] = [{"id": self._world.new_id(), **common, **command} for command in commands]
        return answer(self._world.commands)

    async def _guild(self, request: web.Request) -> web.Response:
        guild = self._world.guilds.get(request.match_info["guild"])
        if guild is None:
            raise Refused(404, 10004, "Unknown Guild")
        return answer(guild)

    async def _threads(self, request: web.Request) -> web.Response:
        guild = request.match_info["guild"]
        threads = [each for each in self._world.channels.values() if each["type"] == THREAD and each["guild_id"] == guild]
        return answer({"threads": threads, "members": []})

    async def _channel(self, request: web.Request) -> web.Response:
        return answer(self._visible(request))

    async def _history(self, request: web.Request) -> web.Response:
        channel, query = self._texts(request), request.query
        messages = sorted(self._world.messages[channel["id"]].values(), key=lambda message: int(message["id"]))
        limit = int(query.get("limit", 50))
        if "after" in query:
            messages = [each for each in messages if int(each["id"]) > int(query["after"])][:limit]
        else:
            before = int(query.get("before", (1 << 63) - 1))
            messages = [each for each in messages if int(each["id"]) < before][-limit:]
        return answer([{key: value for key, value in each.items() if key != "nonce"} for each in reversed(messages)])

    async def _message(self, request: web.Request) -> web.Response:
        return answer(self._known(request))

    async def _patch_channel(self, request: web.Request) -> web.Response:
        """A thread is opened again by anyone who may write there, unless it is locked."""
        channel, body = self._visible(request), await _json(request)
        about = channel.get("thread_metadata")
        if about is None or about["locked"]:
            raise Refused(403, 50013, "Missing Permissions")
        about |= {key: value for key, value in body.items() if key in ("archived", "locked")}
        return answer(channel)

    async def _post_thread(self, request: web.Request) -> web.Response:
        """A post of a forum. https://discord.com/developers/docs/resources/channel#start-thread-in-forum-or-media-channel"""
        forum = self._visible(request)
        if forum["type"] not in POSTS:
            raise Refused(400, 50024, "Cannot execute action on this channel type")
        body, files = await _body(request)
        if not 1 <= len(str(body.get("name") or "")) <= MOST_NAME:
            raise form_error("name", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {MOST_NAME} in length.")
        tags = {tag["id"] for tag in forum.get("available_tags", ())}
        if forum["flags"] & REQUIRES_TAG and not set(body.get("applied_tags") or ()) & tags:
            raise Refused(400, 40067, "A tag is required to create a forum post in this channel")
        message = cast(Payload, body.get("message") or {})
        _check(message, files)
        thread = self._world.thread(forum, body["name"], id=self._world.new_id(), applied_tags=body.get("applied_tags") or [])
        self._world.accept(thread, message, files, _pings(message), id=thread["id"])
        return answer({**thread, "message": self._world.messages[thread["id"]][thread["id"]]}, 201)

    async def _post(self, request: web.Request) -> web.Response:
        channel = self._texts(request)
        self._unarchive(channel)
        if channel["type"] == DM and channel["recipients"][0]["id"] in self._world.closed_dms:
            raise Refused(403, 50007, "Cannot send messages to this user")
        body, files = await _body(request)
        headers = self.limits.take(channel["id"])
        _check(body, files)
        if (first := self._first(channel, body)) is not None:
            return answer(first, headers=headers)
        reference = body.get("message_reference")
        known = self._world.messages[channel["id"]]
        if reference and str(reference["message_id"]) not in known:
            if reference.get("fail_if_not_exists", True):
                raise form_error("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
            del body["message_reference"]
        return answer(self._world.accept(channel, body, files, _pings(body)), headers=headers)

    async def _patch(self, request: web.Request) -> web.Response:
        message = self._own(request)
        body, files = await _body(request)
        _check({"content": message["content"], **body}, files)
        return answer(self._world.edit_own(message, body, files))

    async def _delete(self, request: web.Request) -> web.Response:
        self._world.delete_own(self._own(request))
        return web.Response(status=204)

    async def _react(self, request: web.Request) -> web.Response:
        self._world.reactions.append((self._known(request)["id"], request.match_info["emoji"]))
        return web.Response(status=204)

    async def _type(self, request: web.Request) -> web.Response:
        self._world.typings.append(self._visible(request)["id"])
        return web.Response(status=204)

    async def _callback(self, request: web.Request) -> web.Response:
        interaction = request.match_info["interaction"]
        if self._world.interactions.get(interaction) != request.match_info["token"]:
            raise Refused(404, 10062, "Unknown interaction")
        answers = self._world.callbacks.setdefault(interaction, [])
        if answers:
            raise Refused(400, 40060, "Interaction has already been acknowledged.")
        answers.append(await _json(request))
        return web.Response(status=204)

    def _visible(self, request: web.Request) -> Payload:
        channel = self._world.channels.get(request.match_info["channel"])
        if channel is None:
            raise Refused(404, 10003, "Unknown Channel")
        if channel["id"] in self._world.hidden:
            raise Refused(403, 50001, "Missing Access")
        return channel

    def _texts(self, request: web.Request) -> Payload:
        """A channel that holds messages itself."""
        channel = self._visible(request)
        if channel["type"] in POSTS:
            raise Refused(400, 50008, "Cannot send messages in a non-text channel")
        return channel

    def _unarchive(self, channel: Payload) -> None:
        """A message takes a thread out of the archive, unless it is locked. https://discord.com/developers/docs/topics/threads#active--archived-threads"""
        about = channel.get("thread_metadata")
        if about is not None and about["archived"]:
            if about["locked"] or self.archived_threads_refuse:
                raise Refused(400, 50083, "Thread is archived")
            about["archived"] = False
        elif about is not None and about["locked"]:
            raise Refused(403, 160005, "Thread is locked")

    def _known(self, request: web.Request) -> Payload:
        message = self._world.messages[self._visible(request)["id"]].get(request.match_info["message"])
        if message is None:
            raise Refused(404, 10008, "Unknown Message")
        return message

    def _own(self, request: web.Request) -> Payload:
        message = self._known(request)
        if message["author"]["id"] != self._world.me["id"]:
            raise Refused(403, 50005, "Cannot edit a message authored by another user")
        return message

    def _first(self, channel: Payload, body: Payload) -> Payload | None:
        """The message that this nonce brought before."""
        if not body.get("enforce_nonce") or body.get("nonce") is None:
            return None
        for message in reversed(self._world.messages[channel["id"]].values()):
            if message.get("nonce") == body["nonce"] and message["author"]["id"] == self._world.me["id"]:
                return message if recent(datetime.fromisoformat(message["timestamp"]), self.nonce_seconds) else None
        return None


def form_error(path: str, code: str, message: str) -> Refused:
    """50035, with the field's path. https://discord.com/developers/docs/reference#error-messages"""
    errors: Payload = {"_errors": [{"code": code, "message": message}]}
    for name in reversed(path.split(".")):
        errors = {name: errors}
    return Refused(400, 50035, "Invalid Form Body", errors)


def _check(body: Payload, files: list[tuple[str, bytes]]) -> None:
    """Raises Refused."""
    wrong = wrong_fields(body, files)
    if wrong is not None:
        raise form_error(*wrong) if isinstance(wrong, tuple) else Refused(413, 40005, "Request entity too large")
    if not str(body.get("content") or "").strip() and not files and not body.get("embeds"):
        raise Refused(400, 50006, "Cannot send an empty message")


def _pings(body: Payload) -> bool:
    allowed = body.get("allowed_mentions")
    none = allowed is not None and not (allowed.get("parse") or allowed.get("users") or allowed.get("roles") or allowed.get("replied_user"))
    return not none and bool(_PING.search(body.get("content") or ""))


async def _json(request: web.Request) -> Payload:
    return cast(Payload, await request.json())


async def _body(request: web.Request) -> tuple[Payload, list[tuple[str, bytes]]]:
    """The message and its files (name, bytes)."""
    if not request.content_type.startswith("multipart/"):
        return await _json(request), []
    form: Any = await request.post()
    files = [(field.filename, field.file.read()) for name, field in form.items() if name.startswith("files[")]
    return cast(Payload, json.loads(form["payload_json"])), files
