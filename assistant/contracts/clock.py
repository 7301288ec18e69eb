"""The time, as something that a test can turn."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Aware, and in UTC."""


def utc_now() -> datetime:
    return datetime.now(UTC)
