"""Skills from elsewhere: a folder, a zip file or a git repository is looked at in a folder of its own, and what was chosen is copied. Nothing of it
is run. Blocks."""

import os
import shutil
import subprocess
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from assistant.contracts.errors import InvalidRequest, NotFound
from assistant.contracts.messages import human_size
from assistant.skills.files import MOST_BYTES, OWN
from assistant.skills.scan import FoundSkill, look_at, skill_folders

_MOST_ENTRIES: Final = 5_000
_MOST_UNPACKED: Final = 5 * MOST_BYTES
_CLONE_SECONDS: Final = 120
_SAFE_GIT: Final = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=false", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never"),
    *("-c", "protocol.https.allow=always", "-c", "protocol.http.allow=always", "-c", "protocol.ssh.allow=always"),
    *("-c", "protocol.file.allow=always", "-c", "submodule.recurse=false"),
)
"""No hook, link, helper program or other transport that a repository or its address could name."""


class NoSuchSource(NotFound):
    """There are no skills there."""


@contextmanager
def opened(source: str, shipped: Path) -> Generator[list[FoundSkill]]:
    """What `source` holds, usable or not: a folder, a zip file, a git URL, or the name of one of our own. They are there until the context ends.

    Raises NoSuchSource, InvalidRequest: it can't be read, or is too large.
    """
    with TemporaryDirectory(prefix="nanobot-skills-") as folder:
        root = Path(source).expanduser()
        if "://" in source or source.startswith("git@"):
            root = _cloned(source, Path(folder) / _name_of(source))
        elif root.is_file():
            root = _unpacked(root, Path(folder) / root.stem)
        elif not root.is_dir() and (shipped / source / "SKILL.md").is_file() and "/" not in source:
            root = shipped / source
        elif not root.is_dir():
            raise NoSuchSource(f"{source} is no folder, zip file or git URL, and none of the skills that come with nanobot.")
        found = [look_at(each, each.relative_to(root).as_posix()) for each in skill_folders(root)]
        if not found:
            raise NoSuchSource(f"{source} holds no SKILL.md.")
        yield found


def install(skill: FoundSkill, workspace: Path, *, replaces: bool) -> FoundSkill:
    """Copy a usable skill into the workspace, under its name; returns it as it lies there. Raises InvalidRequest where it is there already, unless it
    `replaces` it."""
    folder = workspace / OWN / skill.name
    if folder.is_symlink() or (folder.exists() and not replaces):
        raise InvalidRequest(f"There is a skill {skill.name} already ({folder}). --replace puts this one in its place.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".new-", dir=folder.parent) as beside:
        copy = Path(beside) / skill.name
        shutil.copytree(skill.folder, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        if folder.exists():
            folder.rename(Path(beside) / "replaced")
        copy.rename(folder)
    return look_at(folder, f"{OWN}/{skill.name}")


def _name_of(url: str) -> str:
    return PurePosixPath(url.rstrip("/").replace(":", "/")).name.removesuffix(".git") or "repository"


def _cloned(url: str, folder: Path) -> Path:
    git = shutil.which("git")
    if git is None:
        raise InvalidRequest("git is not installed. Download the skill as a zip file, and add that.")
    command = [git, *_SAFE_GIT, "clone", "--quiet", "--depth", "1", "--no-tags", "--template=", "--", url, str(folder)]
    kept = ("PATH", "HOME", "SSH_AUTH_SOCK", "https_proxy", "HTTPS_PROXY", "http_proxy", "no_proxy", "NO_PROXY", "LANG")
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    environment = {name: os.environ[name] for name in kept if name in os.environ} | quiet | {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_CLONE_SECONDS, check=False)  # noqa: S603 - argv
    except subprocess.TimeoutExpired:
        raise InvalidRequest(f"{url} was not cloned within {_CLONE_SECONDS} s.") from None
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["git failed"])[-1]
        raise InvalidRequest(f"{url} can't be cloned: {why[:300]}")
    shutil.rmtree(folder / ".git", ignore_errors=True)
    return folder


def _unpacked(file: Path, folder: Path) -> Path:
    """The files of a zip, counted as they are unpacked; names that lead out of it, links and encrypted ones are refused."""
    left = _MOST_UNPACKED
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) > _MOST_ENTRIES:
                raise InvalidRequest(f"{file} has more than {_MOST_ENTRIES:,} entries.")
            for entry in entries:
                parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
                kind = entry.external_attr >> 28
                if not parts or ".." in parts or parts[0] == "/" or ":" in parts[0] or kind not in (0, 4, 8):
                    raise InvalidRequest(f"{file} holds a name that leads out of it, or a link: {entry.filename[:100]!r}.")
                if entry.is_dir():
                    continue
                target = folder.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as packed, target.open("xb") as unpacked:
                    while data := packed.read(1024 * 1024):
                        left -= len(data)
                        if left < 0:
                            raise InvalidRequest(f"{file} is larger than {human_size(_MOST_UNPACKED)} unpacked.")
                        unpacked.write(data)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise InvalidRequest(f"{file} can't be unpacked ({error}).") from None
    return folder
