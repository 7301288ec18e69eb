"""llama.cpp: a loaded GGUF file that generates text or makes vectors. Imported by the worker only."""

import codecs
import ctypes
from array import array
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal, cast

import orjson

from assistant.providers.gguf.file import GgufHeader, NotGguf, read_header

_POOLING_MEAN: Final = 1
_POOLING_RANK: Final = 4
_TEXTS_AT_ONCE: Final = 16
"""Texts embedded between two checks for a cancellation."""


@dataclass(eq=False)
class InferenceRefused(Exception):
    """The request, or the file, can't be served."""

    words: str
    """Completes "The model 'x' …"."""
    kind: Literal["context", "request"] = "request"
    """Of the two, "context" means too many tokens."""
    param: str | None = None
    detail: str = ""
    """For the log."""


class InferenceCancelled(Exception):
    """The caller cancelled the request."""


class StopFilter:
    """Turns the bytes of tokens into text up to the first stop sequence. Holds back what may be the beginning of one, and incomplete characters."""

    def __init__(self, stops: Sequence[str]) -> None:
        """`stops`: non-empty strings."""
        self._stops = stops
        self._decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held: str = ""
        self.stopped = False
        """Whether a stop was found; all later text is dropped."""

    def add(self, data: bytes) -> str:
        """The text that is now certain."""
        return self._release(self._decoder.decode(data), last=False)

    def flush(self) -> str:
        """The held text, at the end of the answer."""
        return self._release(self._decoder.decode(b"", final=True), last=True)

    def _release(self, text: str, *, last: bool) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.stopped = True
            return text[: min(places)]
        keep = 0 if last else max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


