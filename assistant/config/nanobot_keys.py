"""Keys of nanobot's own configuration (nanobot-ai 0.3.5 and before) that have no effect here: accepted, and said.

By section: `*` is any name. A section under OTHER_SECTIONS is taken whole. A key that this project learns to obey moves from here
into a settings model; a test holds that none is in both.
"""

from collections.abc import Mapping

from assistant.contracts.messages import Json

SECTION_KEYS: Mapping[str, tuple[str, ...]] = {
    "agents.defaults": (
        *("contextBlockLimit", "maxConcurrentSubagents", "failOnToolError", "maxToolResultChars", "providerRetryMode"),
        *("toolHintMaxLength", "timezone", "botName", "botIcon", "unifiedSession", "disabledSkills", "idleCompactAfterMinutes"),
        *("sessionTtlMinutes", "consolidationRatio", "dream", "memoryWindow", "maxMessages"),
    ),
    "providers.*": ("thinkingStyle", "region", "profile"),
    "channels": (
        *("sendProgress", "sendToolHints", "showReasoning", "extractDocumentText", "sendMaxRetries"),
        *("transcriptionProvider", "transcriptionLanguage"),
    ),
    "channels.telegram": ("inlineKeyboards", "richMessages"),
    "channels.discord": ("workingEmoji", "workingEmojiDelay"),
    "tools": (
        *("restrictToWorkspace", "webuiAllowLocalServiceAccess", "allowLocalPreviewAccess", "webuiAllowRemotePackageInstall"),
        *("ssrfWhitelist", "myEnabled", "mySet"),
    ),
    "tools.web": ("enable", "proxy", "userAgent"),
    "tools.web.search": ("provider", "apiKey", "baseUrl", "maxResults", "timeout", "mstEngines", "mstWeights"),
    "tools.web.fetch": ("useJinaReader",),
    "tools.exec": (
        *("enable", "timeout", "pathPrepend", "pathAppend", "sandbox", "allowedEnvKeys", "allowPatterns", "denyPatterns"),
        "restrictToWorkspace",
    ),
    "tools.file": ("enable",),
    "tools.cliApps": ("enable", "installTimeout", "runTimeout", "catalogTtlSeconds"),
    "tools.my": ("enable", "allowSet"),
    "tools.imageGeneration": (*("enabled", "provider", "model", "defaultAspectRatio", "defaultImageSize", "maxImagesPerTurn", "saveDir"),),
    "tools.mcpServers.*": ("type", "command", "args", "env", "cwd", "url", "headers", "toolTimeout", "enabledTools"),
    "transcription": ("enabled", "provider", "model", "language", "maxDurationSec", "maxUploadMb"),
    "gateway": ("host", "port", "restartMode"),
    "gateway.heartbeat": ("enabled", "intervalS", "keepRecentMessages"),
    "webui": ("hiddenSettingsSections",),
}

OTHER_SECTIONS: tuple[str, ...] = (
    *("channels.websocket", "channels.whatsapp", "channels.feishu", "channels.mochat", "channels.dingtalk", "channels.email"),
    *("channels.slack", "channels.qq", "channels.matrix", "channels.mattermost", "channels.msteams", "channels.line", "channels.napcat"),
    *("channels.signal", "channels.wecom", "channels.weixin"),
)


def says_nothing(value: Json) -> bool:
    """Nothing was asked for, so nothing is missed: nanobot writes every key it knows, most of them empty or switched off."""
    return value in (None, "", [], {}) or (isinstance(value, Mapping) and value.get("enabled") is False)
