"""What a stanza says: anyone can put anything into one but the address that it is from."""

from datetime import UTC, datetime
from xml.etree.ElementTree import fromstring

import pytest

from channels.xmpp.session import error_in
from channels.xmpp.settings import XmppSettings, is_jid
from channels.xmpp.stanzas import Stanza, archived, read_stanza

SID = "xmlns='urn:xmpp:sid:0'"


def read(inner: str, attributes: str = "from='anna@example.org/phone' type='chat' id='1'") -> Stanza | None:
    return read_stanza(fromstring(f"<message xmlns='jabber:client' {attributes}>{inner}</message>"))


NOTHING = [
    ("", "from='anna@example.org/x'"),
    ("<body/>", "from='anna@example.org/x'"),
    ("<body>  </body>", "from='anna@example.org/x'"),
    ("<body>w</body>", ""),
    ("<body>w</body>", "from='example.org'"),
    ("<body>w</body>", "from='anna@example.org' type='headline'"),
    ("<body>w</body>", "from='anna@example.org' type='error'"),
    ("<body>w</body>", "from='anna@example.org' type='mystery'"),
    ("<subject>w</subject>", "from='team@rooms.example.org/anna' type='groupchat'"),
    ("<received xmlns='urn:xmpp:receipts' id='1'/>", "from='anna@example.org/x'"),
    ("<composing xmlns='http://jabber.org/protocol/chatstates'/>", "from='anna@example.org/x'"),
    ("<body>w</body><x xmlns='http://jabber.org/protocol/muc#user'><invite/></x>", "from='team@rooms.example.org' type='normal'"),
    ("<x xmlns='jabber:x:oob'/>", "from='anna@example.org/x'"),
    ("<body xmlns='other'>w</body>", "from='anna@example.org/x'"),
    (
        "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='boss@example.org'>"
        "<body>w</body></message></forwarded></received>",
        "from='anna@example.org/x'",
    ),
]


@pytest.mark.parametrize(("inner", "attributes"), NOTHING)
def test_what_says_nothing_is_no_message(inner: str, attributes: str) -> None:
    assert read(inner, attributes) is None


@pytest.mark.parametrize(
    "inner",
    [
        "<body>w</body><delay xmlns='urn:xmpp:delay' stamp='yesterday'/>",
        "<body>w</body><delay xmlns='urn:xmpp:delay'/>",
        "<body>w</body><delay xmlns='urn:xmpp:delay' stamp='0001-01-01T00:00:00+14:00'/>",
        "<body>w</body><delay xmlns='urn:xmpp:delay' stamp='9999-12-31T23:59:59-14:00'/>",
        f"<body>w</body><origin-id {SID}/><stanza-id {SID}/>",
        "<body>w</body><reply xmlns='urn:xmpp:reply:0'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'/>",
        "<body>w</body><reply xmlns='urn:xmpp:reply:0'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'>"
        "<body start='5' end='-1'/></fallback>",
        "<body>w</body><reply xmlns='urn:xmpp:reply:0'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'>"
        "<body start='0' end='99999999999'/></fallback>",
        "<body>w</body><x xmlns='jabber:x:oob'><url>  </url></x>",
        *[
            f"<body>w</body><x xmlns='jabber:x:oob'><url>{url}</url></x>"
            for url in ("https://[x/", "https://[::1", "//", "a?b#c", "%ff%00/..")
        ],
        *[
            f"<body>w</body><reply xmlns='urn:xmpp:reply:0' to='x'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'>{body}</fallback>"
            for body in (
                "<body start='²' end='³'/>",
                f"<body start='{'9' * 5000}' end='{'9' * 5000}'/>",
                "<body start='-1' end='1'/>",
                "<body/>",
            )
        ],
        "<body>w<b>x</b></body>",
    ],
)
def test_odd_parts_are_passed_over(inner: str) -> None:
    said = read(inner)
    assert said is not None
    assert said.body == "w"


def test_addresses_are_the_same_in_capitals() -> None:
    said = read("<body>w</body>", "from='Anna@Example.org/Phone'")
    assert said is not None
    assert (said.sender, said.nick, said.in_room) == ("anna@example.org", "Phone", False)


