"""A long conversation, the same each time: 2,000 turns of chatter, with identifiers here and there."""

import re
from random import Random

TURNS = 2_000
PLANTED = 200
_WORDS = re.findall(
    r"\w+",
    """the garden was quiet today and we talked about bread music rain trains old books a slow river the neighbours their dog some soup and what to
    cook for the weekend although it may be cold again so perhaps tea and a walk would be better than sitting inside all day long with the radio""",
)


def planted(random: Random, number: int) -> str:
    """An identifier of one of eight kinds."""
    digits = f"{random.randrange(10**6):06}"
    return (
        f"KX-{digits}",
        f"{random.choice(['anna', 'boris', 'chloe'])}.{digits}@example.org",
        f"/srv/backups/{digits}/notes.txt",
        f"https://example.org/orders/{digits}",
        f"20{random.randrange(27, 60)}-{random.randrange(1, 13):02}-{random.randrange(1, 29):02}",
        f"+49 30 {digits}{random.randrange(10, 99)}",
        f"{random.getrandbits(64):016x}",
        f"DE{digits}{digits}00",
    )[number % 8]


_ABOUT = ("order", "mail address", "file", "page", "appointment", "phone number", "commit", "account")


def long_talk(seed: int = 7) -> tuple[list[str], list[str]]:
    """What the user says in each turn, and the identifiers among it, all in the first 1,600 turns."""
    random = Random(seed)
    said = [" ".join(random.choices(_WORDS, k=random.randrange(15, 45))).capitalize() + "." for _ in range(TURNS)]
    identifiers: list[str] = []
    for number, place in enumerate(sorted(random.sample(range(10, 1_600), PLANTED))):
        value = planted(random, number)
        identifiers.append(value)
        said[place] += f" By the way, the {_ABOUT[number % 8]} of the {random.choice(_WORDS)} is {value}."
    for place in range(3, TURNS, 11):
        said[place] += f" It was {random.randrange(2, 30)} degrees and {random.randrange(100, 2000)} steps."
    said[4] = "My sister Ottilie Brandt lives in Uppsala and keeps bees."
    return said, identifiers
