"""The providers and models that are known by name: data, and how it is looked up."""

from dataclasses import dataclass
from typing import Literal

from pydantic.alias_generators import to_snake


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What is known of a provider before anybody configures it. Names and keywords are nanobot's, so that its `model` strings choose alike."""

    name: str
    base_url: str = ""
    """Empty: there is no usual one, `apiBase` is needed."""
    key_variable: str = ""
    """The environment variable that holds its key; empty: it needs none."""
    base_variable: str = ""
    """The environment variable that its official client takes another base URL from."""
    default_model: str = ""
    """Empty: the first of its list of models."""
    keywords: tuple[str, ...] = ()
    """A model whose name contains one of these is this provider's, if it can be reached."""
    gateway: bool = False
    """It serves other providers' models, under their names."""
    port: int | None = None
    """Where it usually listens on loopback; None: it is not a local server."""
    wire: Literal["openai", "anthropic"] = "openai"
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    context_tokens: int = 128_000
    """For models that `KNOWN_MODELS` does not name."""
    vision: bool = True


_LISTED = (
    Preset(name="custom"),
    Preset(
        name="openai",
        base_url="https://api.openai.com/v1",
        key_variable="OPENAI_API_KEY",
        base_variable="OPENAI_BASE_URL",
        default_model="gpt-5-mini",
        keywords=("openai", "gpt"),
        max_tokens_field="max_completion_tokens",
    ),
    Preset(
        name="anthropic",
        base_url="https://api.anthropic.com",
        key_variable="ANTHROPIC_API_KEY",
        base_variable="ANTHROPIC_BASE_URL",
        default_model="claude-sonnet-5",
        keywords=("anthropic", "claude"),
        wire="anthropic",
        context_tokens=200_000,
    ),
    Preset(
        name="openrouter",
        base_url="https://openrouter.ai/api/v1",
        key_variable="OPENROUTER_API_KEY",
        default_model="openai/gpt-5-mini",
        keywords=("openrouter",),
        gateway=True,
    ),
    Preset(
        name="gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        key_variable="GEMINI_API_KEY",
        default_model="gemini-flash-latest",
        keywords=("gemini",),
        context_tokens=1_000_000,
    ),
    Preset(
        name="groq",
        base_url="https://api.groq.com/openai/v1",
        key_variable="GROQ_API_KEY",
        default_model="openai/gpt-oss-120b",
        keywords=("groq",),
        vision=False,
    ),
    Preset(
        name="deepseek",
        base_url="https://api.deepseek.com/v1",
        key_variable="DEEPSEEK_API_KEY",
        default_model="deepseek-chat",
        keywords=("deepseek",),
        vision=False,
    ),
    Preset(
        name="mistral",
        base_url="https://api.mistral.ai/v1",
        key_variable="MISTRAL_API_KEY",
        default_model="mistral-medium-latest",
        keywords=("mistral", "magistral", "ministral", "codestral"),
    ),
    Preset(name="xai", base_url="https://api.x.ai/v1", key_variable="XAI_API_KEY", default_model="grok-4", keywords=("grok",)),
    Preset(
        name="moonshot",
        base_url="https://api.moonshot.ai/v1",
        key_variable="MOONSHOT_API_KEY",
        keywords=("moonshot", "kimi"),
        vision=False,
    ),
    Preset(name="minimax", base_url="https://api.minimax.io/v1", key_variable="MINIMAX_API_KEY", keywords=("minimax",), vision=False),
    Preset(
        name="minimax_anthropic",
        base_url="https://api.minimax.io/anthropic",
        key_variable="MINIMAX_API_KEY",
        wire="anthropic",
        vision=False,
    ),
    Preset(
        name="zhipu",
        base_url="https://open.bigmodel.cn/api/paas/v4",
        key_variable="ZAI_API_KEY",
        keywords=("zhipu", "glm", "zai"),
        vision=False,
    ),
    Preset(name="zai_coding_plan", base_url="https://api.z.ai/api/coding/paas/v4", key_variable="ZAI_API_KEY", vision=False),
    Preset(
        name="dashscope",
        base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
        key_variable="DASHSCOPE_API_KEY",
        keywords=("qwen", "dashscope"),
        vision=False,
    ),
    Preset(
        name="dashscope_coding_plan",
        base_url="https://coding.dashscope.aliyuncs.com/v1",
        key_variable="DASHSCOPE_CODING_PLAN_API_KEY",
        gateway=True,
        vision=False,
    ),
    Preset(name="stepfun", base_url="https://api.stepfun.com/v1", key_variable="STEPFUN_API_KEY", keywords=("stepfun",), vision=False),
    Preset(
        name="xiaomi_mimo",
        base_url="https://api.xiaomimimo.com/v1",
        key_variable="XIAOMIMIMO_API_KEY",
        keywords=("xiaomi_mimo", "mimo"),
        vision=False,
    ),
    Preset(
        name="nvidia", base_url="https://integrate.api.nvidia.com/v1", key_variable="NVIDIA_API_KEY", keywords=("nvidia",), vision=False
    ),
    Preset(
        name="huggingface", base_url="https://router.huggingface.co/v1", key_variable="HF_TOKEN", keywords=("huggingface",), gateway=True
    ),
    Preset(name="together", base_url="https://api.together.xyz/v1", key_variable="TOGETHER_API_KEY", keywords=("together",), gateway=True),
    Preset(
        name="fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        key_variable="FIREWORKS_API_KEY",
        keywords=("fireworks",),
        gateway=True,
    ),
    Preset(name="aihubmix", base_url="https://aihubmix.com/v1", key_variable="AIHUBMIX_API_KEY", keywords=("aihubmix",), gateway=True),
    Preset(
        name="siliconflow",
        base_url="https://api.siliconflow.cn/v1",
        key_variable="SILICONFLOW_API_KEY",
        keywords=("siliconflow",),
        gateway=True,
    ),
    Preset(
        name="volcengine",
        base_url="https://ark.cn-beijing.volces.com/api/v3",
        key_variable="ARK_API_KEY",
        keywords=("volcengine", "volces"),
        gateway=True,
    ),
    Preset(name="kilo", base_url="https://api.kilo.ai/api/gateway", key_variable="KILO_API_KEY", keywords=("kilo",), gateway=True),
    # Azure's v1 API takes its key as a bearer token; the base is one's own: https://<resource>.openai.azure.com/openai/v1
    Preset(name="azure_openai", key_variable="AZURE_OPENAI_API_KEY", max_tokens_field="max_completion_tokens"),
    # Local servers, in the order in which they are looked for. Their context is a setting of the server, often small.
    Preset(name="ollama", base_url="http://127.0.0.1:11434/v1", port=11434, keywords=("ollama",), context_tokens=32_768, vision=False),
    Preset(
        name="lm_studio",
        base_url="http://127.0.0.1:1234/v1",
        port=1234,
        keywords=("lm_studio", "lm-studio", "lmstudio"),
        context_tokens=32_768,
        vision=False,
    ),
    Preset(
        name="llama_cpp",
        base_url="http://127.0.0.1:8080/v1",
        port=8080,
        keywords=("llama_cpp", "llama.cpp"),
        context_tokens=32_768,
        vision=False,
    ),
    Preset(name="vllm", base_url="http://127.0.0.1:8000/v1", port=8000, keywords=("vllm",), context_tokens=32_768, vision=False),
)

