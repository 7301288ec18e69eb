"""llama.cpp itself: a loaded file that goes on with tokens or makes vectors. Imported in the worker only."""

import ctypes
from array import array
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import orjson

from assistant.providers.gguf.header import Header, NotGguf, read_header
from assistant.providers.gguf.words import Words

_MEAN: Final = 1
_RANK: Final = 4
_SIDE_BY_SIDE: Final = 16
"""Texts of which vectors are made at the same time."""
_ERROR: Final = 4
"""llama.cpp's level of a log line."""


class Refused(Exception):
    """This can't be done; the text is for whoever asked, and ends "The model 'x' …" or is a sentence of its own."""

    def __init__(self, words: str, *, kind: str = "request", param: str | None = None, detail: str = "") -> None:
        """`kind`: "context" or "request". `detail`: for the log."""
        super().__init__(words)
        self.words = words
        self.kind = kind
        self.param = param
        self.detail = detail


class Cancelled(Exception):
    """Nobody waits for it any more."""


class Inference:
    """A loaded file. One thing at a time, on the thread that loaded it."""

    def __init__(self, order: Mapping[str, Any], stop: Callable[[], bool]) -> None:
        """`order`: path, type, and null or a number for context, threads, gpu_layers, dimensions. `stop`: asked again and again while something
        is computed (many times a second); True: leave it. Raises Refused."""
        self._stop = stop
        self._type = order["type"]
        self._log: list[str] = []
        try:
            self._lib: Any = import_module("llama_cpp")
        except ImportError as error:
            raise Refused("is a file, and what runs such files is not installed: the extra 'local'", detail=str(error)) from None
        self._formats: Any = import_module("llama_cpp.llama_chat_format")
        self._broken = cast("type[Exception]", self._formats.jinja2.TemplateError)
        self._keep_log()
        path, header = Path(order["path"]), _header(Path(order["path"]))
        self.context: int = order["context"] or header.context(embedding=self._type == "embedding")
        self._llama = self._load(path, header, order)
        self._vocab = self._lib.llama_model_get_vocab(self._llama.model)
        self._template: Any = self._chat_template() if self._type == "chat" else None
        self.dimensions: int = self._llama.n_embd()
        if self._type == "embedding" and order["dimensions"] not in (None, self.dimensions):
            raise Refused(f"makes vectors of {self.dimensions} numbers, and its configuration says {order['dimensions']} (dimensions)")
        self._fresh: int | None = None
        self._plain_eval: Callable[[Sequence[int]], None] = self._llama.eval
        self._llama.eval = self._eval
        self._abort = self._lib.ggml_abort_callback(self._aborts)
        self._lib.llama_set_abort_callback(self._llama.ctx, self._abort, None)

    def write(self, order: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
        """Go on with `messages` (roles and contents) or `prompt`; how it ended. Raises Refused, Cancelled."""
        tokens = self._prompt(order)
        room = self.context - len(tokens)
        if room < 1:
            raise Refused(f"takes {self.context:,} tokens, and this is {len(tokens):,}", kind="context")
        wanted: dict[str, Any] = order["sampling"]
        limit = min(wanted.get("max_tokens") or room, room)
        words, said, reason = Words(wanted.get("stop") or ()), 0, "length"
        drawn = self._drawn(wanted)
        self._fresh = None
        for token in self._tokens(tokens, drawn):
            if self._lib.llama_vocab_is_eog(self._vocab, token):
                reason = "stop"
                break
            said += 1
            if text := words.take(self._piece(token)):
                say(text)
            if words.stopped:
                break
            if said >= limit:
                break
        if text := words.rest():
            say(text)
        cached = len(tokens) - (self._fresh or 0)
        return {
            "end": "stop" if words.stopped else reason,
            "prompt_tokens": len(tokens),
            "completion_tokens": said,
            "cached_tokens": cached,
        }

    def embed(self, order: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
        """Say a vector of each of `texts`, of the length 1, as base64 of 32-bit floats. Raises Refused, Cancelled."""
        texts: list[str] = order["texts"]
        if order["dimensions"] not in (None, self.dimensions):
            raise Refused(f"makes vectors of {self.dimensions} numbers and no others", param="dimensions")
        counts = list(map(self._length, texts))
        if max(counts) > self.context:
            raise Refused(f"takes {self.context:,} tokens of a text, and one here has {max(counts):,}", kind="context", param="input")
        for start in range(0, len(texts), _SIDE_BY_SIDE):
            self._leave_if_told()
            part = texts[start : start + _SIDE_BY_SIDE]
            made: list[list[float]] = self._computed(partial(self._llama.embed, part, normalize=True, truncate=False))
            for vector in made:
                say(b64encode(array("f", vector).tobytes()).decode())
        return {"end": "stop", "prompt_tokens": sum(counts), "completion_tokens": 0, "cached_tokens": 0}

    def _length(self, text: str) -> int:
        """In tokens."""
        self._leave_if_told()
        return len(self._llama.tokenize(text.encode()))

    def _load(self, path: Path, header: Header, order: Mapping[str, Any]) -> Any:
        more: dict[str, Any] = {}
        if self._type == "embedding":
            if header.pooling == _RANK:
                raise Refused("ranks texts, and makes no vectors")
            more = {"embedding": True, "n_batch": self.context, "n_ubatch": self.context}
            if not header.pooling:
                more["pooling_type"] = _MEAN
        try:
            return self._lib.Llama(
                model_path=str(path),
                n_ctx=self.context,
                n_threads=order["threads"],
                n_threads_batch=order["threads"],
                n_gpu_layers=order["gpu_layers"],
                verbose=False,
                **more,
            )
        except self._broken as error:
            raise Refused("has a chat template that can't be read", detail=str(error)) from None
        except (ValueError, RuntimeError, MemoryError) as error:
            words = (
                "can't be loaded: its file is damaged or of a kind that the installed llama.cpp does not know, or there is too little memory "
                "for it (a smaller contextLength needs less); the log says more"
            )
            raise Refused(words, detail=" ".join([str(error), *self._log])) from None

    def _chat_template(self) -> Any:
        written = self._llama.metadata.get("tokenizer.chat_template")
        if not written:
            raise Refused('has no chat template in its file: give it the type "completion"')
        texts = [self._piece(token, special=True).decode(errors="replace") if token >= 0 else "" for token in self._bounds()]
        return self._formats.Jinja2ChatFormatter(template=written, bos_token=texts[0], eos_token=texts[1])

    def _prompt(self, order: Mapping[str, Any]) -> list[int]:
        adds_bos = bool(self._lib.llama_vocab_get_add_bos(self._vocab))
        if "prompt" in order:
            return self._llama.tokenize(order["prompt"].encode(), add_bos=adds_bos, special=True)
        try:
            text: str = self._template(messages=order["messages"]).prompt
        except (ValueError, TypeError, self._broken) as error:
            raise Refused(f"has a chat template that does not take this conversation: {str(error)[:300]}", param="messages") from None
        tokens: list[int] = self._llama.tokenize(text.encode(), add_bos=False, special=True)
        bos = self._bounds()[0]
        return [bos, *tokens] if adds_bos and tokens[:1] != [bos] else tokens

    def _drawn(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """How tokens are drawn: what is left open is as llama.cpp has it."""
        chance: int = self._lib.LLAMA_DEFAULT_SEED
        self._llama.set_seed(chance if wanted.get("seed") is None else wanted["seed"] % chance)
        names = {"temperature": "temp", "top_p": "top_p", "presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty"}
        given = {theirs: wanted[ours] for ours, theirs in names.items() if wanted.get(ours) is not None}
        grammar = self._grammar(wanted.get("response_format") or {})
        return given if grammar is None else {**given, "grammar": grammar}

    def _grammar(self, form: Mapping[str, Any]) -> Any:
        """What keeps an answer to the form that was asked for. None: any words will do."""
        if form.get("type", "text") == "text":
            return None
        grammars: Any = import_module("llama_cpp.llama_grammar")
        match form["type"]:
            case "json_object":
                rules = grammars.JSON_GBNF
            case "json_schema":
                described: dict[str, Any] = form.get("json_schema") or {}
                schema: object = described.get("schema") or {}
                try:
                    rules = grammars.json_schema_to_gbnf(orjson.dumps(schema).decode())
                except (ValueError, TypeError, KeyError, AttributeError, AssertionError, RecursionError) as error:
                    words = f"can't keep to this schema: {type(error).__name__} {str(error)[:200]}".rstrip()
                    raise Refused(words, param="response_format") from None
            case kind:
                raise Refused(f"does not know the form '{str(kind)[:100]}'", param="response_format")
        sampler = self._lib.llama_sampler_init_grammar(self._vocab, rules.encode(), b"root")
        if not sampler:
            raise Refused("can't keep to this schema: llama.cpp does not take the grammar made of it", param="response_format")
        self._lib.llama_sampler_free(sampler)
        return grammars.LlamaGrammar.from_string(rules, verbose=False)

    def _tokens(self, tokens: list[int], drawn: Mapping[str, Any]) -> Iterator[int]:
        generated = self._llama.generate(tokens, **drawn)
        try:
            while (token := self._computed(next, generated, None)) is not None:
                yield token
                self._leave_if_told()
        finally:
            generated.close()

    def _computed(self, compute: Callable[..., Any], *given: Any) -> Any:
        """What it gives. Raises Cancelled where it was told to stop in the middle."""
        try:
            return compute(*given)
        except RuntimeError:
            self._leave_if_told()
            raise

    def _eval(self, tokens: Sequence[int]) -> None:
        """In place of the library's own: batch by batch, so that it can be left between two (no graphics card asks on the way)."""
        for start in range(0, len(tokens), self._llama.n_batch):
            self._leave_if_told()
            self._plain_eval(tokens[start : start + self._llama.n_batch])
        if self._fresh is None:  # the prompt, without what was there from the one before
            self._fresh = len(tokens)

    def _aborts(self, _: object) -> bool:
        """Asked by llama.cpp between two steps of a computation on the processor."""
        return self._stop()

    def _leave_if_told(self) -> None:
        if self._stop():
            raise Cancelled

    def _bounds(self) -> tuple[int, int]:
        return self._llama.token_bos(), self._llama.token_eos()

    def _piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of a token; of those that only steer, none."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = self._lib.llama_token_to_piece(self._vocab, token, buffer, size, 0, special)
            if length >= 0:
                return buffer.raw[:length]
            size = -length

    def _keep_log(self) -> None:
        """Of what llama.cpp prints, its last errors: they say why a file can't be loaded."""

        def note(level: int, text: bytes, _: object) -> None:
            if level == _ERROR:
                self._log = [*self._log[-4:], text.decode(errors="replace").strip()]

        self._noting = self._lib.llama_log_callback(note)
        self._lib.llama_log_set(self._noting, ctypes.c_void_p(0))


def _header(path: Path) -> Header:
    try:
        return read_header(path)
    except NotGguf as error:
        raise Refused(f"can't be loaded: its file {error}") from None
    except OSError as error:
        raise Refused(f"can't be loaded: its file can't be read ({error.strerror})") from None
