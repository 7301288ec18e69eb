"""Who a mail is from: anyone can write anything into its headers."""

import pytest

from channels.email.headers import From, machine_made, sender_of
from channels.email.reading import parsed
from channels.email.settings import EmailSettings

SETTINGS = EmailSettings.model_validate(
    {"fromAddress": "assistant@example.com", "authserv": "mx.example.com", "trustFrom": ["carl@inside.example", "@lan.example"]}
)


def sender(*headers: str) -> From | None:
    return sender_of(parsed("\r\n".join([*headers, "", "hello"]).encode()), SETTINGS)


ANNA = "From: Anna <anna@example.org>"
RESULTS = [
    ("mx.example.com; dmarc=pass header.from=example.org", True),
    ("mx.example.com 1; dkim=pass (2048-bit key) header.d=example.org header.s=s1", True),
    ("mx.example.com; dkim=pass header.i=@example.org", True),
    ("mx.example.com; spf=pass smtp.mailfrom=bounce@example.org", True),
    ("MX.Example.com; DKIM=PASS header.d=EXAMPLE.ORG", True),
    ("mx.example.com; dkim=fail header.d=example.org; spf=pass smtp.mailfrom=example.org", True),
    ("mx.example.com; dkim=pass header.d=evil.example; spf=pass smtp.mailfrom=example.org", True),
    ("mx.example.com; none", False),
    ("mx.example.com", False),
    ("", False),
    ("mx.example.com; dkim=pass header.d=evil.example", False),
    ("mx.example.com; dkim=pass header.d=org", False),
    ("mx.example.com; dkim=pass header.d=mail.example.org", False),
    ("mx.example.com; dkim=pass header.d=notexample.org", False),
    ("mx.example.com; spf=pass smtp.mailfrom=anna@evil.example", False),
    ("mx.example.com; spf=pass smtp.helo=example.org", False),
    ("mx.example.com; dmarc=fail header.from=example.org; spf=pass smtp.mailfrom=example.org", False),
    ("mx.example.com; dmarc=pass header.from=evil.example", False),
    ("mx.example.com; spf=fail (dkim=pass header.d=example.org) smtp.mailfrom=example.org", False),
    ('mx.example.com; spf=fail reason="; dkim=pass header.d=example.org" smtp.mailfrom=example.org', False),
    ("mx.example.com; dkim=neutral header.d=example.org", False),
    ('mx.example.com; spf=pass smtp.mailfrom="bounce"@example.org', True),
    ('mx.example.com; dkim=pass header.d="example.org"', True),
    ('mx.example.com; spf=pass smtp.mailfrom="x smtp.mailfrom=anna@example.org y"@evil.example', False),
    ('mx.example.com; dkim=pass header.i="x header.d=example.org y"@evil.example', False),
    ('mx.example.com; dkim=pass header.d=evil.example header.i="x header.d=example.org y"@evil.example', False),
    ('mx.example.com; spf=pass smtp.helo="x smtp.mailfrom=anna@example.org" smtp.mailfrom=a@evil.example', False),
    ('mx.example.com; spf=pass smtp.mailfrom="a\\" smtp.mailfrom=anna@example.org "@evil.example', False),
    ("mx.example.com; spf=pass smtp.mailfrom=x smtp.mailfrom=anna@example.org y@evil.example", False),
    ("mx.example.com; dkim=pass header.d=evil.example header.d=example.org", False),
    ("other.example; dkim=pass header.d=example.org", False),
    ("mx.example.com.evil.example; dkim=pass header.d=example.org", False),
    ("(mx.example.com); dkim=pass header.d=example.org", False),
]


@pytest.mark.parametrize(("results", "verified"), RESULTS)
def test_the_own_servers_word_decides_who_a_sender_is(results: str, verified: bool) -> None:
    found = sender(*([f"Authentication-Results: {results}"] if results else []), ANNA)
    assert found is not None
    assert (found.address, found.name, found.verified) == ("anna@example.org", "Anna", verified)
    assert found.id == ("anna@example.org" if verified else "unverified:anna@example.org")


def test_only_the_newest_header_counts() -> None:
    """A sender's own header is below that of the server."""
    ours, theirs = "mx.example.com; dkim=none", "mx.example.com; dkim=pass header.d=example.org"
    found = sender(f"Authentication-Results: {ours}", f"Authentication-Results: {theirs}", ANNA)
    assert found is not None
    assert not found.verified
    other = sender("Authentication-Results: lists.example; none", f"Authentication-Results: {theirs}", ANNA)
    assert other is not None
    assert not other.verified


def test_a_part_of_the_senders_domain_is_signed_by_the_whole() -> None:
    found = sender("Authentication-Results: mx.example.com; dkim=pass header.d=example.org", "From: anna@mail.example.org")
    assert found is not None
    assert found.verified


@pytest.mark.parametrize(
    ("address", "believed"), [("carl@inside.example", True), ("dora@lan.example", True), ("dora@inside.example", False)]
)
def test_some_are_believed_without_a_check(address: str, believed: bool) -> None:
    found = sender(f"From: {address}")
    assert found is not None
    assert found.verified == believed


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("anna@example.org", "anna@example.org"),
        ("Anna@Example.ORG", "anna@example.org"),
        ('"Anna, of \\"Ex\\"" <anna@example.org>', "anna@example.org"),
        ("=?utf-8?q?Ann=C3=A1?= <anna@example.org>", "anna@example.org"),
        ('"ben@example.org" <anna@example.org>', "anna@example.org"),
        ("anna@example.org (ben@example.org)", "anna@example.org"),
        ("ben@example.org <anna@example.org>", None),
        ("ben@example.org, anna@example.org", None),
        ("<ben@example.org> <anna@example.org>", None),
        ("friends: anna@example.org;", None),
        ("anna", None),
        ("", None),
        ("<anna@example.org", None),
        ("anna@example.org\r\nFrom: ben@example.org", None),
        ("a" * 300 + "@example.org", None),
        ('"anna x"@example.org', None),
    ],
)
def test_a_mail_says_in_one_way_who_it_is_from_or_is_not_read(line: str, address: str | None) -> None:
    found = sender(f"From: {line}")
    assert (found.address if found else None) == address


@pytest.mark.parametrize(
    "line",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated (rule)",
        "Precedence: bulk",
        "Precedence: LIST",
        "List-Id: <list.example.org>",
        "List-Unsubscribe: <mailto:x@example.org>",
        "X-Auto-Response-Suppress: All",
        "X-Auto-Response-Suppress: DR, OOF",
        "Return-Path: <>",
        "X-Loop: assistant@example.com",
        "X-Autoreply: yes",
        "Content-Type: multipart/report; boundary=x",
    ],
)
def test_machines_are_never_answered(line: str) -> None:
    assert machine_made(parsed(f"{line}\r\n\r\nhello".encode()), "anna@example.org", "assistant@example.com")


@pytest.mark.parametrize("address", ["mailer-daemon@example.org", "noreply@example.org", "no-reply+1@example.org", "assistant@example.com"])
def test_addresses_of_machines_are_never_answered(address: str) -> None:
    assert machine_made(parsed(b"\r\nhello"), address, "assistant@example.com")


@pytest.mark.parametrize(
    "line", ["Auto-Submitted: no", "Precedence: first-class", "Return-Path: <anna@example.org>", "X-Loop: ben@example.org"]
)
def test_people_are(line: str) -> None:
    assert machine_made(parsed(f"{line}\r\n\r\nhello".encode()), "anna@example.org", "assistant@example.com") == ""