PRESETS = {preset.name: preset for preset in _LISTED}
"""By name, in the order in which they are preferred: keys in the environment are looked for in this order."""

UNSUPPORTED = frozenset(
    {
        "openai_codex",
        "github_copilot",
        "bedrock",
        "xai_grok",
        "atomic_chat",
        "ovms",
        "assemblyai",
        "byteplus",
        "longcat",
        "ant_ling",
        "skywork",
    }
    | {"modelscope", "kimi_coding", "orcarouter", "lemonade", "volcengine_coding_plan", "byteplus_coding_plan", "ollama_cloud", "qianfan"}
    | {"novita", "opencode", "opencode_zen", "opencode_go"}
)
"""Names of nanobot's that its configuration files may hold, empty; those without a login of their own work once `apiBase` is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """What is known of the models whose name begins with `prefix` (after any "provider/")."""

    prefix: str
    context_tokens: int
    vision: bool = True
    samples: bool = True
    """Whether it takes temperature and top_p; models that reason refuse them with a 400."""
    max_output: int = 16_384
    """Tokens of an answer when nobody asked for fewer (Anthropic's wire must name a number)."""
    effort: bool = False
    """Anthropic's wire: whether it takes `output_config.effort`."""


KNOWN_MODELS = (
    KnownModel(prefix="gpt-5-chat", context_tokens=128_000),
    KnownModel(prefix="gpt-5", context_tokens=400_000, samples=False),
    KnownModel(prefix="gpt-4.1", context_tokens=1_000_000),
    KnownModel(prefix="gpt-4o", context_tokens=128_000),
    KnownModel(prefix="gpt-4-turbo", context_tokens=128_000),
    KnownModel(prefix="gpt-4", context_tokens=8_192, vision=False),
    KnownModel(prefix="gpt-3.5", context_tokens=16_385, vision=False),
    KnownModel(prefix="gpt-oss", context_tokens=131_072, vision=False),
    KnownModel(prefix="o1", context_tokens=200_000, samples=False),
    KnownModel(prefix="o3", context_tokens=200_000, samples=False),
    KnownModel(prefix="o4", context_tokens=200_000, samples=False),
    KnownModel(prefix="claude-3", context_tokens=200_000, max_output=4_096),
    KnownModel(prefix="claude-opus-4-5", context_tokens=200_000, effort=True),
    KnownModel(prefix="claude-opus-4-6", context_tokens=1_000_000, effort=True),
    KnownModel(prefix="claude-opus-4-7", context_tokens=1_000_000, effort=True, samples=False),
    KnownModel(prefix="claude-opus-4-8", context_tokens=1_000_000, effort=True, samples=False),
    KnownModel(prefix="claude-opus-4", context_tokens=200_000),
    KnownModel(prefix="claude-sonnet-4-6", context_tokens=1_000_000, effort=True),
    KnownModel(prefix="claude-sonnet-4", context_tokens=200_000),
    KnownModel(prefix="claude-haiku-4", context_tokens=200_000),
    KnownModel(prefix="claude-", context_tokens=1_000_000, effort=True, samples=False),
    KnownModel(prefix="gemini-", context_tokens=1_000_000),
    KnownModel(prefix="deepseek", context_tokens=128_000, vision=False),
    KnownModel(prefix="llama-3.3", context_tokens=128_000, vision=False),
    KnownModel(prefix="grok-4", context_tokens=256_000),
    KnownModel(prefix="kimi-k2", context_tokens=256_000, vision=False),
    KnownModel(prefix="glm-4", context_tokens=128_000, vision=False),
    KnownModel(prefix="minimax-m", context_tokens=196_608, vision=False),
    KnownModel(prefix="qwen3-vl", context_tokens=131_072),
    KnownModel(prefix="qwen", context_tokens=131_072, vision=False),
)


def preset_of(provider: str) -> Preset:
    """What is known of a provider; of one that is not known by name, the defaults."""
    return PRESETS.get(provider) or Preset(name=provider)


def provider_name(written: str) -> str:
    """A provider's name as it is spelled here: `lmStudio` and `lm-studio` are lm_studio."""
    return to_snake(written.replace("-", "_"))


def known_model(model: str) -> KnownModel | None:
    """What is known of a model, by the first prefix that fits its name; "openai/gpt-5-mini" is looked up as "gpt-5-mini"."""
    name = model.lower().rsplit("/", 1)[-1]
    return next((known for known in KNOWN_MODELS if name.startswith(known.prefix)), None)
