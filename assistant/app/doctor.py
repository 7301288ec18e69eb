"""Checks everything, and says how to fix what is wrong: `nanobot doctor`, and the same in a server that runs."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from assistant.access.settings import AuthSettings
from assistant.api.doctor import Finding
from assistant.api.server.bind import CannotServe, bind, check_exposure
from assistant.api.settings import ApiSettings
from assistant.app.doctor_voice import check_ffmpeg, check_speaker, check_transcriber
from assistant.app.opening import PATIENCE, opened_by_name, opened_store, within
from assistant.app.sandbox import GET_SANDBOX, RUNG_WORDS, build_sandbox
from assistant.config import ConfigError, Loaded
from assistant.contracts.channels import ChannelFailed
from assistant.contracts.documents import DocumentReader, ReadDocument
from assistant.contracts.errors import NanobotError, ProviderFailed
from assistant.contracts.messages import human_size
from assistant.contracts.turns import Upload
from assistant.documents import ocr
from assistant.documents.reader import ChildReader
from assistant.providers.choice import OFFLINE, ChosenModel, NoSuchProvider, choose
from assistant.providers.gguf.file import INSTALL, NoModelFile, NotGguf, find_gguf, is_installed, read_header
from assistant.providers.presets import PRESETS
from assistant.providers.registry import open_provider
from assistant.skills.lock import FILE as LOCK
from assistant.skills.lock import LockBroken, SkillLock
from assistant.skills.survey import survey
from assistant.store.store import Store

_LEAST_FREE = 500_000_000
_ANY_KEY = "export OPENAI_API_KEY=<your key> (or another provider's), or start a model server such as Ollama on this machine"
_SAMPLE = b"The quick brown fox jumps over the lazy dog.\n"


OpenStore = Callable[[Loaded], AbstractAsyncContextManager[Store]]


async def findings(loaded: Loaded, served: Store | None = None, reader: DocumentReader | None = None) -> AsyncGenerator[Finding]:
    """One after the other. `served` and `reader`: the store and the reader of the server that runs and is checked; None: no server of this process
    runs."""
    store: OpenStore = opened_store if served is None else lambda _: nullcontext(served)
    without_effect = f"; {len(loaded.notices)} keys without effect (nanobot config check names them)" if loaded.notices else ""
    yield Finding("configuration", f"{loaded.source or 'the built-in defaults'}{without_effect}")
    yield check_disk(loaded.home)
    yield check_workspace(loaded.workspace)
    yield await check_store(loaded, store)
    if (loaded.config.store.url or "").startswith("postgresql"):
        yield await check_files(loaded, store)
    yield await check_documents(loaded, reader or ChildReader(loaded.config.documents))
    yield await check_sandbox(loaded)
    yield await asyncio.to_thread(check_skills, loaded)
    if loaded.config.mcp.servers:
        yield await check_mcp(loaded, store)
    yield check_address(loaded.config.api, loaded.config.auth, served=served is not None)
    for name in loaded.config.enabled_channels:
        yield await check_channel(loaded, store, name)
    async for finding in _voice(loaded):
        yield finding
    yield await check_model(loaded)
    for name, settings in loaded.config.models.items():
        if settings.path:
            yield await asyncio.to_thread(check_file, f"models.{name}", settings.path, loaded.folder)


async def _voice(loaded: Loaded) -> AsyncGenerator[Finding]:
    """Where it is configured."""
    settings = loaded.config.voice
    if settings.transcriber is not None:
        yield Finding(*await check_transcriber(loaded))
    if settings.speaker is not None:
        yield Finding(*await check_speaker(loaded))
    if settings.transcriber is not None or settings.speaker is not None:
        yield Finding(*await check_ffmpeg(loaded))


def check_disk(home: Path) -> Finding:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    fix = f"free at least {_LEAST_FREE / 1e9:g} GB there, or name a folder on another disk: export NANOBOT_HOME=/path/to/folder"
    return Finding("disk", f"{free / 1e9:.1f} GB free for {home}", "" if free >= _LEAST_FREE else fix)


def check_workspace(folder: Path) -> Finding:
    """Whether the assistant's folder can be used; one that is not there is made at the first start."""
    there = next(found for found in (folder, *folder.parents) if found.exists())
    elsewhere = "name another folder: agents.defaults.workspace, or nanobot serve --workspace /path/to/folder"
    if not there.is_dir():
        return Finding("workspace", f"{there} is not a folder", elsewhere)
    if there != folder and not os.access(there, os.W_OK | os.X_OK):
        return Finding("workspace", f"{folder} can't be made: {there} is not writable", elsewhere)
    return Finding("workspace", str(folder) if there == folder else f"{folder}, made at the first start")


