"""The providers and models that are known by name: data, and how it is looked up."""

from dataclasses import KW_ONLY, dataclass
from typing import Final, Literal

from pydantic.alias_generators import to_snake

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Preset:
    """The defaults of a provider. Names and keywords are nanobot's, so that its `model` strings choose alike."""

    name: str
    base_url: str = ""
    """Empty: there is no usual one, `apiBase` is needed."""
    key_variable: str = ""
    """The environment variable that holds its key; empty: it needs none."""
    _: KW_ONLY
    base_variable: str = ""
    """The environment variable that its official client takes another base URL from."""
    default_model: str = ""
    """Empty: the first of its list of models."""
    keywords: str = ""
    """Words, between spaces. A model whose name contains one of them is this provider's, if it can be reached."""
    gateway: bool = False
    """It serves other providers' models, under their names."""
    port: int | None = None
    """Where it usually listens on loopback; None: it is not a local server."""
    wire: Literal["openai", "anthropic"] = "openai"
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    context_tokens: int = 128_000
    """For models that `KNOWN_MODELS` does not name."""
    vision: bool = True


def _local(name: str, port: int, keywords: str) -> Preset:
    return Preset(name, f"http://127.0.0.1:{port}/v1", port=port, keywords=keywords, context_tokens=32_768, vision=False)


_LISTED = (
    Preset("custom"),
    Preset(
        "openai", "https://api.openai.com/v1", "OPENAI_API_KEY", base_variable="OPENAI_BASE_URL",
        default_model="gpt-5-mini", keywords="openai gpt", max_tokens_field="max_completion_tokens",
    ),
    Preset(
        "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", base_variable="ANTHROPIC_BASE_URL",
        default_model="claude-sonnet-5", keywords="anthropic claude", wire="anthropic", context_tokens=200_000,
    ),
    Preset(
        "openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY",
        default_model="openai/gpt-5-mini", keywords="openrouter", gateway=True,
    ),
    Preset(
        "gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY",
        default_model="gemini-flash-latest", keywords="gemini", context_tokens=1_000_000,
    ),
    Preset("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", default_model="openai/gpt-oss-120b", keywords="groq", vision=False),
    Preset("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", default_model="deepseek-chat", keywords="deepseek", vision=False),
    Preset(
        "mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY",
        default_model="mistral-medium-latest", keywords="mistral magistral ministral codestral",
    ),
    Preset("xai", "https://api.x.ai/v1", "XAI_API_KEY", default_model="grok-4", keywords="grok"),
    Preset("moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", keywords="moonshot kimi", vision=False),
    Preset("minimax", "https://api.minimax.io/v1", "MINIMAX_API_KEY", keywords="minimax", vision=False),
    Preset("minimax_anthropic", "https://api.minimax.io/anthropic", "MINIMAX_API_KEY", wire="anthropic", vision=False),
    Preset("zhipu", "https://open.bigmodel.cn/api/paas/v4", "ZAI_API_KEY", keywords="zhipu glm zai", vision=False),
    Preset("zai_coding_plan", "https://api.z.ai/api/coding/paas/v4", "ZAI_API_KEY", vision=False),
    Preset("dashscope", "https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", keywords="qwen dashscope", vision=False),
    Preset(
        "dashscope_coding_plan", "https://coding.dashscope.aliyuncs.com/v1", "DASHSCOPE_CODING_PLAN_API_KEY", gateway=True, vision=False
    ),
    Preset("stepfun", "https://api.stepfun.com/v1", "STEPFUN_API_KEY", keywords="stepfun", vision=False),
    Preset("xiaomi_mimo", "https://api.xiaomimimo.com/v1", "XIAOMIMIMO_API_KEY", keywords="xiaomi_mimo mimo", vision=False),
    Preset("nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", keywords="nvidia", vision=False),
    Preset("huggingface", "https://router.huggingface.co/v1", "HF_TOKEN", keywords="huggingface", gateway=True),
    Preset("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY", keywords="together", gateway=True),
    Preset("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", keywords="fireworks", gateway=True),
    Preset("aihubmix", "https://aihubmix.com/v1", "AIHUBMIX_API_KEY", keywords="aihubmix", gateway=True),
    Preset("siliconflow", "https://api.siliconflow.cn/v1", "SILICONFLOW_API_KEY", keywords="siliconflow", gateway=True),
    Preset("volcengine", "https://ark.cn-beijing.volces.com/api/v3", "ARK_API_KEY", keywords="volcengine volces", gateway=True),
    Preset("edenai", "https://api.edenai.run/v3", "EDENAI_API_KEY", keywords="edenai", gateway=True),
    Preset("kilo", "https://api.kilo.ai/api/gateway", "KILO_API_KEY", keywords="kilo", gateway=True),
    # Azure's v1 API takes its key as a bearer token; the base URL is the customer's: https://<resource>.openai.azure.com/openai/v1
    Preset("azure_openai", key_variable="AZURE_OPENAI_API_KEY", max_tokens_field="max_completion_tokens"),
    # Local servers, in the order in which they are looked for. Their context is a setting of the server, often small.
    _local("ollama", 11434, "ollama"),
    _local("lm_studio", 1234, "lm_studio lm-studio lmstudio"),
    _local("llama_cpp", 8080, "llama_cpp llama.cpp"),
    _local("vllm", 8000, "vllm"),
)  # fmt: skip

