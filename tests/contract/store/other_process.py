"""Another process on a store, to be killed or to compete: `other_process.py <what> <url> <state folder> [<name>]`.

Each line that it prints is something that the store has promised by then.
"""

import asyncio
import resource
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from assistant.contracts.access import Limits
from assistant.contracts.documents import ReadDocument
from assistant.contracts.errors import RateLimited, StoreUnavailable
from assistant.contracts.ledger import Reservation
from assistant.contracts.messages import AssistantMessage, Text, ToolCall, UserMessage
from assistant.contracts.sessions import NewTurn
from assistant.contracts.turns import Upload
from assistant.contracts.util import new_id
from assistant.contracts.workflows import NewJob
from assistant.store.database import StoreSettings, Transaction
from assistant.store.idempotency import IdempotencyClaim
from assistant.store.responses import KeptResponse
from assistant.store.sessions import PULSE
from assistant.store.store import Store, open_store
from tests.contract.store.charged import a_call, a_window
from tests.contract.store.sent import claimed, event, parts, receipt

WRITES = 200
FAR = timedelta(days=10_000)


def tell(words: str) -> None:
    print(words, flush=True)


def turn(turn_id: str, text: str, session: str = "api:one") -> NewTurn:
    return NewTurn(id=turn_id, owner="anna", session=session, message=UserMessage(id=new_id("msg"), parts=(Text(text=text),)))


async def begin(store: Store) -> None:
    """Begin a turn and never end it."""
    await store.sessions.begin_turn(turn("turn_begun", "my words"), None)
    tell("begun")
    await asyncio.Event().wait()


async def step(store: Store) -> None:
    """Begin a turn, ask for a tool, and never get its result."""
    await store.sessions.begin_turn(turn("turn_begun", "my words"), None)
    call = ToolCall(id="call_1", name="look", arguments="{}")
    await store.sessions.append_step("turn_begun", [AssistantMessage(id=new_id("msg"), tool_calls=(call,), finish_reason="tool_calls")])
    tell("begun")
    await asyncio.Event().wait()


async def job(store: Store) -> None:
    """Accept a job, begin its first node, and never end it."""
    await store.jobs.add(NewJob(id="job_1", owner="anna", workflow="main", sources={}, inputs={}))
    await store.jobs.begin("job_1")
    await store.jobs.start_node("job_1", "a", "turn_a")
    tell("job_1")
    await asyncio.Event().wait()


async def link(store: Store) -> None:
    """Join person after person, each with a session, to one, and tell each that is joined."""
    await store.people.of("anna")
    for number in range(WRITES):
        person = f"person:{number}"
        await store.people.of(person)
        for place in range(20):
            key = f"api:{number}-{place}"
            text = UserMessage(id=new_id("msg"), parts=(Text(text="hi"),))
            await store.sessions.begin_turn(NewTurn(id=f"turn_{key}", owner=person, session=key, message=text), None)
            await store.sessions.end_turn(f"turn_{key}", "finished", [])
        tell(f"begins {number}")
        await store.links.join(person, "anna")
        tell(f"joined {number}")


