"""One served assistant for all tests of a module; whatever it answers in a test is looked at behind it."""

from collections.abc import Generator

import pytest

from .house import House


@pytest.fixture(autouse=True)
def witnessed(request: pytest.FixtureRequest) -> Generator[None]:
    """The model says what it says by itself, and all that the server answered is as its description says."""
    if "house" not in request.fixturenames:
        yield
        return
    house: House = request.getfixturevalue("house")
    house.model.configure(mode="ok")
    yield
    house.check()
