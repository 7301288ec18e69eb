"""The methods of the Bot API that change or show what the stand-in holds."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from telegram.constants import ReactionEmoji

from tests.doubles.telegram_api import sending
from tests.doubles.telegram_api.chats import Chats, chat
from tests.doubles.telegram_api.faults import Refusal
from tests.doubles.telegram_api.params import Params
from tests.doubles.telegram_api.posted import Posted, SentFile

_COMMAND: Final = re.compile(r"[a-z0-9_]{1,32}")
_REACTIONS: Final = {each.value for each in ReactionEmoji}
_MEDIA: Final = {"sendPhoto": "photo", "sendDocument": "document", "sendAudio": "audio", "sendVoice": "voice", "sendVideo": "video"}


class Methods(Chats):
    """The bot's side: what it sends, edits and asks for. Runs on the server's loop."""

    def __init__(self) -> None:
        super().__init__()
        self.bot: dict[str, Any] = {
            "id": 123456,
            "is_bot": True,
            "first_name": "Test bot",
            "username": "test_bot",
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }
        self.ledger: list[Posted] = []
        """Every message that was accepted, in order."""
        self.unknown_chats: set[str] = set()
        self.topics: dict[str, set[int]] = {}
        """Of a forum, those that there are; a chat that is not named here takes any."""
        self.closed_topics: set[tuple[str, int]] = set()
        """(chat, topic) in which only administrators may write."""
        self.no_voice: set[str] = set()
        """People who take no voice messages."""
        self.no_rights: dict[str, set[str]] = {}
        """Kinds of files ("photo", "document" …) that a group does not let the bot send."""
        self.upgraded: dict[str, int] = {}
        """Groups that became supergroups, with their new ids."""
        self.commands: list[dict[str, str]] = []
        self.actions: list[tuple[str, str, int | None]] = []
        """(chat, action, topic) of sendChatAction."""
        self.reactions: list[tuple[str, int, str]] = []
        """(chat, message_id, emoji) of setMessageReaction."""
        self.answered_queries: list[str] = []
        self._posted: dict[tuple[str, int], Posted] = {}
        self.methods: Mapping[str, Callable[[Params], Any]] = {
            "getme": lambda _: self.bot,
            "sendmessage": self._send_message,
            "editmessagetext": self._edit_message_text,
            "deletemessage": self._delete_message,
            "sendmediagroup": self._send_media_group,
            "sendchataction": self._send_chat_action,
            "setmessagereaction": self._set_message_reaction,
            "setmycommands": self._set_my_commands,
            "getmycommands": lambda _: self.commands,
            "getfile": self._get_file,
            "getchat": lambda params: {**chat(int(self._chat(params))), "accent_color_id": 0, "max_reaction_count": 1},
            "answercallbackquery": self._answer_callback_query,
            **{method.lower(): self._sender_of(method, field) for method, field in _MEDIA.items()},
        }

    def texts(self, chat_id: int | str) -> list[str]:
        """The messages of the bot that are in a chat now, in order."""
        return [posted.edits[-1] if posted.edits else posted.text for posted in self.sent_to(chat_id) if not posted.deleted]

    def sent_to(self, chat_id: int | str) -> list[Posted]:
        return [posted for posted in list(self.ledger) if str(posted.chat_id) == str(chat_id)]

    def as_update(self, posted: Posted, **more: Any) -> dict[str, Any]:
        """A message of the bot as in an update (that answers it, or whose button is pressed)."""
        markup = {"reply_markup": {"inline_keyboard": posted.buttons}} if posted.buttons else {}
        return {
            "message_id": posted.message_id,
            "date": int(posted.at),
            "chat": chat(int(posted.chat_id)),
            "from": self.bot,
            "text": posted.text,
            **markup,
            **more,
        }

    def _chat(self, params: Params) -> str:
        name = params.text("chat_id")
        if name in self.upgraded:
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refusal(400, words, migrate_to_chat_id=self.upgraded[name])
        if not name or name in self.unknown_chats:
            raise Refusal(400, "Bad Request: chat not found")
        return name

    def upgrade(self, chat_id: int, now: int) -> None:
        """A group becomes a supergroup: both say so, and the old one takes nothing more."""
        self.upgraded[str(chat_id)] = now
        self.deliver("message", self.message(chat_id, migrate_to_chat_id=now, sender=7))
        self.deliver("message", self.message(now, migrate_from_chat_id=chat_id, sender=7))

    def _check_rights(self, name: str, kind: str) -> None:
        if kind == "voice" and name in self.no_voice:
            raise Refusal(400, "Bad Request: VOICE_MESSAGES_FORBIDDEN")
        if kind in self.no_rights.get(name, ()):
            raise Refusal(400, f"Bad Request: not enough rights to send {kind}s to the chat")

    def _post(
        self, params: Params, method: str, text: str, source: str, files: tuple[SentFile, ...] = (), album: str | None = None
    ) -> Posted:
        name = self._chat(params)
        thread = params.number("message_thread_id") or None
        if thread is not None and name in self.topics and thread not in self.topics[name]:
            raise Refusal(400, "Bad Request: message thread not found")
        if thread is not None and (name, thread) in self.closed_topics:
            raise Refusal(400, "Bad Request: TOPIC_CLOSED")
        preview = params.object("link_preview_options")
        answered = self._answered(params.object("reply_parameters"))
        posted = Posted(
            message_id=self.next_message_id(),
            chat_id=int(name) if name.lstrip("-").isdigit() else name,
            thread_id=thread,
            method=method,
            text=text,
            source=source,
            parse_mode=params.text("parse_mode") or None,
            files=files,
            reply_to=answered,
            buttons=sending.keyboard(params),
            link_preview=not preview.get("is_disabled", False),
            at=time.time(),
            album=album,
        )
        self.ledger.append(posted)
        self._posted[name, posted.message_id] = posted
        return posted

    def _answered(self, reply: dict[str, Any]) -> int | None:
        """The message that one is to answer; numbers that were never given out are of messages that are gone."""
        if reply and reply["message_id"] > self.latest_message_id:
            if not reply.get("allow_sending_without_reply"):
                raise Refusal(400, "Bad Request: message to be replied not found")
            return None
        return reply.get("message_id")

    def _result(self, posted: Posted) -> dict[str, Any]:
        where: dict[str, Any] = (
            chat(posted.chat_id) if isinstance(posted.chat_id, int) else {"id": -1009, "type": "channel", "username": posted.chat_id[1:]}
        )
        words = {"text" if posted.method == "sendMessage" else "caption": posted.edits[-1] if posted.edits else posted.text}
        topic = {"message_thread_id": posted.thread_id, "is_topic_message": True} if posted.thread_id else {}
        return {"message_id": posted.message_id, "date": int(posted.at), "chat": where, "from": self.bot, **words, **topic}

    def _send_message(self, params: Params) -> Any:
        self._chat(params)
        return self._result(self._post(params, "sendMessage", sending.whole_text(params), params.text("text")))

    def _sender_of(self, method: str, field: str) -> Callable[[Params], Any]:
        def send(params: Params) -> Any:
            self._check_rights(self._chat(params), field)
            file = sending.upload(params, field)
            caption = sending.seen(params.text("caption"), params.text("parse_mode") or None, sending.CAPTION_UNITS)
            return self._result(self._post(params, method, caption, params.text("caption"), (file,)))

        return send

    def _send_media_group(self, params: Params) -> Any:
        name = self._chat(params)
        items: list[dict[str, Any]] = params.items("media")
        if not 2 <= len(items) <= 10:
            raise Refusal(400, "Bad Request: there must be from 2 to 10 items in an album")
        if params.values.get("reply_markup"):
            raise Refusal(400, "Bad Request: an album takes no keyboard")
        taken: list[tuple[str, str, SentFile]] = []
        for item in items:
            file = params.files.get(str(item["media"]).removeprefix("attach://"))
            if file is None:
                raise Refusal(400, "Bad Request: wrong file identifier/HTTP URL specified")
            self._check_rights(name, item["type"])
            caption = str(item.get("caption") or "")
            text = sending.seen(caption, item.get("parse_mode"), sending.CAPTION_UNITS)
            taken.append((text, caption, sending.checked(file, item["type"])))
        sending.check_album([item["type"] for item in items], [file for _, _, file in taken])
        album = f"album-{self.next_message_id()}"
        return [self._result(self._post(params, "sendMediaGroup", text, source, (file,), album)) for text, source, file in taken]

    def _edit_message_text(self, params: Params) -> Any:
        posted = self._posted.get((self._chat(params), params.number("message_id")))
        if posted is None or posted.deleted:
            raise Refusal(400, "Bad Request: message to edit not found")
        if posted.method != "sendMessage":
            raise Refusal(400, "Bad Request: there is no text in the message to edit")
        text, buttons = sending.whole_text(params), sending.keyboard(params)
        if (text, params.text("text"), buttons) == (posted.edits[-1] if posted.edits else posted.text, posted.source, posted.buttons):
            raise Refusal(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current "
                "content and reply markup of the message",
            )
        posted.source, posted.buttons = params.text("text"), buttons
        posted.parse_mode = params.text("parse_mode") or None
        posted.edits.append(text)
        posted.edited_at.append(time.time())
        return self._result(posted)

    def _delete_message(self, params: Params) -> bool:
        posted = self._posted.get((self._chat(params), params.number("message_id")))
        if posted is None or posted.deleted:
            raise Refusal(400, "Bad Request: message to delete not found")
        posted.deleted = True
        return True

    def _send_chat_action(self, params: Params) -> bool:
        self.actions.append((self._chat(params), params.text("action"), params.number("message_thread_id") or None))
        return True

    def _set_message_reaction(self, params: Params) -> bool:
        emoji = [str(each.get("emoji")) for each in params.items("reaction")]
        if len(emoji) > 1 or not set(emoji) <= _REACTIONS:
            raise Refusal(400, "Bad Request: REACTION_INVALID")
        self.reactions.append((self._chat(params), params.number("message_id"), "".join(emoji)))
        return True

    def _set_my_commands(self, params: Params) -> bool:
        commands = params.items("commands")
        if len(commands) > 100 or not all(
            _COMMAND.fullmatch(each["command"]) and 1 <= len(each["description"]) <= 256 for each in commands
        ):
            raise Refusal(400, "Bad Request: BOT_COMMAND_INVALID")
        self.commands = commands
        return True

    def _get_file(self, params: Params) -> Any:
        file_id = params.text("file_id")
        if file_id not in self.files:
            raise Refusal(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        path, data = self.files[file_id]
        if len(data) > 20_000_000:
            raise Refusal(400, "Bad Request: file is too big")
        return {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": len(data), "file_path": path}

    def _answer_callback_query(self, params: Params) -> bool:
        self.answered_queries.append(params.text("callback_query_id"))
        return True
