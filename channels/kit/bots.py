"""Messages of other bots: read if the settings say so, and never two bots answering each other for ever.

An adapter passes them on as material (`InboundMessage.trusted` is false): they give no commands, and get no code to be let in.
"""

from typing import Final

from channels.kit.values import Latest

MOST_IN_A_ROW: Final = 3
"""Messages of bots that are read in a chat before a person has to write to the assistant there."""
_MOST_CHATS: Final = 4096


class BotTurns:
    """The messages of bots in each chat since the last one of a person. Asked about every message that is for the assistant.

    The count is of this process: a restart begins at none, so that a loop takes at most three messages for each start.
    """

    def __init__(self, allowed: bool) -> None:
        self._allowed = allowed
        self._since_person: Latest[set[str]] = Latest(_MOST_CHATS)
        """chat → the messages of bots that were read."""

    def may(self, chat_id: str, external_id: str, *, by_bot: bool, own: bool) -> bool:
        """Whether a message, or an edit of one, is read; the same answer for one that comes again. `own`: it is the assistant's own, which never
        is."""
        if own:
            return False
        if not by_bot:
            self._since_person.pop(chat_id, None)
            return True
        if not self._allowed:
            return False
        read = self._since_person[chat_id] = self._since_person.get(chat_id, set())
        if external_id not in read and len(read) >= MOST_IN_A_ROW:
            return False
        read.add(external_id)
        return True