def test_a_message_is_known_by_its_origin_then_by_its_archive_id_then_by_its_id() -> None:
    first = read(f"<body>w</body><origin-id {SID} id='o'/><stanza-id {SID} by='x' id='s1'/>")
    again = read(f"<body>w</body><origin-id {SID} id='o'/><stanza-id {SID} by='x' id='s2'/>")
    other = read(f"<body>w</body><stanza-id {SID} by='x' id='s2'/>")
    third = read(f"<body>w</body><stanza-id {SID} by='x' id='s3'/>")
    assert first is not None
    assert again is not None
    assert other is not None
    assert third is not None
    assert first.key == again.key
    assert len({first.key, other.key, third.key}) == 3


def test_no_one_can_keep_out_what_another_writes() -> None:
    anna = read("<body>w</body>", "from='anna@example.org' id='1'")
    ben = read("<body>w</body>", "from='ben@example.org' id='1'")
    assert anna is not None
    assert ben is not None
    assert anna.key != ben.key


def test_only_the_rooms_own_id_counts_in_a_room() -> None:
    said = read(f"<body>w</body><stanza-id {SID} by='evil@example.org' id='s'/>", "from='team@rooms.example.org/a' type='groupchat' id='1'")
    assert said is not None
    assert said.id == "1"


def test_a_file_is_its_address() -> None:
    url = "https://upload.example.org/1/%C3%BC%20b.png"
    said = read(f"<body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x>")
    assert said is not None
    assert (said.body, [(each.name, each.kind, each.ref) for each in said.files]) == ("", [("ü b.png", "image", url)])


def test_when_it_was_kept_for_a_while_it_has_the_time_of_then() -> None:
    said = read("<body>w</body><delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z'/>")
    assert said is not None
    assert said.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_message_of_the_future_has_no_time() -> None:
    """The archive is read from the latest message on: one of the year 2099 would hide all others."""
    said = read("<body>w</body><delay xmlns='urn:xmpp:delay' stamp='2099-01-02T03:04:05Z'/>")
    assert said is not None
    assert said.at is None


def test_the_archives_time_counts_and_not_the_senders() -> None:
    inner = (
        "<result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' "
        "stamp='2026-01-02T03:04:05Z'/><message xmlns='jabber:client' from='anna@example.org'><body>w</body>"
        "<delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/></message></forwarded></result>"
    )
    found = archived(fromstring(f"<message xmlns='jabber:client' from='me@example.org'>{inner}</message>"), "me@example.org")
    said = read_stanza(found) if found is not None else None
    assert said is not None
    assert said.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_archives_of_others_are_none() -> None:
    inner = (
        "<result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' "
        "stamp='2026-01-02T03:04:05Z'/><message xmlns='jabber:client' from='boss@example.org'><body>w</body></message></forwarded></result>"
    )
    ours = fromstring(f"<message xmlns='jabber:client' from='me@example.org'>{inner}</message>")
    theirs = fromstring(f"<message xmlns='jabber:client' from='evil@example.org'>{inner}</message>")
    found = archived(ours, "me@example.org")
    assert found is not None
    assert read_stanza(found) is not None
    assert archived(theirs, "me@example.org") is None


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        ("<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", "item-not-found", 404),
        ("<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", "forbidden", 403),
        ("<error type='wait'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", "remote-server-timeout", 500),
        ("<error type='wait'><recipient-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", "recipient-unavailable", 500),
        ("<error/>", "undefined-condition", 404),
        ("", "undefined-condition", 404),
    ],
)
def test_errors_are_told_apart(error: str, code: str, status: int) -> None:
    found = error_in(fromstring(f"<message xmlns='jabber:client' type='error'>{error}</message>"))
    assert (found.code, found.status) == (code, status)


@pytest.mark.parametrize("jid", ["a b@c", "a@", "@b", "a@b/c", "a'b@c", "a" * 300 + "@b", "a@b\u0000", "a<b@c", "a@b@c"])
def test_what_is_no_address(jid: str) -> None:
    assert not is_jid(jid)


@pytest.mark.parametrize("settings", [{"jid": "anna"}, {"rooms": ["team"]}, {"jid": "a@b/c"}])
def test_settings_that_can_not_be_right_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="name@"):
        XmppSettings.model_validate(settings)