PRESETS = {preset.name: preset for preset in _LISTED}
"""By name, in the order in which they are preferred: keys in the environment are looked for in this order."""

UNSUPPORTED = frozenset(
    {"openai_codex", "github_copilot", "bedrock", "xai_grok", "atomic_chat", "ovms", "assemblyai", "byteplus", "longcat", "ant_ling"}
    | {"skywork", "modelscope", "kimi_coding", "orcarouter", "lemonade", "volcengine_coding_plan", "byteplus_coding_plan"}
    | {"ollama_cloud", "qianfan", "novita", "opencode", "opencode_zen", "opencode_go"}
)
"""Providers that nanobot's configuration files name, empty; those without a login of their own work once `apiBase` is set."""


@dataclass(frozen=True, slots=True)
class KnownModel:
    """The facts about models whose name begins with `prefix` (after any "provider/")."""

    prefix: str
    context_tokens: int
    _: KW_ONLY
    vision: bool = True
    samples: bool = True
    """Whether it takes temperature and top_p; models that reason refuse them with a 400."""
    max_output: int = 16_384
    """Tokens of an answer where the request sets no limit (Anthropic's wire requires one)."""
    effort: bool = False
    """Anthropic's wire: whether it takes `output_config.effort`."""


KNOWN_MODELS = (
    KnownModel("gpt-5-chat", 128_000),
    KnownModel("gpt-5", 400_000, samples=False),
    KnownModel("gpt-4.1", 1_000_000),
    KnownModel("gpt-4o", 128_000),
    KnownModel("gpt-4-turbo", 128_000),
    KnownModel("gpt-4", 8_192, vision=False),
    KnownModel("gpt-3.5", 16_385, vision=False),
    KnownModel("gpt-oss", 131_072, vision=False),
    KnownModel("o1", 200_000, samples=False),
    KnownModel("o3", 200_000, samples=False),
    KnownModel("o4", 200_000, samples=False),
    KnownModel("claude-3", 200_000, max_output=4_096),
    KnownModel("claude-opus-4-5", 200_000, effort=True),
    KnownModel("claude-opus-4-6", 1_000_000, effort=True),
    KnownModel("claude-opus-4-7", 1_000_000, effort=True, samples=False),
    KnownModel("claude-opus-4-8", 1_000_000, effort=True, samples=False),
    KnownModel("claude-opus-4", 200_000),
    KnownModel("claude-sonnet-4-6", 1_000_000, effort=True),
    KnownModel("claude-sonnet-4", 200_000),
    KnownModel("claude-haiku-4", 200_000),
    KnownModel("claude-", 1_000_000, effort=True, samples=False),
    KnownModel("gemini-", 1_000_000),
    KnownModel("deepseek", 128_000, vision=False),
    KnownModel("llama-3.3", 128_000, vision=False),
    KnownModel("grok-4", 256_000),
    KnownModel("kimi-k2", 256_000, vision=False),
    KnownModel("glm-4", 128_000, vision=False),
    KnownModel("minimax-m", 196_608, vision=False),
    KnownModel("qwen3-vl", 131_072),
    KnownModel("qwen", 131_072, vision=False),
)


def preset_of(provider: str) -> Preset:
    """The defaults of a provider; an unknown name gets the general ones."""
    return PRESETS.get(provider) or Preset(provider)


def provider_name(written: str) -> str:
    """A provider's name as it is spelled here: `lmStudio` and `lm-studio` are lm_studio."""
    return to_snake(written.replace("-", "_"))


def known_model(model: str) -> KnownModel | None:
    """The facts about a model, by the first prefix of its name; "openai/gpt-5-mini" is looked up as "gpt-5-mini"."""
    name = model.lower().rsplit("/", 1)[-1]
    return next((known for known in KNOWN_MODELS if name.startswith(known.prefix)), None)
