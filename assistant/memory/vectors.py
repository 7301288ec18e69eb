"""Vectors of an embedding model beside the index of words: made in the background, compared without NumPy.

Each is kept as 32-bit floats. A search compares the signs of all of an owner's vectors (one bit for each dimension, held in this process) and reads
the floats of the closest few only.
"""

import asyncio
import contextlib
import logging
import math
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import groupby
from operator import attrgetter, mul
from typing import Final

from assistant.contracts.causes import Cause, Payer
from assistant.contracts.errors import NanobotError, traceback_location
from assistant.contracts.ledger import BudgetUsedUp
from assistant.contracts.models import EmbeddingProvider
from assistant.contracts.search import SearchKind
from assistant.store import search_vectors as rows
from assistant.store.database import Database

log = logging.getLogger(__name__)

QUERY_SECONDS: Final = 3.0
"""A model that takes longer for the question is done without."""
_SEMANTIC: Final = 0.6
_LEXICAL: Final = 0.3
"""What the order by vectors counts against that by words: of a model that knows meanings, and of the offline one, which knows words only."""
_BATCH: Final = 32
_MOST_CHARS: Final = 4_000
_CLOSEST: Final = 256
_SPACES: Final = 8
"""Whose signs are held at once."""
_AGAIN_SECONDS: Final = (30.0, 300.0, 1800.0)


@dataclass(slots=True)
class _Signs:
    """Of a space: entries in order, and the signs of their vectors."""

    entries: list[int] = field(default_factory=list[int])
    bits: list[int] = field(default_factory=list[int])


class Vectors:
    """Finds what is near in meaning. `model`: the id under which vectors are kept; those of another model are made anew."""

    def __init__(self, database: Database, model: str, open_model: Callable[[], Awaitable[EmbeddingProvider]]) -> None:
        self._database = database
        self._model = model
        self._open = open_model
        self.weight = _SEMANTIC
        self._signs: OrderedDict[int, _Signs] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._reading = asyncio.Lock()

    def wake(self) -> None:
        """There may be entries without a vector. Costs nothing."""
        self._woken.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def nearest(self, owner: str, kind: SearchKind, vector: Sequence[float], most: int) -> Mapping[int, float]:
        """The owner's entries whose vectors are nearest, by cosine."""
        space = await self._database.read(lambda connection: rows.space_of(connection, owner, kind))
        if space is None:
            return {}
        async with self._reading:
            signs = await self._known(space)
        asked = signs_of(vector)
        near = await asyncio.to_thread(closest, asked, signs.entries, signs.bits, _CLOSEST)
        stored = await self._database.read(lambda connection: rows.vectors_of(connection, self._model, near))
        cosines = {entry: cosine(vector, packed) for entry, packed in stored}
        best = sorted(cosines, key=lambda entry: (-cosines[entry], -entry))[:most]
        return {entry: cosines[entry] for entry in best}

    async def of(self, text: str, owner: str) -> Sequence[float] | None:
        """The vector of a question of `owner`, of length 1; None where the model does not give one in time."""
        try:
            async with asyncio.timeout(QUERY_SECONDS):
                model = await self._open()
                self.weight = _LEXICAL if model.info.provider == "offline" else _SEMANTIC
                embedded = await model.embed([text[:_MOST_CHARS]], None, payer=_payer(owner))
        except (NanobotError, TimeoutError) as error:
            log.warning("search.no_vector error=%s", type(error).__qualname__)
            return None
        return unit(embedded.vectors[0])

    async def fill(self) -> int:
        """Make the vectors that are missing; returns how many. Raises what the model raises, and StoreUnavailable; BudgetUsedUp once those whose
        budget allows it have theirs."""
        made = behind = 0
        refused: dict[str, BudgetUsedUp] = {}
        while waiting := await self._database.read(
            lambda connection, after=behind: rows.without_vector(connection, self._model, after, _BATCH)
        ):
            behind = waiting[-1].entry
            by_owner = sorted([each for each in waiting if each.text.strip()], key=attrgetter("owner"))
            for owner, group in groupby(by_owner, key=attrgetter("owner")):
                if owner in refused:
                    continue
                texts = list(group)
                try:
                    embedded = await (await self._open()).embed([each.text[:_MOST_CHARS] for each in texts], None, payer=_payer(owner))
                except BudgetUsedUp as error:
                    refused[owner] = error
                    continue
                packed = [(each.entry, each.space, pack(unit(vector))) for each, vector in zip(texts, embedded.vectors, strict=True)]
                await self._database.write(lambda connection, new=packed: rows.keep(connection, self._model, new))
                made += len(texts)
        for error in refused.values():
            raise error
        return made

    async def _run(self) -> None:
        failures = 0
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                await self.fill()
                failures = 0
            except Exception as error:  # noqa: BLE001 - tried another time: it must not end with one answer that is no vector
                reason = error.code if isinstance(error, NanobotError) else traceback_location(error)
                log.warning("search.vectors_wait reason=%s", reason)
                await asyncio.sleep(_AGAIN_SECONDS[min(failures, len(_AGAIN_SECONDS) - 1)])
                failures += 1
                self._woken.set()

    async def _known(self, space: int) -> _Signs:
        """The signs of a space, with those that were added since."""
        signs = self._signs.pop(space, None) or _Signs()
        self._signs[space] = signs
        while len(self._signs) > _SPACES:
            self._signs.popitem(last=False)
        behind = signs.entries[-1] if signs.entries else 0
        while new := await self._database.read(lambda connection, after=behind: rows.after(connection, self._model, space, after)):
            signs.bits += await asyncio.to_thread(_signs_of_all, [packed for _, packed in new])
            signs.entries += [entry for entry, _ in new]
            behind = new[-1][0]
        return signs


def _payer(owner: str) -> Payer:
    return Payer(owner=owner, caller=owner, cause=Cause(kind="memory"))


def _signs_of_all(packed: Sequence[bytes]) -> list[int]:
    return [signs_of(floats(each)) for each in packed]


def unit(vector: Sequence[float]) -> Sequence[float]:
    norm = math.sqrt(math.fsum(value * value for value in vector))
    return [value / norm for value in vector] if norm else vector


def pack(vector: Sequence[float]) -> bytes:
    """32-bit floats, little-endian on every machine that Python runs this on."""
    return array("f", vector).tobytes()


def floats(packed: bytes) -> Sequence[float]:
    return memoryview(packed).cast("f")


def signs_of(vector: Sequence[float]) -> int:
    """A bit for each dimension: whether it is positive."""
    return int("".join(["1" if value > 0 else "0" for value in vector]) or "0", 2)


def closest(asked: int, entries: Sequence[int], bits: Sequence[int], most: int) -> list[int]:
    """The entries whose signs differ least. 100,000 of 384 dimensions: some tens of milliseconds, for a thread."""
    differ = [(asked ^ each).bit_count() for each in bits]
    if len(differ) <= most:
        return list(entries)
    places = nsmallest(most, range(len(differ)), key=differ.__getitem__)
    return [entries[place] for place in places]


def cosine(vector: Sequence[float], packed: bytes) -> float:
    """Of two vectors of length 1; 0 where their dimensions differ."""
    other = floats(packed)
    return sum(map(mul, vector, other)) if len(other) == len(vector) else 0.0
