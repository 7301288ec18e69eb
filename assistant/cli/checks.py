"""What `nanobot doctor` looks at, one function each."""

import asyncio
import errno
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from assistant.access.settings import AuthSettings
from assistant.api.server.bind import CannotServe, bind, check_exposure
from assistant.api.settings import ApiSettings
from assistant.cli.channels import asked_within, opened
from assistant.config import ConfigError, Loaded
from assistant.config.folders import make_home
from assistant.contracts.channels import ChannelFailed
from assistant.contracts.documents import ReadDocument
from assistant.contracts.errors import NanobotError, ProviderFailed
from assistant.contracts.messages import human_size
from assistant.contracts.turns import Upload
from assistant.documents.reader import ChildReader
from assistant.providers.choice import OFFLINE, ChosenModel, NoSuchProvider, choose
from assistant.providers.gguf.file import INSTALL, NoModelFile, NotGguf, find_gguf, is_installed, read_header
from assistant.providers.presets import PRESETS
from assistant.providers.registry import open_provider
from assistant.store.store import open_store

_PATIENCE = 20.0
"""Seconds for the model's provider to answer."""
_LEAST_FREE = 500_000_000
_ANY_KEY = "export OPENAI_API_KEY=<your key> (or another provider's), or start a model server such as Ollama on this machine"
_SAMPLE = b"The quick brown fox jumps over the lazy dog.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check saw."""

    name: str
    ok: bool
    detail: str
    mend: str = ""
    """The line that mends what is wrong: a command, or what to change."""


def configuration(loaded: Loaded) -> Finding:
    """Right, or the command would not have come this far; says which file it is."""
    where = str(loaded.source or "the built-in defaults")
    without_effect = f"; {len(loaded.notices)} keys without effect (nanobot config check names them)" if loaded.notices else ""
    return Finding(name="configuration", ok=True, detail=where + without_effect)


def disk(home: Path) -> Finding:
    """Whether there is room where the state is."""
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    return Finding(
        name="disk",
        ok=free >= _LEAST_FREE,
        detail=f"{free / 1e9:.1f} GB free for {home}",
        mend=f"free at least {_LEAST_FREE / 1e9:g} GB there, or name a folder on another disk: export NANOBOT_HOME=/path/to/folder",
    )


def workspace(folder: Path) -> Finding:
    """Whether the assistant's folder can be used; one that is not there is made at the first start."""
    there = next(found for found in (folder, *folder.parents) if found.exists())
    elsewhere = "name another folder: agents.defaults.workspace, or nanobot serve --workspace /path/to/folder"
    if not there.is_dir():
        return Finding(name="workspace", ok=False, detail=f"{there} is not a folder", mend=elsewhere)
    if there != folder and not os.access(there, os.W_OK | os.X_OK):
        return Finding(name="workspace", ok=False, detail=f"{folder} can't be made: {there} is not writable", mend=elsewhere)
    detail = str(folder) if there == folder else f"{folder}, made at the first start"
    return Finding(name="workspace", ok=True, detail=detail)


async def store(loaded: Loaded) -> Finding:
    """Whether sessions can be written now."""
    where = "PostgreSQL" if (loaded.config.store.url or "").startswith("postgresql") else f"SQLite in {loaded.home}"
    try:
        make_home(loaded.home)
    except ConfigError as error:
        return Finding(name="store", ok=False, detail=str(error), mend="export NANOBOT_HOME=/path/to/a/folder/that/is/yours")
    try:
        opened = await open_store(loaded.config.store, loaded.home, loaded.config.attachments)
        try:
            await opened.sessions.check()
        finally:
            await opened.close()
    except NanobotError as error:
        mend = "check store.url, or remove it to use SQLite" if loaded.config.store.url else f"make {loaded.home} writable for this user"
        return Finding(name="store", ok=False, detail=f"{where}: {error.message}", mend=mend)
    return Finding(name="store", ok=True, detail=f"{where}, written and read")


async def documents(loaded: Loaded) -> Finding:
    """Whether a file can be read in a child process with its limits."""
    settings = loaded.config.documents
    with TemporaryDirectory(prefix="nanobot-doctor-") as folder:
        sample = Path(folder) / "sample.txt"
        sample.write_bytes(_SAMPLE)
        upload = Upload(name=sample.name, path=sample, size=len(_SAMPLE), digest=sha256(_SAMPLE).hexdigest())
        try:
            read = await ChildReader(settings).read(upload)
        except NanobotError as error:
            return Finding(
                name="documents",
                ok=False,
                detail=error.message,
                mend="the process that reads files could not do its work: raise documents.memoryMib and documents.wallSeconds",
            )
    ok = isinstance(read, ReadDocument) and read.text.strip() == _SAMPLE.decode().strip()
    limits = f"{settings.memory_mib} MiB, {settings.wall_seconds:g} s"
    return Finding(name="documents", ok=ok, detail=f"read in a process of their own, within {limits}", mend="reinstall nanobot")