class LoadedModel:
    """A file loaded by llama.cpp. Runs one request at a time, on the thread that loaded it."""

    def __init__(self, load: Mapping[str, Any], is_cancelled: Callable[[], bool]) -> None:
        """`load`: path, type, threads, gpu_layers; context and dimensions may be null. `is_cancelled`: called many times a second during
        computations. Raises InferenceRefused."""
        self._is_cancelled = is_cancelled
        self._type = load["type"]
        self._log: list[str] = []
        try:
            self._lib: Any = import_module("llama_cpp")
        except ImportError as error:
            raise InferenceRefused("is a local file, and llama.cpp is not installed: the extra 'local'", detail=str(error)) from None
        self._formats: Any = import_module("llama_cpp.llama_chat_format")
        self._template_error = cast("type[Exception]", self._formats.jinja2.TemplateError)
        self._keep_log()
        header = _header(Path(load["path"]))
        self.context: int = load["context"] or header.context(embedding=self._type == "embedding")
        self._llama = self._load(header, load)
        self._vocab = self._lib.llama_model_get_vocab(self._llama.model)
        self._template: Any = self._chat_template() if self._type == "chat" else None
        self.dimensions: int = self._llama.n_embd()
        if self._type == "embedding" and load["dimensions"] not in (None, self.dimensions):
            raise InferenceRefused(f"makes vectors of {self.dimensions} numbers, not of the configured {load['dimensions']} (dimensions)")
        self._evaluated: int | None = None
        """Prompt tokens that were not cached from the request before."""
        self._plain_eval: Callable[[Sequence[int]], None] = self._llama.eval
        self._llama.eval = self._eval

        def aborts(_: object) -> bool:  # llama.cpp asks between two steps of a computation on the processor
            return is_cancelled()

        self._abort = self._lib.ggml_abort_callback(aborts)
        self._lib.llama_set_abort_callback(self._llama.ctx, self._abort, None)

    def generate(self, request: Mapping[str, Any], emit: Callable[[str], None]) -> dict[str, Any]:
        """Continues `messages` (roles and contents) or `prompt`; returns how it ended and the usage. Raises InferenceRefused, InferenceCancelled."""
        tokens = self._prompt(request)
        room = self.context - len(tokens)
        if room < 1:
            raise InferenceRefused(f"takes {self.context:,} tokens, and this is {len(tokens):,}", kind="context")
        sampling: dict[str, Any] = request["sampling"]
        limit = min(sampling.get("max_tokens") or room, room)
        stops, generated, end = StopFilter(sampling.get("stop") or ()), 0, "length"
        options = self._options(sampling)
        self._evaluated = None
        for token in self._tokens(tokens, options):
            if self._lib.llama_vocab_is_eog(self._vocab, token):
                end = "stop"
                break
            generated += 1
            if text := stops.add(self._bytes(token)):
                emit(text)
            if stops.stopped or generated >= limit:
                break
        if text := stops.flush():
            emit(text)
        return {
            "end": "stop" if stops.stopped else end,
            "prompt_tokens": len(tokens),
            "completion_tokens": generated,
            "cached_tokens": len(tokens) - (self._evaluated or 0),
        }

    def embed(self, request: Mapping[str, Any], emit: Callable[[str], None]) -> dict[str, Any]:
        """Emits a vector of length 1 for each of `texts`, as base64 of 32-bit floats. Raises InferenceRefused, InferenceCancelled."""
        texts: list[str] = request["texts"]
        if request["dimensions"] not in (None, self.dimensions):
            raise InferenceRefused(f"makes vectors of {self.dimensions} numbers only", param="dimensions")
        counts: list[int] = []
        for text in texts:
            self._check_cancelled()
            counts.append(len(self._llama.tokenize(text.encode())))
        if max(counts) > self.context:
            words = f"takes {self.context:,} tokens of a text, and one here has {max(counts):,}"
            raise InferenceRefused(words, kind="context", param="input")
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            self._check_cancelled()
            part = texts[start : start + _TEXTS_AT_ONCE]
            for vector in self._computed(partial(self._llama.embed, part, normalize=True, truncate=False)):
                emit(b64encode(array("f", vector).tobytes()).decode())
        return {"end": "stop", "prompt_tokens": sum(counts), "completion_tokens": 0, "cached_tokens": 0}

    def _load(self, header: GgufHeader, load: Mapping[str, Any]) -> Any:
        more: dict[str, Any] = {}
        if self._type == "embedding":
            if header.pooling == _POOLING_RANK:
                raise InferenceRefused("ranks texts, and makes no vectors")
            more = {"embedding": True, "n_batch": self.context, "n_ubatch": self.context}
            if not header.pooling:
                more["pooling_type"] = _POOLING_MEAN
        try:
            return self._lib.Llama(
                model_path=load["path"],
                n_ctx=self.context,
                n_threads=load["threads"],
                n_threads_batch=load["threads"],
                n_gpu_layers=load["gpu_layers"],
                verbose=False,
                **more,
            )
        except self._template_error as error:
            raise InferenceRefused("has a chat template that can't be read", detail=str(error)) from None
        except (ValueError, RuntimeError, MemoryError) as error:
            words = (
                "can't be loaded: its file is damaged or not supported by the installed llama.cpp, or there is too little memory "
                "(a smaller contextLength needs less); see the log"
            )
            raise InferenceRefused(words, detail=" ".join([str(error), *self._log])) from None

    def _chat_template(self) -> Any:
        template = self._llama.metadata.get("tokenizer.chat_template")
        if not template:
            raise InferenceRefused('has no chat template in its file: give it the type "completion"')
        ends = (self._llama.token_bos(), self._llama.token_eos())
        bos, eos = (self._bytes(token, special=True).decode(errors="replace") if token >= 0 else "" for token in ends)
        return self._formats.Jinja2ChatFormatter(template=template, bos_token=bos, eos_token=eos)

    def _prompt(self, request: Mapping[str, Any]) -> list[int]:
        adds_bos = bool(self._lib.llama_vocab_get_add_bos(self._vocab))
        if "prompt" in request:
            return self._llama.tokenize(request["prompt"].encode(), add_bos=adds_bos, special=True)
        try:
            text: str = self._template(messages=request["messages"]).prompt
        except (ValueError, TypeError, self._template_error) as error:
            words = f"has a chat template that does not take this conversation: {str(error)[:300]}"
            raise InferenceRefused(words, param="messages") from None
        tokens: list[int] = self._llama.tokenize(text.encode(), add_bos=False, special=True)
        bos = self._llama.token_bos()
        return [bos, *tokens] if adds_bos and tokens[:1] != [bos] else tokens  # some templates write it themselves

    def _options(self, sampling: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of `Llama.generate`; those not set keep llama.cpp's defaults."""
        random: int = self._lib.LLAMA_DEFAULT_SEED
        self._llama.set_seed(random if sampling.get("seed") is None else sampling["seed"] % random)
        names = {"temperature": "temp", "top_p": "top_p", "presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty"}
        options = {theirs: sampling[ours] for ours, theirs in names.items() if sampling.get(ours) is not None}
        grammar = self._grammar(sampling.get("response_format") or {})
        return options if grammar is None else {**options, "grammar": grammar}

    def _grammar(self, form: Mapping[str, Any]) -> Any:
        """The grammar of a `response_format`; None for plain text."""
        kind = form.get("type", "text")
        if kind == "text":
            return None
        grammars: Any = import_module("llama_cpp.llama_grammar")
        if kind == "json_object":
            rules = grammars.JSON_GBNF
        elif kind == "json_schema":
            described: dict[str, Any] = form.get("json_schema") or {}
            schema: object = described.get("schema") or {}
            try:
                rules = grammars.json_schema_to_gbnf(orjson.dumps(schema).decode())
            except (ValueError, TypeError, KeyError, AttributeError, AssertionError, RecursionError) as error:
                words = f"does not support this schema: {type(error).__name__} {str(error)[:200]}".rstrip()
                raise InferenceRefused(words, param="response_format") from None
        else:
            raise InferenceRefused(f"does not know the response format '{str(kind)[:100]}'", param="response_format")
        sampler = self._lib.llama_sampler_init_grammar(self._vocab, rules.encode(), b"root")
        if not sampler:
            raise InferenceRefused("does not support this schema: llama.cpp rejects its grammar", param="response_format")
        self._lib.llama_sampler_free(sampler)
        return grammars.LlamaGrammar.from_string(rules, verbose=False)

    def _tokens(self, prompt: list[int], options: Mapping[str, Any]) -> Iterator[int]:
        generated = self._llama.generate(prompt, **options)
        try:
            while (token := self._computed(next, generated, None)) is not None:
                yield token
                self._check_cancelled()
        finally:
            generated.close()

    def _computed(self, compute: Callable[..., Any], *arguments: Any) -> Any:
        """The result; InferenceCancelled where llama.cpp failed because the abort callback told it to."""
        try:
            return compute(*arguments)
        except RuntimeError:
            self._check_cancelled()
            raise

    def _eval(self, tokens: Sequence[int]) -> None:
        """Replaces `Llama.eval`: checks for a cancellation before each batch, since graphics cards don't call the abort callback."""
        for start in range(0, len(tokens), self._llama.n_batch):
            self._check_cancelled()
            self._plain_eval(tokens[start : start + self._llama.n_batch])
        if self._evaluated is None:  # the first call has the prompt
            self._evaluated = len(tokens)

    def _check_cancelled(self) -> None:
        if self._is_cancelled():
            raise InferenceCancelled

    def _bytes(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of a token. `special`: of control tokens, too."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = self._lib.llama_token_to_piece(self._vocab, token, buffer, size, 0, special)
            if length >= 0:
                return buffer.raw[:length]
            size = -length

    def _keep_log(self) -> None:
        """Keeps llama.cpp's last errors, which say why a file can't be loaded."""

        def note(level: int, text: bytes, _: object) -> None:
            if level == 4:  # GGML_LOG_LEVEL_ERROR
                self._log = [*self._log[-4:], text.decode(errors="replace").strip()]

        self._log_callback = self._lib.llama_log_callback(note)
        self._lib.llama_log_set(self._log_callback, ctypes.c_void_p(0))


def _header(path: Path) -> GgufHeader:
    try:
        return read_header(path)
    except NotGguf as error:
        raise InferenceRefused(f"can't be loaded: its file {error}") from None
    except OSError as error:
        raise InferenceRefused(f"can't be loaded: its file can't be read ({error.strerror})") from None


def _overlap(text: str, stop: str) -> int:
    """Characters at the end of the text that are the beginning of the stop."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