async def check_store(loaded: Loaded, opened: OpenStore) -> Finding:
    where = "PostgreSQL" if (loaded.config.store.url or "").startswith("postgresql") else f"SQLite in {loaded.home}"
    try:
        async with opened(loaded) as store:
            await store.sessions.check()
            freeze = await store.freezes.get()
            standby = sorted({each.name for each in await store.channel_states.list() if each.state == "standby"})
    except ConfigError as error:
        return Finding("store", str(error), "export NANOBOT_HOME=/path/to/a/folder/that/is/yours")
    except NanobotError as error:
        fix = "check store.url, or remove it to use SQLite" if loaded.config.store.url else f"make {loaded.home} writable for this user"
        return Finding("store", f"{where}: {error.message}", fix)
    if freeze is not None:
        return Finding("store", f"{where}, {freeze.words}", "nanobot resume")
    held = f"; several servers share it, of which one holds {', '.join(standby)} and others stand by" if standby else ""
    return Finding("store", f"{where}, written and read{held}")


async def check_files(loaded: Loaded, opened: OpenStore) -> Finding:
    """Whether files are kept where every server on the store reads them."""
    folder = loaded.home / "attachments"
    if loaded.config.store.files == "folder":
        return Finding("files", f"in {folder} alone, as store.files says: servers on other machines need the same folder")
    try:
        async with opened(loaded) as store:
            place = await store.places.check() if store.places is not None else ""
    except NanobotError as error:
        fix = "correct store.s3 (endpoint, bucket, region, keyId, secret)" if loaded.config.store.files == "s3" else "check store.url"
        return Finding("files", error.message, f'{fix}, or set store.files to "folder" where one machine serves alone')
    return Finding("files", f"in the {'S3 store' if place == 's3' else place}, written and read; {folder} is this machine's copy")


async def check_documents(loaded: Loaded, reader: DocumentReader) -> Finding:
    """Whether a file can be read in a child process with its limits."""
    settings = loaded.config.documents
    with TemporaryDirectory(prefix="nanobot-doctor-") as folder:
        sample = Path(folder) / "sample.txt"
        sample.write_bytes(_SAMPLE)
        upload = Upload(name=sample.name, path=sample, size=len(_SAMPLE), digest=sha256(_SAMPLE).hexdigest())
        try:
            read = await reader.read(upload)
        except NanobotError as error:
            fix = "the process that reads files failed: raise documents.memoryMib and documents.wallSeconds"
            return Finding("documents", error.message, fix)
    right = isinstance(read, ReadDocument) and read.text.strip() == _SAMPLE.decode().strip()
    limits = f"{settings.memory_mib} MiB, {settings.wall_seconds:g} s"
    return Finding("documents", f"read in a process of their own, within {limits}", "" if right else "reinstall nanobot")


async def check_sandbox(loaded: Loaded) -> Finding:
    """How commands are kept from everything else on this machine; without that, none is run."""
    sandbox = build_sandbox(loaded)
    try:
        rung, why_not = await sandbox.rung(), await sandbox.why_not()
    except OSError as error:
        return Finding(
            "sandbox", f"{loaded.home} can't be written ({error.strerror})", "export NANOBOT_HOME=/path/to/a/folder/that/is/yours"
        )
    if loaded.config.sandbox.rung == "none":
        return Finding("sandbox", "none, as sandbox.rung says: the assistant can run no commands")
    if rung == "none":
        return Finding("sandbox", f"none, so the assistant can run no commands: {why_not}", GET_SANDBOX)
    return Finding("sandbox", f"{RUNG_WORDS[rung]}{f' (stronger ones: {why_not})' if why_not else ''}")


def check_skills(loaded: Loaded) -> Finding:
    """How many are on; one that is off is not wrong: its owner may not want it."""
    try:
        states = [each.state for each in survey(loaded.workspace, SkillLock(loaded.home))]
    except LockBroken as error:
        return Finding("skills", error.message, f"rm {loaded.home / LOCK}; nanobot skills check")
    off = len(states) - states.count("on")
    return Finding("skills", f"{states.count('on') or 'none'} on" + (f", {off} off (nanobot skills check names them)" if off else ""))


async def check_mcp(loaded: Loaded, opened: OpenStore) -> Finding:
    """What is known of the servers; none is connected."""
    servers = {name: server for name, server in loaded.config.mcp.servers.items() if server.enabled}
    try:
        async with opened(loaded) as store:
            known = {each.name: each for each in await store.mcp.all()}
    except NanobotError as error:
        return Finding("MCP servers", error.message)  # the store is what is wrong, and said so
    seen = {name: known[name] for name, server in servers.items() if name in known and known[name].origin == server.origin}
    unseen, changed = [name for name in servers if name not in seen], [name for name, server in seen.items() if server.off]
    detail = f"{len(seen)} of {len(servers)} were connected before"
    detail += f"; nanobot mcp test NAME connects {', '.join(unseen)}" if unseen else ""
    detail += f"; tools are off, until nanobot mcp approve NAME, of {', '.join(changed)}" if changed else ""
    return Finding("MCP servers", detail)


