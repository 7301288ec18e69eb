"""Keys that are not settings here: nanobot's others, retired ones, and those that other products (Moltbot, Server Node) keep in another place.

A key that this project learns to obey moves from here into a settings model; a test checks that no key is in both.
"""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final, cast

from pydantic.alias_generators import to_camel

from assistant.config.errors import ConfigError, ConfigProblem
from assistant.contracts.messages import Json
from channels import catalog as channel_catalog

KeyPath = tuple[str, ...]
"""The path of a key, in camelCase: ("agents", "defaults", "maxTokens"). "*": any name."""

_KEYS: Final = {
    "agents.defaults": (
        "contextBlockLimit maxConcurrentSubagents failOnToolError maxToolResultChars providerRetryMode toolHintMaxLength "
        "timezoneMode botName botIcon unifiedSession disabledSkills idleCompactAfterMinutes idleCompactCheckIntervalSeconds sessionTtlMinutes "
        "consolidationRatio dream memoryWindow maxMessages"
    ),
    "providers.*": "thinkingStyle region profile",
    "channels": "sendProgress sendToolHints showReasoning extractDocumentText sendMaxRetries transcriptionProvider transcriptionLanguage",
    "channels.telegram": "sendProgress sendToolHints inlineKeyboards richMessages",
    "channels.slack": "webhookPath doneEmoji includeThreadContext threadContextLimit groupRequireMention dm",
    "channels.email": (
        "consentGranted autoReplyEnabled subjectPrefix maxBodyChars verifyDkim verifySpf postAction postActionMoveMailbox "
        "postActionExpunge postActionIgnoreSkipped allowedAttachmentTypes maxAttachmentSize maxAttachmentsPerEmail"
    ),
    "channels.mattermost": (
        "teamId allowFromMatchMode groupPolicyInThread includeThreadContext threadContextLimit doneEmoji sendProgress sendToolHints dm"
    ),
    "channels.dingtalk": "allowRemoteMediaRedirects remoteMediaRedirectAllowedHosts groupUserIsolation disablePrivateChat",
    "channels.feishu": "instanceId name identityKey doneEmoji toolHintPrefix topicIsolation",
    "channels.discord": "sendProgress sendToolHints workingEmoji workingEmojiDelay",
    "channels.whatsapp": "sendProgress sendToolHints groupPolicy databasePath lidMappings bridgeUrl bridgeToken",
    "channels.signal": "sendProgress sendToolHints groupMessageBufferSize dm group",
    "tools": (
        "restrictToWorkspace webuiAllowLocalServiceAccess allowLocalPreviewAccess webuiAllowRemotePackageInstall ssrfWhitelist "
        "maxSessionMessagesPerMinute myEnabled mySet"
    ),
    "tools.web": "enable proxy userAgent",
    "tools.web.search": "provider apiKey baseUrl maxResults timeout mstEngines mstWeights",
    "tools.web.fetch": "useJinaReader",
    "tools.exec": (
        "enable timeout pathPrepend pathAppend sandbox sandboxRoBinds sandboxRwBinds allowedEnvKeys allowPatterns denyPatterns "
        "restrictToWorkspace"
    ),
    "tools.file": "enable",
    "tools.cliApps": "enable installTimeout runTimeout catalogTtlSeconds",
    "tools.my": "enable allowSet",
    "tools.imageGeneration": "enabled provider model defaultAspectRatio defaultImageSize maxImagesPerTurn saveDir",
    "transcription": "enabled provider model language maxDurationSec maxUploadMb",
    "gateway": "host port restartMode",
    "gateway.heartbeat": "enabled intervalS keepRecentMessages",
    "webui": "hiddenSettingsSections",
}
NANOBOT_KEYS: Final[Mapping[str, tuple[str, ...]]] = {section: tuple(keys.split()) for section, keys in _KEYS.items()}
"""Keys of nanobot-ai 0.3.5 and before without effect here, by section."""


def camel(name: str) -> str:
    """The spelling of keys in messages and in the tables here."""
    return to_camel(name) if "_" in name else name


_OPTIONAL: Final = frozenset(camel(name.replace("-", "_")) for name in channel_catalog.OTHERS)
"""Channels whose sections are known where they ask for something."""
_CHANNELS: Final = "websocket whatsapp feishu mochat dingtalk email slack qq matrix mattermost msteams line napcat signal wecom weixin"
NANOBOT_SECTIONS: Final = tuple(f"channels.{name}" for name in _CHANNELS.split() if name not in channel_catalog.OTHERS)
"""Sections of nanobot without effect here, with all their keys. An installed package may offer a channel of such a name."""

