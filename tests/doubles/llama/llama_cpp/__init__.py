"""Stand-in for llama-cpp-python, for workers whose PYTHONPATH begins with this folder's parent. Has what the worker uses.

A token is a byte; 0 ends an answer. It answers "tok0 tok1 tok2", or by a word in the prompt: STALL (one endless step that never calls the abort
callback), SLOW (a byte every 5 ms, endlessly), PID (its process id).
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from ctypes import Array, c_char

LLAMA_DEFAULT_SEED = 2**32 - 1
_CONTEXT = 256
_DIMENSIONS = 4


class Llama:
    def __init__(self, *, model_path: str, n_ctx: int, embedding: bool = False, **more: object) -> None:
        with open(model_path, "rb") as file:
            if b"UNLOADABLE" in file.read(1_000):
                raise ValueError("Failed to load model from file")
        self.model = self.ctx = model_path
        self.metadata = {"tokenizer.chat_template": "{% plain %}"}
        self.n_batch = min(n_ctx, _CONTEXT)

    def n_embd(self) -> int:
        return _DIMENSIONS

    def token_bos(self) -> int:
        return 2

    def token_eos(self) -> int:
        return 0

    def set_seed(self, seed: int) -> None:
        """Nothing here is random."""

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = False) -> list[int]:
        return [2] * add_bos + list(text)

    def eval(self, tokens: Sequence[int]) -> None:
        if b"STALL" in bytes(tokens):
            time.sleep(3_600)

    def generate(self, tokens: Sequence[int], **drawn: object) -> Iterator[int]:
        self.eval(tokens)
        prompt = bytes(tokens)
        while b"SLOW" in prompt:
            yield ord("s")
            time.sleep(0.005)
        yield from str(os.getpid()).encode() if b"PID" in prompt else b"tok0 tok1 tok2"
        yield 0

    def embed(self, texts: Sequence[str], *, normalize: bool, truncate: bool) -> list[list[float]]:
        return [[1.0 if place == len(text) % _DIMENSIONS else 0.0 for place in range(_DIMENSIONS)] for text in texts]


def ggml_abort_callback(asked: Callable[[object], bool]) -> Callable[[object], bool]:
    return asked


def llama_set_abort_callback(context: object, asked: object, data: object) -> None:
    """No step here calls it."""


def llama_log_callback(note: object) -> object:
    return note


def llama_log_set(note: object, data: object) -> None:
    """Nothing is logged here."""


def llama_model_get_vocab(model: object) -> object:
    return model


def llama_vocab_get_add_bos(vocab: object) -> bool:
    return True


def llama_vocab_is_eog(vocab: object, token: int) -> bool:
    return token == 0


def llama_token_to_piece(vocab: object, token: int, buffer: Array[c_char], size: int, strip: int, special: bool) -> int:
    buffer[0] = token
    return 1