def check_address(settings: ApiSettings, auth: AuthSettings, *, served: bool) -> Finding:
    where = f"{settings.host}:{settings.port}"
    try:
        check_exposure(settings, auth)
    except CannotServe as error:
        return Finding("address", str(error), "export NANOBOT_API__API_KEY=$(openssl rand -hex 32)")
    if served:
        return Finding("address", f"{where}; this server answers there")
    try:
        for bound in bind(settings):
            bound.close()
    except CannotServe as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE:
            return Finding("address", f"{where} is in use; if not by nanobot: nanobot serve --port {settings.port + 1}")
        return Finding("address", str(error), "nanobot serve --host 127.0.0.1 --port 8900")
    return Finding("address", f"{where} is free")


async def check_model(loaded: Loaded) -> Finding:
    """Which model is chosen and why, and whether its provider answers and accepts the key. Costs no tokens."""
    agent = loaded.config.agent
    try:
        choice = await choose(model=agent.model, provider=agent.provider, providers=loaded.config.providers, environment=os.environ)
    except NoSuchProvider as error:
        return Finding("model", str(error), "correct that; nanobot config show prints what holds now")
    if choice.provider == OFFLINE:
        wanted = agent.model == OFFLINE or agent.provider == OFFLINE
        return Finding("model", str(choice), "" if wanted else choice.remedy or _ANY_KEY)
    provider = open_provider(choice)
    try:
        async with asyncio.timeout(PATIENCE):
            await provider.probe()
    except NanobotError as error:
        refused = isinstance(error, ProviderFailed) and not error.retryable
        return Finding("model", f"{choice}: {error.message}", _fix_key(choice) if refused else _fix_connection(choice))
    except TimeoutError:
        return Finding("model", f"{choice}: no answer within {PATIENCE:g} s", _fix_connection(choice))
    finally:
        await provider.close()
    blind = "it takes no pictures; " + ("their words are read by OCR" if ocr.is_installed() else f"for their words: {ocr.INSTALL}")
    return Finding("model", f"{choice}; its provider answers" + ("" if provider.info.vision else f"; {blind}"))


def check_file(name: str, path: str, folder: Path) -> Finding:
    """Whether a model's file is there, and what runs it is installed. Loads neither."""
    try:
        found = find_gguf(path, folder)
        read_header(found)
    except (NoModelFile, NotGguf, OSError) as error:
        words = f"{path} (from {folder})" if not path.startswith(("/", "~")) else path
        return Finding(name, f"{words}: the model {error}", f"correct {name}.path, or put the file there")
    if not is_installed():
        return Finding(name, f"{found}: what runs such files is not installed", INSTALL)
    return Finding(name, f"{found}, {human_size(found.stat().st_size)}; loaded at its first request")


async def check_channel(loaded: Loaded, opened: OpenStore, name: str) -> Finding:
    """Whether an enabled channel's settings are complete, and its platform accepts the credentials."""
    try:
        async with opened(loaded) as store, opened_by_name(loaded, store, name) as channel:
            return Finding(name, await within(channel.identity()))
    except (ChannelFailed, NanobotError) as error:
        fix = f"correct channels.{name} in the configuration (docs/channels.md)"
        if isinstance(error, ChannelFailed) and not error.fatal:
            fix = "check this machine's connection to it, proxies included (a server that runs tries again by itself)"
        return Finding(name, str(error), f"{fix}; nanobot channels login {name} asks again")


def _fix_key(choice: ChosenModel) -> str:
    """For a provider that was reached and refused."""
    preset = PRESETS.get(choice.provider)
    if preset is not None and preset.key_variable and choice.settings.api_key is None:
        return f"export {preset.key_variable}=<a key that is valid>"
    return f"correct providers.{choice.provider}.apiKey (and is providers.{choice.provider}.apiBase right?)"


def _fix_connection(choice: ChosenModel) -> str:
    """For a provider that was not reached, or failed: its key is not to blame."""
    preset = PRESETS.get(choice.provider)
    if preset is not None and preset.port is not None:
        return f"start {choice.provider}, or say where it is: providers.{choice.provider}.apiBase"
    if choice.settings.api_base:
        variable = f" ({preset.base_variable})" if preset is not None and preset.base_variable else ""
        return f"start what should answer at {choice.settings.api_base}, or correct providers.{choice.provider}.apiBase{variable}"
    return f"check this machine's connection to it; behind a proxy, set HTTPS_PROXY or providers.{choice.provider}.proxy"
