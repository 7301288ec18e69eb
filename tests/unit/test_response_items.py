"""Responses that are looked back on, as items: no more than a turn can be made of at once."""

from datetime import UTC, datetime

from assistant.api.responses.items import recalled
from assistant.store.responses import Item, KeptResponse


def response(number: int, items: int) -> KeptResponse:
    item: Item = {"id": f"msg_{number}", "type": "message", "role": "user", "content": str(number)}
    answer: Item = {"id": f"msg_{number}", "type": "message", "role": "assistant", "content": f"answer {number}"}
    return KeptResponse(
        id=f"resp_{number}",
        previous=None,
        session=None,
        at=datetime.now(UTC),
        state="ended",
        input=(item,) * items,
        body={"output": [answer]},
    )


def contents(chain: list[KeptResponse]) -> list[object]:
    return [item.content for item in recalled(chain) if item.type == "message"]


def test_items_are_in_the_order_in_which_they_were_said() -> None:
    assert contents([response(1, 2), response(2, 1)]) == ["1", "1", "answer 1", "2", "answer 2"]


def test_of_very_many_items_those_of_the_latest_responses_are_recalled_each_whole() -> None:
    chain = [response(number, 2_047) for number in range(8)]
    assert len(contents(chain)) == 8_192
    assert contents(chain)[0] == "4"
    chain = [response(1, 1), response(2, 9_000)]
    assert len(contents(chain)) == 9_001