def address(settings: ApiSettings, auth: AuthSettings) -> Finding:
    """Whether the server could listen where it is told to."""
    where = f"{settings.host}:{settings.port}"
    try:
        check_exposure(settings, auth)
    except CannotServe as error:
        return Finding(name="address", ok=False, detail=str(error), mend="export NANOBOT_API__API_KEY=$(openssl rand -hex 32)")
    try:
        for bound in bind(settings):
            bound.close()
    except CannotServe as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE:
            return Finding(
                name="address", ok=True, detail=f"{where} is in use; if not by nanobot: nanobot serve --port {settings.port + 1}"
            )
        return Finding(name="address", ok=False, detail=str(error), mend="nanobot serve --host 127.0.0.1 --port 8900")
    return Finding(name="address", ok=True, detail=f"{where} is free")


async def model(loaded: Loaded, environment: Mapping[str, str]) -> Finding:
    """Which model answers and why, and whether its provider is there and takes the key. Costs no tokens."""
    agent = loaded.config.agent
    try:
        choice = await choose(model=agent.model, provider=agent.provider, providers=loaded.config.providers, environment=environment)
    except NoSuchProvider as error:
        return Finding(name="model", ok=False, detail=str(error), mend="correct that; nanobot config show prints what holds now")
    if choice.provider == OFFLINE:
        wanted = agent.model == OFFLINE or agent.provider == OFFLINE
        return Finding(name="model", ok=wanted, detail=str(choice), mend=choice.remedy or _ANY_KEY)
    provider = open_provider(choice)
    try:
        async with asyncio.timeout(_PATIENCE):
            await provider.probe()
    except NanobotError as error:
        refused = isinstance(error, ProviderFailed) and not error.retryable
        mend = _mend_key(choice) if refused else _mend_connection(choice)
        return Finding(name="model", ok=False, detail=f"{choice}: {error.message}", mend=mend)
    except TimeoutError:
        return Finding(name="model", ok=False, detail=f"{choice}: no answer within {_PATIENCE:g} s", mend=_mend_connection(choice))
    finally:
        await provider.close()
    return Finding(name="model", ok=True, detail=f"{choice}; its provider answers")


def files(loaded: Loaded) -> list[Finding]:
    """Each model that is a file: whether the file is there, and what runs it is installed. Loads neither."""
    paths = {name: settings.path for name, settings in loaded.config.models.items() if settings.path}
    return [_file(f"models.{name}", path, loaded.folder) for name, path in paths.items()]


def _file(name: str, path: str, folder: Path) -> Finding:
    try:
        found = find_gguf(path, folder)
        read_header(found)
    except (NoModelFile, NotGguf, OSError) as error:
        words = f"{path} (from {folder})" if not path.startswith(("/", "~")) else path
        return Finding(name=name, ok=False, detail=f"{words}: the model {error}", mend=f"correct {name}.path, or put the file there")
    if not is_installed():
        return Finding(name=name, ok=False, detail=f"{found}: what runs such files is not installed", mend=INSTALL)
    return Finding(name=name, ok=True, detail=f"{found}, {human_size(found.stat().st_size)}; loaded when it is first asked")


async def channels(loaded: Loaded) -> list[Finding]:
    """Each channel that is enabled: whether its settings are enough, and its platform takes the credentials."""
    findings: list[Finding] = []
    for name in loaded.config.enabled_channels:
        try:
            async with opened(loaded, name) as channel:
                detail = await asked_within(channel.identity())
        except (ChannelFailed, NanobotError) as error:
            findings.append(Finding(name=name, ok=False, detail=str(error), mend=_mend_channel(name, error)))
        else:
            findings.append(Finding(name=name, ok=True, detail=detail))
    return findings


def _mend_channel(name: str, error: ChannelFailed | NanobotError) -> str:
    """What was refused has to be corrected; what was not reached is not the configuration's fault."""
    again = f"nanobot channels login {name} asks again"
    if isinstance(error, ChannelFailed) and not error.fatal:
        return f"check this machine's connection to it, proxies included (a server that runs tries again by itself); {again}"
    return f"correct channels.{name} in the configuration (docs/channels.md); {again}"


def _mend_key(choice: ChosenModel) -> str:
    """For a provider that was reached and refused."""
    preset = PRESETS.get(choice.provider)
    if preset is not None and preset.key_variable and choice.settings.api_key is None:
        return f"export {preset.key_variable}=<a key that is valid>"
    return f"correct providers.{choice.provider}.apiKey (and is providers.{choice.provider}.apiBase right?)"


def _mend_connection(choice: ChosenModel) -> str:
    """For a provider that was not reached, or failed: its key is not to blame."""
    preset = PRESETS.get(choice.provider)
    if preset is not None and preset.port is not None:
        return f"start {choice.provider}, or say where it is: providers.{choice.provider}.apiBase"
    if choice.settings.api_base:
        variable = f" ({preset.base_variable})" if preset is not None and preset.base_variable else ""
        return f"start what should answer at {choice.settings.api_base}, or correct providers.{choice.provider}.apiBase{variable}"
    return f"check this machine's connection to it; behind a proxy, set HTTPS_PROXY or providers.{choice.provider}.proxy"
