"""No form of an address leads into this machine or its network, unless the configuration names the host; a named one is reached."""

import ipaddress
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from tests.doubles.names import NameServer
from tests.doubles.proxy import ProxyServer
from tests.doubles.websites import Served, WebSite, certificate
from tests.flow.web.rig import open_web

Form = Callable[[WebSite], str]


def number(site: WebSite) -> int:
    return int(ipaddress.IPv4Address(site.host))


def parts(site: WebSite) -> list[int]:
    return [int(each) for each in site.host.split(".")]


def six(site: WebSite, prefix: str) -> str:
    """The site's address behind a prefix of IPv6: "::ffff:7f4d:202"."""
    return f"http://[{prefix}{number(site) >> 16:x}:{number(site) & 0xFFFF:x}]:{site.port}/"


def dotted(site: WebSite, form: str) -> str:
    return f"http://{'.'.join(format(each, form) for each in parts(site))}:{site.port}/"


def digits(site: WebSite, first: str) -> str:
    """With digits of another script, from its "0"."""
    return f"http://{''.join(chr(ord(first) + int(each)) if each.isdigit() else each for each in site.host)}:{site.port}/"


LITERALS: dict[str, Form] = {
    "as it is": lambda at: f"http://{at.at}/",
    "https": lambda at: f"https://{at.at}/",
    "decimal": lambda at: f"http://{number(at)}:{at.port}/",
    "decimal with zeros": lambda at: f"http://000{number(at)}:{at.port}/",
    "hexadecimal": lambda at: f"http://{number(at):#x}:{at.port}/",
    "hexadecimal, large": lambda at: f"http://0X{number(at):X}:{at.port}/",
    "octal": lambda at: f"http://0{number(at):o}:{at.port}/",
    "beyond 32 bits": lambda at: f"http://{number(at) + 2**32}:{at.port}/",
    "dotted hexadecimal": lambda at: dotted(at, "#x"),
    "dotted octal": lambda at: dotted(at, "04o"),
    "dotted with zeros": lambda at: dotted(at, "03d"),
    "mixed": lambda at: f"http://{parts(at)[0]:#x}.{parts(at)[1]}.0{parts(at)[2]:o}.{parts(at)[3]}:{at.port}/",
    "two parts": lambda at: f"http://127.{number(at) & 0xFFFFFF}:{at.port}/",
    "three parts": lambda at: f"http://127.{parts(at)[1]}.{number(at) & 0xFFFF}:{at.port}/",
    "a dot at the end": lambda at: f"http://{at.host}.:{at.port}/",
    "two dots at the end": lambda at: f"http://{at.host}..:{at.port}/",
    "percent-encoded": lambda at: f"http://{''.join(f'%{ord(each):02x}' for each in at.host)}:{at.port}/",
    "full-width digits": lambda at: digits(at, "０"),
    "mathematical digits": lambda at: digits(at, "𝟎"),
    "Arabic digits": lambda at: digits(at, "٠"),
    "ideographic dots": lambda at: f"http://{at.host.replace('.', '。')}:{at.port}/",
    "half-width dots": lambda at: f"http://{at.host.replace('.', '｡')}:{at.port}/",
    "a soft hyphen": lambda at: f"http://{at.host[:2]}\u00ad{at.host[2:]}:{at.port}/",
    "a zero-width space": lambda at: f"http://{at.host[:2]}\u200b{at.host[2:]}:{at.port}/",
    "mapped": lambda at: six(at, "::ffff:"),
    "mapped, dotted": lambda at: f"http://[::ffff:{at.host}]:{at.port}/",
    "mapped, written out": lambda at: six(at, "0000:0000:0000:0000:0000:FFFF:"),
    "compatible": lambda at: six(at, "::"),
    "translated": lambda at: six(at, "::ffff:0:"),
    "NAT64": lambda at: six(at, "64:ff9b::"),
    "local NAT64": lambda at: six(at, "64:ff9b:1::"),
    "6to4": lambda at: f"http://[2002:{number(at) >> 16:x}:{number(at) & 0xFFFF:x}::1]:{at.port}/",
    "Teredo": lambda at: f"http://[2001:0:808:808:8000:63bf:{(number(at) >> 16) ^ 0xFFFF:x}:{(number(at) & 0xFFFF) ^ 0xFFFF:x}]:{at.port}/",
    "loopback of IPv6": lambda at: f"http://[::1]:{at.port}/",
    "any of IPv6": lambda at: f"http://[::]:{at.port}/",
    "link-local": lambda at: "http://[fe80::1]/",
    "link-local with its card": lambda at: "http://[fe80::1%25lo]/",
    "loopback with a card": lambda at: f"http://[::1%lo]:{at.port}/",
    "site-local": lambda at: "http://[fec0::1]/",
    "unique local": lambda at: "http://[fd00:ec2::254]/latest/meta-data",
    "many at once": lambda at: "http://[ff02::1]/",
    "zero": lambda at: f"http://0:{at.port}/",
    "zeros": lambda at: f"http://0.0.0.0:{at.port}/",
    "carrier's": lambda at: "http://100.64.0.1/",
    "a cloud's": lambda at: "http://169.254.169.254/latest/meta-data",
    "another cloud's": lambda at: "http://168.63.129.16/machine",
    "ten": lambda at: "http://10.0.0.1/",
    "sixteen": lambda at: "http://172.16.0.1/",
    "home": lambda at: "http://192.168.0.1/",
    "all": lambda at: "http://255.255.255.255/",
    "an unusual port": lambda at: f"http://{at.host}:22/",
}
OTHERS: dict[str, Form] = {
    "file": lambda at: "file:///etc/passwd",
    "gopher": lambda at: f"gopher://{at.at}/_GET%20/",
    "dict": lambda at: f"dict://{at.at}/info",
    "ftp": lambda at: f"ftp://{at.at}/",
    "data": lambda at: "data:text/html,<p>hello",
    "script": lambda at: "javascript:alert(1)",
    "sockets": lambda at: f"ws://{at.at}/",
    "view-source": lambda at: f"view-source:http://{at.at}/",
    "no scheme": lambda at: f"//{at.at}/",
    "one slash": lambda at: f"http:/{at.at}/",
    "no slash": lambda at: f"http:{at.at}/",
    "three slashes": lambda at: f"http:///{at.at}/",
    "backslashes": lambda at: f"http:\\\\{at.at}\\",
    "a backslash before the user": lambda at: f"http://public.test\\@{at.at}/",
    "a user": lambda at: f"http://public.test@{at.at}/",
    "a user with a password": lambda at: f"http://public.test:80@{at.at}/",
    "two users": lambda at: f"http://a@{at.at}@public.test/",
    "a user after a fragment": lambda at: f"http://{at.at}#@public.test/",
    "a user after a query": lambda at: f"http://{at.at}?@public.test/",
    "a line break": lambda at: f"http://{at.at}/ HTTP/1.1\r\nHost: public.test\r\n\r\n",
    "a tab in the host": lambda at: f"http://{at.host[:3]}\t{at.host[3:]}:{at.port}/",
    "a line break in the host": lambda at: f"http://{at.host[:3]}\n{at.host[3:]}:{at.port}/",
    "a NUL": lambda at: f"http://{at.host}\0.public.test:{at.port}/",
    "a space": lambda at: f"http:// {at.at}/",
    "two ports": lambda at: f"http://{at.host}:{at.port}:80/",
    "a port out of range": lambda at: f"http://{at.host}:{at.port + 65536}/",
    "brackets around a name": lambda at: "http://[localhost]/",
}
NAMES: dict[str, list[list[str]]] = {
    "private.test": [["SITE"]],
    "127-0-0-1.nip.test": [["127.0.0.1"]],
    "both.test": [["93.184.215.14", "SITE"]],
    "both6.test": [["93.184.215.14", "::1"]],
    "mapped.test": [["::ffff:SITE"]],
    "rebind.test": [["SITE"], ["93.184.215.14"]],
    "localhost": [["127.0.0.1", "::1"]],
    "a.localhost": [["127.0.0.1"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "start.test": [["START"]],
    "flip.test": [["START"], ["SITE"]],
}


@pytest.fixture
async def canary() -> AsyncGenerator[WebSite]:
    """What must not be asked."""
    async with WebSite() as site:
        site.pages["/"] = Served(b"<p>private</p>")
        yield site


@pytest.fixture
async def start() -> AsyncGenerator[WebSite]:
    """A site that the configuration names: start.test."""
    async with WebSite(ports=2) as site:
        yield site


@pytest.fixture
async def names(canary: WebSite, start: WebSite) -> AsyncGenerator[NameServer]:
    places = {"SITE": canary.host, "START": start.host}
    answers = {
        name: [[each.replace("SITE", places["SITE"]).replace("START", places["START"]) for each in found] for found in rounds]
        for name, rounds in NAMES.items()
    }
    async with NameServer(answers) as server:
        yield server


async def test_no_form_of_an_address_reaches_it(tmp_path: Path, canary: WebSite, names: NameServer) -> None:
    forms = LITERALS | OTHERS
    assert len(forms) > 60
    async with open_web(tmp_path, resolver=names.resolver) as web:
        answers = {name: await web.fetch(form(canary)) for name, form in forms.items()}
    assert {name: each.text for name, each in answers.items() if each.ok or "can't be fetched: " not in each.text} == {}
    assert canary.asked == []
    assert names.asked == [], "no form of a number is looked up"


async def test_no_name_reaches_it(tmp_path: Path, canary: WebSite, names: NameServer) -> None:
    hosts = [name for name in NAMES if name not in ("start.test", "flip.test")]
    hosts += ["PRIVATE.test.", "LocalHost.", "ｐrivate.test"]
    async with open_web(tmp_path, resolver=names.resolver) as web:
        answers = {host: await web.fetch(f"http://{host}:{canary.port}/") for host in hosts}
    assert {host: each.text for host, each in answers.items() if each.ok or "private network" not in each.text} == {}
    assert (canary.asked, len(names.asked)) == ([], len(hosts)), "each is looked up once"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_reaches_it(tmp_path: Path, canary: WebSite, start: WebSite, names: NameServer, status: int) -> None:
    forms = [*[*LITERALS.values()][:3], *OTHERS.values()]
    goals = [f"http://private.test:{canary.port}/", "http:\\\\" + canary.at, *[form(canary) for form in forms]]
    start.pages["/"] = lambda asked: Served(status=status, headers={"Location": goals[int(asked.url.partition("?")[2])]})
    usable = [number for number, goal in enumerate(goals) if goal.isascii() and goal.isprintable()]
    async with open_web(tmp_path, resolver=names.resolver, allow=["start.test"]) as web:
        for number in usable[:: 1 if status == 302 else 12]:
            message = await web.fetch(f"http://start.test:{start.port}/?{number}")
            assert not message.ok, goals[number]
    assert canary.asked == []


async def test_a_redirect_reaches_no_other_host_of_the_own_network_though_it_is_named(
    tmp_path: Path, canary: WebSite, start: WebSite, names: NameServer
) -> None:
    start.pages["/"] = Served(status=302, headers={"Location": f"http://{canary.at}/"})
    async with open_web(tmp_path, resolver=names.resolver, allow=["start.test", canary.at]) as web:
        message = await web.fetch(f"http://start.test:{start.port}/")
        assert f"reached only where it is asked for; if it must be, fetch http://{canary.at}/ itself" in message.text
        assert canary.asked == []
        assert (await web.fetch(f"http://{canary.at}/")).ok


async def test_a_refresh_in_the_page_is_not_followed(tmp_path: Path, canary: WebSite, start: WebSite, names: NameServer) -> None:
    start.pages["/"] = Served(f'<meta http-equiv="refresh" content="0;url=http://{canary.at}/"><p>Go on'.encode())
    async with open_web(tmp_path, resolver=names.resolver, allow=["start.test"]) as web:
        message = await web.fetch(f"http://start.test:{start.port}/")
    assert (message.ok, canary.asked) == (True, [])
    assert "Go on" in message.text


async def test_the_address_that_was_checked_is_the_one_that_is_asked(
    tmp_path: Path, canary: WebSite, start: WebSite, names: NameServer
) -> None:
    """The name server would send a second look-up elsewhere."""
    start.pages["/"] = Served(b"<p>the first</p>")
    async with open_web(tmp_path, resolver=names.resolver, allow=["flip.test"]) as web:
        message = await web.fetch(f"http://flip.test:{start.port}/")
    assert (message.ok, canary.asked, names.asked) == (True, [], ["flip.test"])
    assert start.asked[0].headers["host"] == f"flip.test:{start.port}"


@pytest.mark.parametrize("allowed", ["as it is", "with its port", "by name", "by name and port"])
async def test_a_named_host_is_reached(tmp_path: Path, canary: WebSite, names: NameServer, allowed: str) -> None:
    name = {
        "as it is": canary.host,
        "with its port": canary.at,
        "by name": "Private.test",
        "by name and port": f"private.test:{canary.port}",
    }
    host = canary.host if allowed in ("as it is", "with its port") else "private.test"
    async with open_web(tmp_path, resolver=names.resolver, allow=[name[allowed]]) as web:
        message = await web.fetch(f"http://{host}:{canary.port}/")
        other = await web.fetch(f"http://{'private.test' if host == canary.host else canary.host}:{canary.port}/")
    assert (message.ok, message.provenance, canary.paths, other.ok) == (True, "web", ["/"], False)
    assert "private" in message.text


async def test_a_named_host_is_named_for_its_ports_alone(tmp_path: Path, canary: WebSite, names: NameServer) -> None:
    async with open_web(tmp_path, resolver=names.resolver, allow=["private.test:81"]) as web:
        assert not (await web.fetch(f"http://private.test:{canary.port}/")).ok
        assert "port 82" in (await web.fetch("http://93.184.215.14:82/")).text
    assert canary.asked == []


async def test_the_environments_proxies_are_not_asked_unless_the_configuration_says_so(
    tmp_path: Path, start: WebSite, names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    start.pages["/"] = Served(b"<p>here</p>")
    async with WebSite(ports=0) as far, ProxyServer(to=far.port) as proxy:
        far.pages["/"] = Served(b"<p>far away</p>")
        for name in ("http_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.http)
        async with open_web(tmp_path / "1", resolver=names.resolver, allow=["start.test"]) as web:
            assert (await web.fetch(f"http://start.test:{start.port}/")).ok
        assert proxy.asked == []
        for setting in ("environment", proxy.http):
            async with open_web(tmp_path / setting[:4], resolver=names.resolver, proxy=setting) as web:
                assert "far away" in (await web.fetch("http://nowhere.test/")).text, "the proxy looks it up"
                assert "private network" in (await web.fetch("http://private.test/")).text
                assert "private network" in (await web.fetch("http://10.0.0.1/")).text
        assert proxy.asked == ["GET http://nowhere.test/"] * 2


async def test_credentials_and_secrets_stay_with_their_origin(tmp_path: Path, start: WebSite, names: NameServer) -> None:
    one, other = [f"http://start.test:{port}" for port in start.ports]
    start.pages |= {
        "/same": Served(status=302, headers={"Location": "/end"}),
        "/other": Served(status=302, headers={"Location": f"{other}/back", "Set-Cookie": "a=b"}),
        "/back": Served(status=302, headers={"Location": f"{one}/end"}),
        "/end": lambda asked: Served(f"You sent {asked.headers.get('authorization')}".encode(), "text/plain"),
    }
    secrets = {"api": {"value": "s3cret-of-the-house", "hosts": [f"start.test:{start.ports[0]}"]}}
    sent = {"authorization": "Bearer {{secret:api}}", "accept-language": "de"}
    async with open_web(tmp_path, resolver=names.resolver, secrets=secrets, allow=["start.test"]) as web:
        same = await web.fetch(f"{one}/same", headers=sent)
        away = await web.fetch(f"{one}/other", headers=sent)
        refused = await web.fetch(f"{other}/end", headers=sent)
        unknown = await web.fetch(f"{one}/end", headers={"X-Api-Key": "{{secret:none}}"})
        in_url = await web.fetch(f"{one}/end?{{{{secret:api}}}}")
    got = [(each.url, each.headers.get("authorization"), each.headers["accept-language"]) for each in start.asked]
    full = "Bearer s3cret-of-the-house"
    assert got == [("/same", full, "de"), ("/end", full, "de"), ("/other", full, "de"), ("/back", None, "de"), ("/end", None, "de")]
    assert all("cookie" not in each.headers for each in start.asked)
    assert "You sent Bearer {{secret:api}}" in same.text
    assert "You sent None" in away.text
    assert "is not for start.test" in refused.text
    assert "no secret 'none'" in unknown.text
    assert "in headers only" in in_url.text


async def test_a_secret_is_not_sent_in_the_clear(tmp_path: Path) -> None:
    secrets = {"api": {"value": "s3cret", "hosts": ["93.184.215.14"]}}
    async with open_web(tmp_path, secrets=secrets, proxy="http://127.0.0.1:9") as web:
        message = await web.fetch("http://93.184.215.14/", headers={"X-Api-Key": "{{secret:api}}"})
    assert "https only" in message.text


@pytest.mark.parametrize("headers", [{"Host": "a"}, {"Cookie": "a=b"}, {"Accept": "a\r\nHost: b"}, {"X-Forwarded-For": "127.0.0.1"}])
async def test_other_headers_are_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    async with open_web(tmp_path) as web:
        message = await web.fetch("http://93.184.215.14/", headers=headers)
    assert "arguments are not valid" in message.text


async def test_https_is_by_name_and_does_not_end_in_http(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "safe.test")
    async with WebSite(tls=server) as site, NameServer({"safe.test": [[site.host]], "wrong.test": [[site.host]]}) as names:
        site.pages |= {
            "/": Served(b"<p>safe</p>"),
            "/down": Served(status=302, headers={"Location": f"http://safe.test:{site.port}/"}),
        }
        async with open_web(tmp_path, resolver=names.resolver, tls=client, allow=["safe.test", "wrong.test"]) as web:
            assert "safe" in (await web.fetch(f"https://safe.test:{site.port}/")).text
            assert "from https to http" in (await web.fetch(f"https://safe.test:{site.port}/down")).text
            assert "certificate can't be trusted" in (await web.fetch(f"https://wrong.test:{site.port}/")).text
            assert not (await web.fetch(f"http://safe.test:{site.port}/")).ok
    assert site.paths == ["/", "/down"]
