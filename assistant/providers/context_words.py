"""What providers say when a prompt is longer than a model's context, and the numbers in it."""

import re
from typing import Final

from assistant.contracts.util import lazy_pattern

_SAID: Final = lazy_pattern(
    r"context.?length.?exceeded|maximum context length|context (?:window|size|length|limit)|exceed_context_size|prompt (?:is )?too long"
    r"|input (?:length|is too long)|too many (?:input )?tokens|exceeds? the (?:model'?s )?(?:maximum|limit).{0,40}tokens|longer than the model"
    r"|longer than the maximum model length|exceeded model token limit|maximum prompt length|prompt exceeds max length|reduce the length of"
    r"|tokens to keep from the initial prompt|inputs?`? tokens \+ `?max_new_tokens|string_above_max_length|request too large for model"
    r"|context.?window.?exceeded|exceed(?:s|ed)? (?:the |n_ctx|its )*(?:token limit|n_ctx)|token (?:count|limit) (?:was )?exceed"
    r"|tokens? exceeds? the.{0,20}limit|(?:conversation|messages?) (?:is|are)? ?too long|max(?:imum)? context|reduce your prompt|超长"
    r"|(?:超过|超出).{0,12}(?:上下文|最大长度)"
    r"|too large for model with \d+ maximum context|exceeds (?:the )?available context|tokens_limit_reached|max(?:imum)? input (?:length|tokens)",
    re.IGNORECASE,
)
_OF_THE_ANSWER: Final = lazy_pattern(
    r"max_(?:completion_|output_|new_)?tokens.{0,30}(?:too large|too high|must be|at most|exceeds)|completion tokens", re.IGNORECASE
)
"""About the answer that was asked for, and not about the prompt."""

_NUMBER: Final = r"(\d{1,3}(?:[,.' _\u00a0\u202f]\d{3}){1,4}\b|\d{1,12}(?:\.\d{1,3})?)(?: ?([km])\b)?"
"""With what parts its thousands, or with its unit: "131,072", "131 072", "128k", "1M"."""
_UNITS: Final = {"": 1, "k": 1_000, "m": 1_000_000}
"""Where 1,024 are meant, this is less than there is, and nothing that is sent is refused for it."""
_NUMBERS: Final[tuple[tuple[str, re.Pattern[str], int, int], ...]] = tuple(
    (who, lazy_pattern(pattern.replace("#", _NUMBER), re.IGNORECASE | re.DOTALL), limit, counted)
    for who, pattern, limit, counted in (
        # Where a provider says both, the place of the limit and that of what it counted in the prompt; 0: it does not say.
        ("Anthropic", r"# tokens > # maximum", 2, 1),
        ("Anthropic", r"exceed context limit: # \+ # > #", 3, 1),
        (
            "OpenAI, OpenRouter",
            r"maximum context length is # tokens.{0,60}requested (?:about )?# tokens \(# (?:in the messages|of text input)",
            1,
            3,
        ),
        ("vLLM", r"maximum context length is # tokens.{0,80}requested # output tokens.{0,60}prompt contains at least # input tokens", 1, 3),
        ("SGLang", r"maximum context length of # tokens.{0,60}requested a total of # tokens", 1, 2),
        ("OpenAI, vLLM, DeepSeek", r"maximum context length is # tokens.{0,60}?(?:requested|resulted in) (?:about )?# tokens", 1, 2),
        ("OpenAI, vLLM", r"maximum context length is # tokens", 1, 0),
        ("vLLM", r"length #\) is longer than the maximum model length of #", 2, 1),
        ("vLLM", r"total length #\) is too long to fit into the model \(context length #\)", 2, 1),
        ("SGLang", r"input \(#(?: tokens)?\) is longer than the model's context length \(#", 2, 1),
        ("llama.cpp", r"request \(# tokens\) exceeds the available context size \(# tokens\)", 2, 1),
        ("LM Studio", r"keep the first # tokens.{0,120}context length of only # tokens", 2, 1),
        ("LM Studio", r"context length of only # tokens", 1, 0),
        ("Gemini", r"input token count \(#\) exceeds the maximum number of tokens allowed \(#\)", 2, 1),
        ("Mistral", r"prompt contains # tokens.{0,60}model with # maximum context length", 2, 1),
        ("xAI", r"maximum prompt length is # but the request contains # tokens", 1, 2),
        ("TGI, Together", r"must be <= #\. given: # `?inputs`? tokens", 1, 2),
        ("Moonshot", r"exceeded model token limit: #(?: \(requested: #\))?", 1, 2),
        ("Groq", r"tokens per minute \(tpm\): limit #, requested #", 1, 2),
        ("DashScope", r"range of input length should be \[\d+, #\]", 1, 0),
        ("Cohere, Bedrock, others", r"(?:max(?:imum)?|limit)(?: of| is|:)? # tokens", 1, 0),
        ("Ollama, others", r"context (?:length|size|window|limit)(?: of| is|:| =)? #", 1, 0),
    )
)
_FIELDS: Final = lazy_pattern(r'"(n_ctx|n_prompt_tokens)"\s*:\s*(\d+)')
"""llama.cpp's, beside its words."""


def is_about_context(said: str) -> bool:
    """Whether a refusal, its words and kinds, says that the prompt is too long."""
    return bool(_SAID.search(said)) and not (_OF_THE_ANSWER.search(said) and not re.search(r"context|prompt|inputs?", said, re.IGNORECASE))


def told_context(said: str, body: str = "") -> tuple[int | None, int | None]:
    """(The context, the tokens of the prompt), as far as the words, or the fields of the body, tell them."""
    fields = {name: int(number) for name, number in _FIELDS.findall(body)}
    if fields.get("n_ctx"):
        return fields["n_ctx"], fields.get("n_prompt_tokens")
    for _, pattern, limit, counted in _NUMBERS:
        if found := pattern.search(said):
            numbers = list(map(_number, found.groups()[::2], found.groups()[1::2]))
            told = numbers[limit - 1], numbers[counted - 1] if counted else None
            return told if told[0] is not None and told[0] >= 128 else (None, None)
    return None, None


def _number(digits: str | None, unit: str | None) -> int | None:
    return None if digits is None else int(float(re.sub(r"\D(?=\d{3}\b)", "", digits)) * _UNITS[(unit or "").lower()])
