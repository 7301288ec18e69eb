"""Answers as models write them, made from a seed: every word of them is another one, so that none can get lost unseen."""

import random
from collections.abc import Iterator

_SCRIPTS = (
    "word{}",
    "слово{}",
    "字{}文",
    "كلمة{}",
    "שלום{}",
    "e\u0301tude{}",
    "👩‍👩‍👧‍👦{}",
    "🇩🇪🇫🇷{}",
    "👍🏽{}",
    "x_{}_y",
    "2*{}*3",
    "C:\\dir{}",
    "a<b{}>c",
    "R&D{}",
)


class Answer:
    """A text under way, and the words in it, in order."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._count = 0
        self._seed = seed

    def word(self) -> str:
        self._count += 1
        kind = self._random.choice(_SCRIPTS) if self._random.random() < 0.2 else "word{}"
        return kind.format(f"q{self._seed}z{self._count}k")

    def words(self, most: int = 30) -> str:
        return " ".join(self._styled() for _ in range(self._random.randint(1, most)))

    def _styled(self) -> str:
        forms = ["{}"] * 12 + [
            "**{}**",
            "*{}*",
            "`{}`",
            "~~{}~~",
            "||{}||",
            "***{}***",
            "**_{}_**",
            "{}.",
            "{}!",
            "[{}](https://example.org/a_b?c=d&e=f)",
        ]
        forms += [
            "![{}](https://example.org/p.png)",
            "[{}](notes.md)",
            "$\\alpha_{{{}}}$",
            "**{}",
            "`{}",
            "[{}](",
            "<b>{}</b>",
            "@everyone {}",
            "<@123> {}",
            "https://e.org/{}",
            "{}\n",
        ]
        return self._random.choice(forms).format(self.word())

    def block(self) -> str:
        kinds = [
            self.paragraph,
            self.paragraph,
            self.heading,
            self.listing,
            self.code,
            self.table,
            self.quote,
            lambda: "---",
            lambda: f"$$\n{self.word()}^2\n$$",
        ]
        return self._random.choice(kinds)()

    def paragraph(self) -> str:
        return self.words(self._random.choice([10, 60, 400]))

    def heading(self) -> str:
        return "#" * self._random.randint(1, 6) + " " + self.words(6).replace("\n", " ")

    def listing(self) -> str:
        lines: list[str] = []
        depth = 0
        for place in range(self._random.choice([3, 8, 120])):
            depth = max(0, min(6, depth + self._random.choice([-1, 0, 0, 1])))
            mark = self._random.choice(["-", "*", "1.", f"{place + 1})", "- [ ]", "- [x]"])
            lines.append("   " * depth + f"{mark} {self.words(12).replace(chr(10), ' ')}")
        return "\n".join(lines)

    def code(self) -> str:
        lines = [f"{'    ' * self._random.randint(0, 3)}{self.word()} = {self.word()}" for _ in range(self._random.choice([2, 10, 300]))]
        fence, end = self._random.choice([("```python", "```"), ("```", "```"), ("~~~sh", "~~~"), ("````md", "````"), ("```js", "")])
        return "\n".join([fence, *lines, end])

    def table(self) -> str:
        columns = self._random.randint(1, 6)
        row = lambda: "| " + " | ".join(self._cell() for _ in range(columns)) + " |"  # noqa: E731 - said three times below
        return "\n".join([row(), "|" + "---|" * columns, *[row() for _ in range(self._random.choice([1, 5, 80]))]])

    def _cell(self) -> str:
        return self._random.choice(["{}", "**{}**", "{} {}"]).format(self.word(), self.word())

    def quote(self) -> str:
        return "\n".join(f"{'> ' * self._random.randint(1, 3)}{line}" for line in self.words(40).split("\n"))


def answers(count: int) -> Iterator[str]:
    """So many, the same ones each time."""
    for seed in range(count):
        answer = Answer(seed)
        yield "\n\n".join(answer.block() for _ in range(random.Random(seed).randint(1, 14)))
