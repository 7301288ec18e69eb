"""Keys: who has one, whatever its characters."""

import pytest

from assistant.access.principals import OWNER, OpenAccess, SharedKeys
from assistant.contracts.errors import Unauthenticated


async def test_without_a_key_whoever_reaches_the_server_is_its_owner() -> None:
    assert await OpenAccess().identify(None) == OWNER
    assert await OpenAccess().identify(b"Bearer anything") == OWNER


@pytest.mark.parametrize("key", ["secret", "Schlüssel-日本", "with space", "x" * 10_000])
async def test_the_key_makes_its_bearer_the_same_owner(key: str) -> None:
    access = SharedKeys([key])
    assert await access.identify(f"Bearer {key}".encode()) == OWNER
    assert await access.identify(f"bearer  {key} ".encode()) == OWNER
    wrong = [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer \xff",
        *[text.encode() for text in (f"Basic {key}", f"Bearer {key}x", f"Bearer {key[:-1]}")],
    ]
    for value in wrong:
        with pytest.raises(Unauthenticated):
            await access.identify(value)


@pytest.mark.parametrize("key", ["", " ", "\t\n"])
def test_an_empty_key_never_comes_to_mean_an_open_door(key: str) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        SharedKeys([key])


def test_the_key_itself_is_not_kept() -> None:
    assert "secret" not in repr(SharedKeys(["secret"]))
