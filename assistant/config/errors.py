"""The error of a configuration that can't be used."""

from assistant.contracts.records import record


@record
class ConfigProblem:
    path: tuple[str, ...]
    """The key, in camelCase; empty: the file as a whole."""
    text: str
    """What is wrong with it, and what to write instead where that is known. Never holds a value that may be secret."""
    origin: str = ""
    """The file's path, or the environment variable; empty: unknown."""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.origin, ".".join(self.path), self.text) if part)


class ConfigError(Exception):
    """The configuration can't be used. `str(error)` has a line for each problem, for the person who fixes it."""

    def __init__(self, *problems: ConfigProblem) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))