NANOBOT_ROOTS: Final = frozenset({"agents", "channels", "providers", "modelPresets", "model_presets", "api", "tools", "mcp"})
"""The sections that nanobot has as well: in them, and beside them, a key may be one of a later release."""

RETIRED: Final[Mapping[str, str]] = {
    "channels.telegram.streamEditInterval": "a preview is edited at most once a second, in groups every 4 seconds",
    "channels.telegram.webhookMaxConnections": "Telegram makes at most 4 calls at once",
    "channels.telegram.connectionPoolSize": "at most 100 connections",
    "channels.telegram.poolTimeout": "a request waits at most 5 seconds for a connection",
    "channels.discord.intents": 'messages are requested with their content: the bot needs the "Message Content Intent"',
    "channels.discord.gatewayUrl": "Discord's own gateway, or /gateway on the host of channels.discord.apiBase",
    "channels.discord.proxyUsername": 'write the login into channels.discord.proxy: "http://user:password@host:3128"',
    "channels.discord.proxyPassword": 'write the login into channels.discord.proxy: "http://user:password@host:3128"',
    "documents.textChars": "the first 11,000,000 characters of a file's text are kept",
    "documents.imageFrames": "an animated picture has at most 100 frames",
    "documents.imageBytes": "a picture above 3.75 MB is encoded anew",
    "documents.pdfPagesRefused": "a PDF of more than 10,000 pages is refused",
    "documents.archiveEntries": "an Office file of more than 1,000 parts is refused",
    "documents.archivePartMib": "an XML part of an Office file has at most 32 MiB, unpacked",
    "documents.archiveRatio": "an XML part of an Office file shrinks at most 100-fold when packed",
}
"""Keys that were settings → what applies now. They are accepted, and named in a notice."""

_MOVED: Final[Mapping[KeyPath, KeyPath]] = {
    ("gateway", "auth"): ("auth",),
    ("gateway", "http", "endpoints"): ("api", "endpoints"),
    ("mcpServers",): ("mcp", "servers"),
    ("mcp_servers",): ("mcp", "servers"),
    ("tools", "mcpServers"): ("mcp", "servers"),
    ("tools", "mcp_servers"): ("mcp", "servers"),
}
"""Sections of other products (Moltbot; MCP's clients; nanobot), and ours. Where a key is in both, ours wins."""


def plain(name: str) -> str:
    """What is the same in every spelling of a name: `lmStudio`, `lm_studio`, `LM-STUDIO`."""
    return name.replace("_", "").replace("-", "").lower()


def says_nothing(value: Json) -> bool:
    """Whether a key asks for nothing: nanobot writes every key it knows, most of them empty or switched off."""
    return value in (None, "", [], {}) or (isinstance(value, Mapping) and value.get("enabled") is False)


def _tree(notices: Mapping[str, str]) -> dict[str, Any]:
    """The keys without effect as nested sections; each key holds the text of its notice."""
    tree: dict[str, Any] = {}
    for path, text in notices.items():
        *sections, key = path.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[key] = text
    return tree


_FOREIGN: Final = dict.fromkeys(
    [*(f"{section}.{key}" for section, keys in NANOBOT_KEYS.items() if section not in NANOBOT_SECTIONS for key in keys), *NANOBOT_SECTIONS],
    "known from nanobot, has no effect here",
)
_FOREIGN_TREE: Final = _tree(_FOREIGN)
_TREE: Final = _tree(_FOREIGN | {key: f"no longer a setting: {applies}" for key, applies in RETIRED.items()})


def without_effect(
    raw: Mapping[str, Json], own: frozenset[KeyPath], notices: dict[str, None], path: KeyPath = (), tree: Mapping[str, Any] = _TREE
) -> dict[str, Json]:
    """What is left of `raw` without the keys that have no effect here. `own`: sections of installed packages, which are left alone.

    Adds a notice for each key that asked for something, in the order of `raw`.
    """
    left: dict[str, Json] = {}
    for name, value in raw.items():
        if path == ("channels",) and (*path, camel(name)) not in own and camel(name) in _OPTIONAL and says_nothing(value):
            continue  # no source asks for it, so it has no fields
        step = camel(name) if camel(name) in tree else "*"
        known = None if (*path, step) in own else tree.get(step)
        if isinstance(known, str):
            if not says_nothing(value):
                notices[f"{'.'.join((*path, step)).replace('*', '<name>')}: {known}"] = None
        elif known and isinstance(value, Mapping):
            if inner := without_effect(value, own, notices, (*path, step), known):
                left[name] = inner
        else:
            left[name] = value
    return left


