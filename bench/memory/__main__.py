"""`python -m bench.memory`: recall of marked evidence, beside plain BM25; exits with 1 where the target is missed."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from assistant.memory.search import StoredSearch
from assistant.memory.vectors import Vectors
from assistant.providers.offline import OfflineEmbeddings
from assistant.store.store import Store
from bench.memory.conversations import Conversation, generate, generate_in
from bench.memory.measured import AT, Recall, filled, ours, plain, recall
from bench.memory.speed import measure

TARGET = 1.08
"""Recall at 10, against the baseline."""

MOST_MS = 15.0
"""p99 of a search."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description="Does search find what was said?")
    parser.add_argument("--seed", type=int, default=100, help="the first of the seeds: other conversations, other questions")
    parser.add_argument("--conversations", type=int, default=4, help="of each kind")
    parser.add_argument("--kinds", action="store_true", help="each kind of question in a line of its own")
    parser.add_argument(
        "--vectors", action="store_true", help="with the offline embedding model as well, which knows words and not what they mean"
    )
    parser.add_argument("--speed", action="store_true", help="only how long a search takes over 100,000 messages of one person")
    given = parser.parse_args()
    if given.speed:
        return asyncio.run(_time())
    return asyncio.run(_measure(given.seed, given.conversations, kinds=given.kinds, vectors=given.vectors))


async def _measure(seed: int, count: int, *, kinds: bool, vectors: bool) -> int:
    seeds = range(seed, seed + count)
    sets: dict[str, list[Conversation]] = {
        "English, chat": [generate(number, "chat") for number in seeds],
        "English, letters": [generate(number, "letters") for number in seeds],
        **{
            name: [generate_in(code, number) for number in seeds]
            for name, code in (("German", "de"), ("Russian", "ru"), ("Japanese", "ja"))
        },
    }
    print(f"{'':34}{'questions':>10}" + "".join(f"{f'recall@{most}':>11}" for most in AT))
    missed = False
    for name, conversations in sets.items():
        baseline = await recall(conversations, plain)
        async with filled(conversations) as store:
            found = await recall(conversations, ours(StoredSearch(store.database, store.history)))
            with_vectors = await _recall_with_vectors(store, conversations) if vectors else None
        _show(f"{name}: plain BM25", baseline, kinds=kinds)
        _show(f"{name}: nanobot", found, kinds=kinds)
        if with_vectors:
            _show(f"{name}: nanobot, vectors", with_vectors, kinds=kinds)
        ratio = found.at(10) / baseline.at(10)
        missed |= ratio < TARGET
        print(f"{'':34}{'':10}{'':>11}{f'{ratio:.2f} ×':>11}")
    return 1 if missed else 0


async def _recall_with_vectors(store: Store, conversations: Sequence[Conversation]) -> Recall:
    model = OfflineEmbeddings(256)

    async def opened() -> OfflineEmbeddings:
        return model

    vectors = Vectors(store.database, "offline-embedding", opened)
    await vectors.fill()
    try:
        return await recall(conversations, ours(StoredSearch(store.database, store.history, vectors=vectors)))
    finally:
        await vectors.close()


async def _time() -> int:
    speed = await measure()
    print(
        f"search over {speed.rows:,} messages: p50 {speed.p50:.1f} ms, p99 {speed.p99:.1f} ms; indexing {speed.indexing:.0f} µs a message"
    )
    return 1 if speed.p99 > MOST_MS else 0


def _show(name: str, counted: Recall, *, kinds: bool) -> None:
    rows: Sequence[str] = [*counted.asked] if kinds else ["all"]
    for kind in sorted(rows):
        label = name if kind == "all" else f"  {kind}"
        print(f"{label:34}{counted.asked[kind]:>10}" + "".join(f"{counted.at(most, kind):>11.3f}" for most in AT))


if __name__ == "__main__":
    sys.exit(main())
