"""Writes an untrained llama of a few hundred kilobytes with a tokenizer and a chat template, which llama.cpp can load."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

CONTEXT = 256
WIDTH = 32
_LAYERS = 2
_HEADS = 4
_FORWARD = 64
_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789.,:;{}[]"-+ _'
_SPECIAL = ["<unk>", "<s>", "</s>"]
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' and 'forbidden' in message['content'] %}"
    "{{ raise_exception('nobody says that here') }}{% endif %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}assistant: "
)


def write_tiny(path: Path, *, template: str | None = TEMPLATE, ends: bool = False) -> Path:
    """Writes the file. The model generates random-looking letters, digits and signs, the same ones for the same seed. `ends`: its first token
    ends the answer."""
    gguf: Any = pytest.importorskip("gguf", reason="the package 'gguf' is not installed: make test-local installs it")
    numpy: Any = import_module("numpy")
    pieces = [*_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *(letter.replace(" ", "\u2581") for letter in _LETTERS)]
    kinds = [_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256, *[_NORMAL] * len(_LETTERS)]
    chance = numpy.random.default_rng(7)

    def weights(*shape: int) -> Any:
        made = chance.normal(0, 0.3, shape).astype(numpy.float32)
        made[..., 0, :] = 0  # keeps the first hidden number as the embedding sets it
        return made

    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(pieces))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores([-float(place) for place in range(len(pieces))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    if template is not None:
        writer.add_chat_template(template)
    embedding = chance.normal(0, 0.5, (len(pieces), WIDTH)).astype(numpy.float32)
    embedding[:, 0] = 8.0
    output = chance.normal(0, 1, (len(pieces), WIDTH)).astype(numpy.float32)
    output[:259, 0] = -50.0  # all but letters are practically never sampled
    output[259:, 0] = 0.0
    if ends:
        output[2, 0] = 50.0
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", numpy.ones(WIDTH, dtype=numpy.float32))
    for layer in range(_LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", numpy.ones(WIDTH, dtype=numpy.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", weights(WIDTH, WIDTH))
        writer.add_tensor(f"blk.{layer}.ffn_gate.weight", weights(_FORWARD, WIDTH))
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", weights(_FORWARD, WIDTH))
        writer.add_tensor(f"blk.{layer}.ffn_down.weight", weights(WIDTH, _FORWARD))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
