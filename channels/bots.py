"""Messages of other bots: read if the settings say so, and never two bots answering each other for ever."""

from collections import OrderedDict
from typing import Final

MOST_IN_A_ROW: Final = 3
"""Messages of bots that are read in a chat before a person has to write there."""
_MOST_CHATS: Final = 4096


class BotTurns:
    """Counts, for each chat, the messages of bots since the last one of a person. Asked about every message that is for the assistant.

    The count is of this process: a restart begins at none, so that a loop takes at most three messages for each start.
    """

    def __init__(self, allowed: bool) -> None:
        self._allowed = allowed
        self._since_person: OrderedDict[str, int] = OrderedDict()

    def may(self, chat_id: str, *, by_bot: bool, own: bool) -> bool:
        """Whether a message is read. `own`: it is the assistant's own, which never is."""
        if own:
            return False
        if not by_bot:
            self._since_person.pop(chat_id, None)
            return True
        count = self._since_person.get(chat_id, 0)
        if not self._allowed or count >= MOST_IN_A_ROW:
            return False
        self._since_person[chat_id] = count + 1
        self._since_person.move_to_end(chat_id)
        while len(self._since_person) > _MOST_CHATS:
            self._since_person.popitem(last=False)
        return True
