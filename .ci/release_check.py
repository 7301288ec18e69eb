"""Check that this commit can be released: versions agree, and the wheel serves from a bare virtual environment.

Run by `make release-check`; docs/releasing.md says when. Leaves the wheel and the sdist in dist/.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
PACKAGES = {"assistant", "channels", "tools"}
IN_WHEEL = (
    "assistant/cli/",
    "assistant/config.json",
    "assistant/workspace/",
    "channels/catalog.py",
    "tools/message.py",
    "assistant/store/migrations/",
)
IN_SDIST = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "config.json", "workspace/", "tests/", "requirements/serve.txt")
NOT_IN_WHEEL = re.compile(r"(^|/)(tests|doubles|__pycache__|node_modules)/|\.pyc$|(^|/)\.env")
START_SECONDS = 30
STOP_SECONDS = 30


class NotReleasable(Exception):
    """What is wrong, and what to do."""


def main() -> None:
    started = time.monotonic()
    try:
        version = check_versions()
        check_tree()
        wheel, sdist = build(version)
        check_wheel(wheel, version)
        check_sdist(sdist)
        check_install(wheel, version)
    except NotReleasable as wrong:
        sys.exit(f"release-check: {wrong}")
    print(f"OK: nanobot {version} can be released ({time.monotonic() - started:.0f} s): {wheel.name}, {sdist.name}")


def check_versions() -> str:
    """The version in the code, the newest release in CHANGELOG.md and the tag of this commit are one."""
    code = (ROOT / "assistant" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(\d+\.\d+\.\d+)"$', code, re.MULTILINE)
    if found is None:
        raise NotReleasable('assistant/__init__.py has no line __version__ = "X.Y.Z".')
    version = found[1]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(r"^## \[(\d[^\]]*)\] - \d{4}-\d{2}-\d{2}$", changes, re.MULTILINE)
    if heading is None:
        raise NotReleasable("CHANGELOG.md has no heading ## [X.Y.Z] - YYYY-MM-DD.")
    if heading[1] != version:
        raise NotReleasable(f"assistant/__init__.py says {version}, the newest release in CHANGELOG.md is {heading[1]}.")
    here = run("git", "tag", "--points-at", "HEAD", "--list", "v[0-9]*").split()
    if here and here != [f"v{version}"]:
        raise NotReleasable(f"This commit is tagged {', '.join(here)}, the version is {version}.")
    if not here and run("git", "tag", "--list", f"v{version}"):
        raise NotReleasable(f"v{version} is already the tag of another commit: raise the version.")
    say(f"version {version}: code and changelog agree, " + ("and so does the tag" if here else "no tag yet"))
    return version


def check_tree() -> None:
    if dirty := run("git", "status", "--porcelain"):
        raise NotReleasable(f"The working tree is not clean: commit or remove\n{dirty}")
    say("the working tree is clean")


def build(version: str) -> tuple[Path, Path]:
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "hatchling", "build", "--directory", str(DIST))
    wheel, sdist = DIST / f"nanobot-{version}-py3-none-any.whl", DIST / f"nanobot-{version}.tar.gz"
    for file in (wheel, sdist):
        if not file.is_file():
            raise NotReleasable(f"The build did not write {file.name}; dist/ has {sorted(path.name for path in DIST.iterdir())}.")
    say(f"built {wheel.name} ({wheel.stat().st_size >> 10} KiB) and {sdist.name} ({sdist.stat().st_size >> 10} KiB)")
    return wheel, sdist


def check_wheel(wheel: Path, version: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    if tops != PACKAGES | {f"nanobot-{version}.dist-info"}:
        raise NotReleasable(f"The wheel's top level is {sorted(tops)}.")
    require(names, IN_WHEEL, "wheel")
    if odd := [name for name in names if NOT_IN_WHEEL.search(name)]:
        raise NotReleasable(f"The wheel holds what does not belong there: {', '.join(odd[:5])}.")
    say(f"the wheel holds {len(names)} files of {', '.join(sorted(PACKAGES))}, no tests")


def check_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    require(names, IN_SDIST, "sdist")
    say(f"the sdist holds {len(names)} files")


def check_install(wheel: Path, version: str) -> None:
    """The wheel, with the pinned dependencies and nothing else, serves and answers."""
    with tempfile.TemporaryDirectory(prefix="nanobot-release-") as name:
        folder = Path(name)
        install = environment(folder / "venv")
        run(*install, "--require-hashes", "--no-deps", "-r", str(ROOT / "requirements" / "serve.txt"))
        run(*install, "--no-index", "--no-deps", str(wheel))
        nanobot = folder / "venv" / "bin" / "nanobot"
        if version not in (said := run(str(nanobot), "--version", cwd=folder)):
            raise NotReleasable(f"The installed program calls itself {said!r}.")
        say("installed the wheel into a bare virtual environment")
        with serving(nanobot, folder) as url:
            health = ask(f"{url}/health")
            if health.get("status") != "ok":
                raise NotReleasable(f"/health answered {health}.")
            answer = ask(f"{url}/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]})
            if not answer["choices"][0]["message"]["content"]:
                raise NotReleasable(f"The chat completion is empty: {answer}.")
        say("it serves /health and a chat completion, and stops when asked")


def environment(venv: Path) -> tuple[str, ...]:
    """Makes a virtual environment with nothing in it, and gives the command that installs into it: uv's where there is uv, else pip's."""
    if uv := shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))):
        run(sys.executable, "-m", "venv", "--without-pip", str(venv))
        return (uv, "pip", "install", "--python", str(venv / "bin" / "python"))
    run(sys.executable, "-m", "venv", str(venv))
    return (str(venv / "bin" / "pip"), "install")


@contextmanager
def serving(nanobot: Path, folder: Path) -> Generator[str]:
    """`nanobot serve` on a free port, without a model; yields its URL. Its end must be a clean one."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "NANOBOT_HOME": str(folder / "home"),
        "NANOBOT_AGENTS__DEFAULTS__PROVIDER": "offline",
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([str(nanobot), "serve", "--port", "0"], cwd=folder, env=variables, stdout=output, stderr=output)
    try:
        yield wait_for_url(process, log)
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise NotReleasable(f"The server did not stop within {STOP_SECONDS} s.\n{log.read_text()}") from None
    except OSError as failed:
        raise NotReleasable(f"{failed}\n{log.read_text()}") from failed
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if code != 0:
        raise NotReleasable(f"The server ended with {code}.\n{log.read_text()}")


def wait_for_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"^nanobot serves (http://127\.0\.0\.1:\d+)/", log.read_text(), re.MULTILINE):
            return found[1]
        time.sleep(0.05)
    ended = "did not start in time" if process.poll() is None else f"ended with {process.returncode} at its start"
    raise NotReleasable(f"The server {ended}.\n{log.read_text()}")


def ask(url: str, body: dict[str, object] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return json.load(answer)


def require(names: list[str], wanted: tuple[str, ...], where: str) -> None:
    if missing := [want for want in wanted if not any(name.startswith(want) for name in names)]:
        raise NotReleasable(f"The {where} lacks {', '.join(missing)}.")


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReleasable(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def say(what: str) -> None:
    print(f"- {what}", flush=True)


if __name__ == "__main__":
    main()