def is_nanobots(raw: Mapping[str, Json], own: frozenset[KeyPath]) -> bool:
    """Whether nanobot wrote the file, or may have: it holds a key that only nanobot has. `own`: as for `without_effect`."""
    return without_effect(raw, own, {}, tree=_FOREIGN_TREE) != raw


def ineffective_keys(section: KeyPath) -> list[str]:
    """The keys without effect that are known in a section, and the sections in it that hold some."""
    node: Mapping[str, Any] = _TREE
    for part in section:
        found: Any = node.get(part, node.get("*"))
        node = cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}
    return list(node)


def moved(raw: Mapping[str, Json]) -> dict[str, Json]:
    """The object of a configuration file with others' sections in our places. Its sections left empty are removed."""
    found = deepcopy(dict(raw))
    for (*sections, key), ours in _MOVED.items():
        parents = [found]
        for name in sections:
            inner = parents[-1].get(name)
            parents.append(inner if isinstance(inner, dict) else {})
        if not isinstance(value := parents[-1].get(key), dict):
            continue
        for parent, name in zip(reversed(parents), reversed([*sections, key]), strict=True):
            if name == key or not parent[name]:
                del parent[name]
        place = _inner(found, ours)
        place |= {**value, **place}
    return found


def installed_candidates(section: str, source: Mapping[str, Json]) -> Iterator[str]:
    """The names under `channels` or `tools` that ask for something and may be an installed package's, in camelCase."""
    given = source.get(section)
    for name, value in given.items() if isinstance(given, Mapping) else ():
        if camel(name) not in NANOBOT_KEYS[section] and not says_nothing(value):
            yield camel(name)


_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\s]+)):(?P<port>\d{1,5})")
_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "max_requests_per_minute": ("limits", "requestsPerMinute"),
    "max_tokens_per_minute": ("limits", "tokensPerMinute"),
    "cors_origins": ("cors", "origins"),
    "api_key": ("apiKey",),
}
"""Keys of `[api]` in Server Node's config.toml → their places in ours."""


def translated(raw: Mapping[str, Json], origin: str) -> dict[str, Json]:
    """The object of Server Node's config.toml with our keys for its `[api]` and `[api.models.<id>]`. `origin`: the file, for errors.

    Raises ConfigError, with a problem for each wrong key.
    """
    section = raw.get("api")
    if not isinstance(section, Mapping):
        return dict(raw)
    wrong: dict[str, str] = {}
    api = _api(section, wrong)
    if wrong:
        raise ConfigError(*[ConfigProblem(path=("api", key), text=text, origin=origin) for key, text in wrong.items()])
    models = section.get("models")
    if not isinstance(models, Mapping):
        return {**raw, "api": api}
    if isinstance(raw.get("models"), Mapping):
        raise ConfigError(ConfigProblem(path=("models",), text="is given beside api.models; keep one", origin=origin))
    return {**raw, "api": api, "models": dict(models)}


def _api(section: Mapping[str, Json], wrong: dict[str, str]) -> dict[str, Json]:
    """Our `api` section. Keys that are not Server Node's stay unchanged. Adds to `wrong` what is wrong, by key."""

    def switch(key: str, *, default: bool) -> bool:
        value = section.get(key, default)
        if isinstance(value, bool):
            return value
        wrong[key] = "must be true or false"
        return default

    own = {"enabled", "address", "require_auth", "cors_enabled", "models", *_PLACES}
    api: dict[str, Json] = {key: value for key, value in section.items() if key not in own}
    if not switch("enabled", default=True):
        wrong["enabled"] = "is false: there would be nothing to serve"
    if "address" in section:
        written = section["address"]
        if isinstance(written, str) and (found := _ADDRESS.fullmatch(written.strip())):
            api["host"], api["port"] = found["six"] or found["host"], int(found["port"])
        else:
            wrong["address"] = 'must be "host:port", such as "127.0.0.1:8080"'
    for key, place in _PLACES.items():
        if key in section:
            _inner(api, place[:-1])[place[-1]] = section[key]
    if not switch("cors_enabled", default=True):
        _inner(api, ("cors",))["origins"] = []
    key = section.get("api_key")
    has_key = isinstance(key, str) and bool(key.strip())
    if not switch("require_auth", default=has_key):
        api.pop("apiKey", None)
    elif not has_key:
        wrong["require_auth"] = "is true, and api_key is not set"
    return api


def _inner(section: dict[str, Json], path: KeyPath) -> dict[str, Json]:
    """The section at `path`, made where there is none."""
    for name in path:
        inner = section.get(name)
        section[name] = inner = dict(inner) if isinstance(inner, Mapping) else {}
        section = inner
    return section
