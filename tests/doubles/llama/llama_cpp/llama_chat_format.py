"""Stand-in for the chat templates of llama-cpp-python."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace


class _TemplateError(Exception):
    pass


jinja2 = SimpleNamespace(TemplateError=_TemplateError)


class Jinja2ChatFormatter:
    def __init__(self, *, template: str, bos_token: str, eos_token: str) -> None:
        """The template is fixed."""

    def __call__(self, *, messages: Sequence[Mapping[str, str]]) -> SimpleNamespace:
        if any("FORBIDDEN" in message["content"] for message in messages):
            raise _TemplateError("there is no such role")
        return SimpleNamespace(prompt="".join(f"{message['role']}: {message['content']}\n" for message in messages))
