"""What the adapters get."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FormattedPart:
    """One message's worth of a text."""

    text: str
    """In the platform's own form."""
    plain: str
    """The same words without any form, within the same limit."""
