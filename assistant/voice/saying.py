"""Makes voice messages: a text without its Markdown, spoken, and made OGG/Opus."""

import asyncio
import logging
from pathlib import Path
from typing import Any, Final

from assistant.contracts.causes import Payer
from assistant.contracts.errors import NanobotError, UnreadableFile
from assistant.contracts.outbox import Media, MediaFiles
from assistant.contracts.util import new_id
from assistant.contracts.voice import VOICE_FILE, NotSpoken, Speaker
from assistant.voice.converter import VOICE_NOTE, Converter
from assistant.voice.settings import SpeakerSettings
from assistant.voice.sounds import kind_of

log = logging.getLogger(__name__)

_SILENT: Final = frozenset({"fence", "code_block", "html_block", "html_inline", "image"})
"""What is read, and not said."""
_BREAKS: Final = frozenset({"softbreak", "hardbreak"})


class SpokenMessages:
    """Implements VoiceMessages."""

    ready = True

    def __init__(self, speaker: Speaker, settings: SpeakerSettings, converter: Converter, files: MediaFiles, scratch: Path) -> None:
        """`scratch`: as of SoundHearing."""
        self._speaker, self._settings = speaker, settings
        self._converter, self._files, self._scratch = converter, files, scratch

    async def say(self, text: str, payer: Payer) -> Media:
        said, most = spoken(text), self._settings.max_chars
        if not said:
            raise NotSpoken("there are no words in it to be said")
        if len(said) > most:
            raise NotSpoken(f"it is longer than {most:,} characters")
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await self._kept(await self._speaker.speak(said, payer))
        except TimeoutError:
            raise NotSpoken(f"it took longer than {self._settings.timeout:g} s") from None
        except NanobotError as error:
            log.warning("voice.not_spoken code=%s", error.code)
            raise NotSpoken("what speaks failed") from error
        except OSError as error:
            log.warning("voice.not_spoken errno=%s", error.errno)
            raise NotSpoken("its sound could not be stored") from error

    async def _kept(self, data: bytes) -> Media:
        """As OGG/Opus; as its server gave it where nothing here can make it that."""
        made = self._scratch / new_id("up")  # the spool's sweep knows the prefix
        kind = kind_of(data[:64])
        if not kind:
            raise NotSpoken("what speaks sent no sound in a form that is known")
        await asyncio.to_thread(self._scratch.mkdir, mode=0o700, parents=True, exist_ok=True)
        try:
            if not (kind == "ogg" and b"OpusHead" in data[:512]) and not await self._converter.missing():
                try:
                    await self._converter.convert(data, kind, VOICE_NOTE, made)
                except UnreadableFile as error:
                    raise NotSpoken("what speaks sent no sound that can be read") from error
                kind = "ogg"
            else:
                await asyncio.to_thread(made.write_bytes, data)
            return await self._files.keep(made, f"{VOICE_FILE}.{kind}")
        finally:
            await asyncio.to_thread(made.unlink, missing_ok=True)


def spoken(markdown: str) -> str:
    """What of a text is said: its words, without marks, addresses and code."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - where something is said

    tokens = MarkdownIt("commonmark", {"html": False}).enable("table").parse(markdown)
    lines = [_words(token.children or []) for token in tokens if token.type == "inline"]
    return "\n".join(filter(None, lines))


def _words(tokens: list[Any]) -> str:
    said = [" " if each.type in _BREAKS else each.content for each in tokens if each.type not in _SILENT]
    return " ".join("".join(said).split())
