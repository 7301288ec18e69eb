"""The contract of a channel, as tests: subclass `ChannelSuite` as `TestMine` and override its fixture.

Needs pytest and pytest-asyncio, which are no dependencies of the package. What the platform can't do (`ChannelPlatform.abilities`, `.failures`) is
skipped. `PlanCases`, `SendCases` and `ReceiveCases` hold the cases.
"""

from typing import ClassVar

import pytest

from assistant.testing.channel_in import ReceiveCases
from assistant.testing.channel_out import SendCases
from assistant.testing.channel_plans import PlanCases
from assistant.testing.platform import ChannelPlatform, Failure, FolderFiles, RecordingLink, Said, Seen, event_to, running, send

__all__ = ["ChannelPlatform", "ChannelSuite", "Failure", "FolderFiles", "RecordingLink", "Said", "Seen", "event_to", "running", "send"]


class ChannelSuite(PlanCases, SendCases, ReceiveCases):
    pytestmark: ClassVar = [pytest.mark.asyncio]

    @pytest.fixture
    def platform(self) -> ChannelPlatform:
        """Override this."""
        raise NotImplementedError
