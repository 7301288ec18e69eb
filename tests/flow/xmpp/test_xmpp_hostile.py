"""Whatever people's clients send to the account holds up nothing."""

from html import escape

import pytest

from assistant.testing.platform import Said, running
from tests.flow.xmpp.rig import XmppPlatform

_OOB = "<x xmlns='jabber:x:oob'><url>{}</url></x>"
_URLS = [
    "https://[x/",
    "//[",
    "https://a:b/",
    "https://localhost:99999/x",
    "\u202e\u2066",
    "x" * 20_000,
    "%00%ff",
    "http://127.0.0.1@localhost/",
]
_REPLY = (
    "<reply xmlns='urn:xmpp:reply:0' to='x' id='y'/>"
    "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='{}' end='{}'/></fallback>"
)
_PLACES = [("²", "³"), ("-1", "1"), ("0", "9" * 5000), ("٣", "٤"), ("1.5", "2"), ("", "")]
_DELAYS = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2026-13-40T99:00:00Z", "x" * 10_000, "２０２６-01-01T00:00:00Z"]
_FORWARDED = "<forwarded xmlns='urn:xmpp:forward:0'>{}</forwarded>"
HOSTILE = [
    *(_OOB.format(escape(url)) for url in _URLS),
    *(f"<body>{'w' * 9}</body>{_REPLY.format(start, end)}" for start, end in _PLACES),
    *(f"<body>w</body><delay xmlns='urn:xmpp:delay' stamp='{stamp}'/>" for stamp in _DELAYS),
    f"<body>{'w' * 100_000}</body>",
    f"<body>{'&#x1F4A9;' * 10_000}</body>",
    "<body>w</body>" * 200,
    "<body>w" + "<x>" * 300 + "</x>" * 300 + "</body>",
    _OOB.format("https://localhost/x") * 500,
    f"<body>w</body><origin-id xmlns='urn:xmpp:sid:0' id='{'i' * 20_000}'/>",
    f"<result xmlns='urn:xmpp:mam:2'>{_FORWARDED.format('')}</result>",
    f"<sent xmlns='urn:xmpp:carbons:2'>{_FORWARDED.format('<message/>')}</sent>",
    "<body>w</body><request xmlns='urn:xmpp:receipts'/>",
    "<body>w</body><replace xmlns='urn:xmpp:message-correct:0'/>",
    "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='x'/></event>",
    "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x><body>w</body>",
    "<error type='cancel'/><body>w</body>",
]


@pytest.mark.parametrize("inner", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_stanza_holds_up_nothing(platform: XmppPlatform, inner: str) -> None:
    async with running(platform.channel) as link:
        platform.person.client.send_raw(f"<message to='{platform.bot}' type='chat'>{inner}</message>")
        platform.person.client.send_raw(f"<message to='{platform.room}' type='groupchat'>{inner}</message>")
        platform.person.client.send_raw(f"<message to='{platform.bot}' type='error'>{inner}</message>")
        platform.write(Said(text="the end"))
        while (await link.next()).text != "the end":
            pass


@pytest.mark.parametrize(
    "inner",
    [
        "<presence to='{room}/other'/>",
        "<presence to='{bot}' type='subscribe'/>",
        "<presence to='{bot}'><x xmlns='http://jabber.org/protocol/muc#user'><item jid='[' affiliation='x'/></x></presence>",
        "<iq to='{bot}' type='get' id='1'><query xmlns='jabber:iq:version'/></iq>",
        "<iq to='{bot}' type='set' id='2'><query xmlns='jabber:iq:roster'><item jid='evil@localhost'/></query></iq>",
        "<iq to='{bot}' type='result' id='3'/>",
        "<iq to='{bot}' type='error' id='4'><error/></iq>",
    ],
    ids=range(7),
)
async def test_what_is_no_message_holds_up_nothing(platform: XmppPlatform, inner: str) -> None:
    async with running(platform.channel) as link:
        platform.person.client.send_raw(inner.format(bot=platform.bot, room=platform.room))
        platform.write(Said(text="the end"))
        assert (await link.next()).text == "the end"
