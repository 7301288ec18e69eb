"""Which addresses are this machine's own."""

import pytest

from assistant.access.authenticator import is_loopback


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "::ffff:127.0.0.1", "localhost", "LOCALHOST."])
def test_this_machines_own_are_known(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "::", "10.0.0.7", "::ffff:10.0.0.7", "192.0.2.7", "", "testclient", "localhost.example", "127.0.0.1.example", "127.1"],
)
def test_whatever_else_there_is_counts_as_anothers(address: str) -> None:
    assert not is_loopback(address)