async def write(store: Store, name: str) -> None:
    """Write turn after turn, eight at a time, and tell each one that is stored."""

    async def lane(number: int) -> None:
        for count in range(WRITES // 8):
            text = f"{name}-{number}-{count}"
            await store.sessions.begin_turn(turn(f"turn_{text}", text), None)
            await store.sessions.end_turn(f"turn_{text}", "finished", [])
            tell(text)

    await asyncio.gather(*(lane(number) for number in range(8)))


async def send(store: Store) -> None:
    """Claim an event and never send it to its end."""
    claim = await claimed(store)
    await store.outbox.note(claim, plan=parts("a", "b"), start=0)
    await store.outbox.note(claim, receipt=(0, receipt("m1", datetime.now(UTC))), start=1)
    tell("sending")
    await asyncio.Event().wait()


async def take(store: Store) -> None:
    """Take what waits in the inbox, begin the turn and never end it."""
    ((owner, session),) = await store.inbox.waiting()
    taken = await store.inbox.take(owner, session)
    assert taken is not None
    message = UserMessage(id=new_id("msg"), parts=(Text(text=taken.messages[0].text),))
    await store.sessions.begin_turn(NewTurn(id=taken.turn_id, owner=owner, session=session, message=message), None)
    tell(taken.turn_id)
    await asyncio.Event().wait()


async def enqueue(store: Store) -> None:
    """Enqueue one event for each line on standard input."""
    tell("ready")
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        await store.outbox.enqueue([event(line, expires=FAR)])
        tell("enqueued")


async def answer_a_response(store: Store) -> None:
    """Begin a response, and say its id."""
    kept = KeptResponse(id=new_id("resp"), previous=None, session=None, at=datetime.now(UTC), input=(), body={})
    await store.responses.begin("anna", kept)
    tell(kept.id)
    await asyncio.Event().wait()


async def claim_a_key(store: Store) -> None:
    """Be the first under a key, and never answer."""
    first = IdempotencyClaim(id=new_id("clm"), owner="anna", key="k", fingerprint="f1", expires_at=datetime.now(UTC) + FAR)
    tell(str(await store.idempotency.claim(first)))
    await asyncio.Event().wait()


async def listen(store: Store) -> None:
    """Report each notification."""
    rung = asyncio.Event()
    store.notifier.listen(rung.set)
    tell("listening")
    while True:
        await rung.wait()
        rung.clear()
        tell(f"heard {len((await store.outbox.lanes(['telegram'])).ready)}")


async def hold(store: Store) -> None:
    """Let a request in and never end it."""
    await store.limits.admit("key:held", Limits(parallel=1))
    tell("held")
    await asyncio.Event().wait()


async def admit(store: Store, requests: str) -> None:
    """On a word, try to let in as many requests as may be in all, at once; tell how many were."""
    tell("ready")
    await asyncio.to_thread(sys.stdin.readline)

    async def one() -> bool:
        try:
            await store.limits.admit("key:shared", Limits.of(requests_per_minute=int(requests)))
        except RateLimited:
            return False
        return True

    tell(str(sum(await asyncio.gather(*[one() for _ in range(int(requests))]))))


async def reserve(store: Store, budget: str) -> None:
    """On a word, try to reserve 50 calls of 10 tokens of a budget at once; tell how many were."""
    tell("ready")
    await asyncio.to_thread(sys.stdin.readline)
    held = await asyncio.gather(*[store.ledger.reserve(a_call(), [a_window(int(budget))]) for _ in range(50)])
    tell(str(sum(isinstance(each, Reservation) for each in held)))


async def reserve_and_hold(store: Store) -> None:
    """Reserve a call, and never settle it."""
    await store.ledger.reserve(a_call(), [a_window(100)])
    tell("reserved")
    await asyncio.Event().wait()


async def fill_the_disk(store: Store) -> None:
    """Write until files may not grow any more, then go on when they may."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    stored = 0
    try:
        while True:
            await store.sessions.begin_turn(turn(f"turn_{stored}", "x" * 20_000), None)
            stored += 1
    except StoreUnavailable as error:
        tell(f"{stored} {error.message}")
    for attempt in (store.sessions.check(), store.attachments.keep_text("anna", "api:one", "long", "x" * 10_000_000)):
        try:
            await attempt
        except StoreUnavailable as error:
            tell(f"refused {error.message}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await store.sessions.check()
    await store.sessions.begin_turn(turn("turn_after", "after"), None)
    tell(f"{len(await store.sessions.messages('anna', 'api:one'))} messages")
    tell(f"{len(await store.attachments.list('anna', 'api:one'))} attachments")


async def upload(store: Store, folder: Path) -> None:
    """Keep file after file, four at a time, and tell each that is kept."""

    async def lane(number: int) -> None:
        for place in range(WRITES):
            data = bytes([number, place]) * 800_000
            path = folder / f"upload-{number}-{place}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            sent = Upload(name=path.name, path=path, size=len(data), digest=sha256(data).hexdigest())
            tell((await store.files.keep("anna", sent, ReadDocument(format="text", text="Costs"), "user_data")).id)
            path.unlink()

    await asyncio.gather(*(lane(number) for number in range(4)))


async def stop_in_a_write(store: Store) -> None:
    """Stand still (SIGSTOP) in the middle of a write; when it goes on, tell what became of it."""

    def stand_still(connection: Transaction) -> None:
        connection.execute(PULSE, {"at": 1})
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # a signal to the process lets this thread go on for a while
        connection.execute(PULSE, {"at": 2})

    await store.sessions.begin_turn(turn("turn_begun", "my words"), None)
    tell("begun")
    try:
        await store.database.write(stand_still)
        tell("written")
    except StoreUnavailable as error:
        tell(error.message)
    await store.sessions.check()
    tell("goes on")


async def run(what: str, url: str, state_folder: Path, name: str = "") -> None:
    store = await open_store(StoreSettings(url=url), state_folder)
    match what:
        case "begin":
            await begin(store)
        case "step":
            await step(store)
        case "write":
            await write(store, name)
        case "send":
            await send(store)
        case "take":
            await take(store)
        case "enqueue":
            await enqueue(store)
        case "claims_a_key":
            await claim_a_key(store)
        case "answers_a_response":
            await answer_a_response(store)
        case "listen":
            await listen(store)
        case "hold":
            await hold(store)
        case "admit":
            await admit(store, name)
        case "link":
            await link(store)
        case "job":
            await job(store)
        case "reserve":
            await reserve(store, name)
        case "reserve_and_hold":
            await reserve_and_hold(store)
        case "stop":
            await stop_in_a_write(store)
        case "upload":
            await upload(store, state_folder.parent)
        case "fill":
            await fill_the_disk(store)
        case _:
            raise ValueError(what)
    await store.close()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], Path(sys.argv[3]), *sys.argv[4:]))
