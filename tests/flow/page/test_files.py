"""The files of the page as the server sends them: compressed, known again, guarded by their headers, and all the page's own."""

import gzip
import re
from collections.abc import AsyncGenerator
from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import SecretStr

from assistant.api.page import FOLDER
from assistant.api.settings import ApiSettings
from tests.flow.api_rig import Running, serving

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SCRIPTS = sorted(path for path in FOLDER.rglob("*.js") if path.parent.name != "vendor")
TEXT = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)*)"')


@pytest.fixture
async def locked(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path, ApiSettings(api_key=SecretStr("s3cret"))) as running:
        yield running


async def test_a_browser_gets_the_page_and_a_program_a_line(locked: Running) -> None:
    page = await locked.client.get("/", headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.text.startswith("<!doctype html>")
    assert (await locked.client.get("/")).text.startswith("nanobot is running.")


async def test_nothing_from_elsewhere_runs_and_no_other_page_holds_it(locked: Running) -> None:
    for path in ("/", "/web/app.js", "/sw.js"):
        headers = (await locked.client.get(path, headers=BROWSER)).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert (policy["default-src"], policy["script-src"], policy["frame-ancestors"]) == ("'none'", "'self'", "'none'")
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")


async def test_what_the_page_loads_is_there_with_its_type_and_known_again(locked: Running) -> None:
    named = set(re.findall(r'(?:href|src)="([^"]+)"', (FOLDER / "index.html").read_text(encoding="utf-8")))
    assert {"web/app.js", "web/style.css", "manifest.webmanifest"} <= named
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json"}
    for path in sorted(named):
        answer = await locked.client.get(f"/{path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(types[Path(path).suffix])
        again = await locked.client.get(f"/{path}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["web/", "web/nothing.js", "web/../api/page.py", "web/%2e%2e/api/page.py", "web/..%2fapi/page.py", "web/__init__.py", "web/vendor",
     "web//etc/passwd", "web/vendor/README.md", "web/%00.js", "web/" + "a" * 5000 + ".js", "web/\u202e.js", "nothing.webmanifest"],
)  # fmt: skip
async def test_no_other_file_is_served(locked: Running, path: str) -> None:
    answer = await locked.client.get(f"/{path}")
    assert answer.status_code in (400, 401, 404, 414, 431)
    assert b"import" not in answer.content


async def test_it_goes_compressed_where_the_client_reads_that(locked: Running) -> None:
    plain = await locked.client.get("/web/app.js", headers={"accept-encoding": "identity"})
    packed = await locked.client.get("/web/app.js", headers={"accept-encoding": "gzip"})
    assert plain.content == packed.content == (FOLDER / "app.js").read_bytes()
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content)


def test_all_that_the_page_first_loads_is_small() -> None:
    """The chat, and what it imports; plots and other views are loaded when they are opened."""
    waiting, loaded = [FOLDER / "app.js"], {FOLDER / "index.html", FOLDER / "style.css"}
    while waiting:
        path = waiting.pop()
        if path not in loaded:
            loaded.add(path)
            found: list[str] = re.findall(r'^(?:import|export)[^;]*?from ?"(\.[^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
            waiting += [(path.parent / name).resolve() for name in found]
    assert {path.name for path in loaded} >= {"chat.js", "preact.js", "marked.js", "purify.js"}
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in loaded) <= 80 * 1024


def test_each_text_has_its_german() -> None:
    used = {found for path in SCRIPTS for found in TEXT.findall(path.read_text(encoding="utf-8"))}
    german = (FOLDER / "words" / "de.js").read_text(encoding="utf-8")
    known = set(re.findall(r'^  (?:"((?:[^"\\]|\\.)*)"|(\w+)):', german, re.MULTILINE))
    translated = {quoted or word for quoted, word in known}
    assert used - translated == set()
    assert translated - used == set()


def test_libraries_are_those_that_were_taken_in() -> None:
    vendor = FOLDER / "vendor"
    written = dict(re.findall(r"^\| (\S+) \|.*`([0-9a-f]{64})` \|$", (vendor / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert written == {path.name: sha256(path.read_bytes()).hexdigest() for path in vendor.iterdir() if path.suffix in {".js", ".css"}}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_makes_html_of_text(path: Path) -> None:
    """Only what `rendered` has cleaned is set as HTML."""
    source = path.read_text(encoding="utf-8")
    assert not re.search(r"\.(?:inner|outer)HTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function", source)
    set_as_html = re.findall(r"dangerouslySetInnerHTML=\$\{([^}]*)\}", source)
    assert all(given in ("of", "rendered(rest)") for given in set_as_html)
