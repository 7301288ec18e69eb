"""Stand-in for faster-whisper 1.2, for processes whose path has this folder's parent. Has what `assistant.voice.child` uses.

It hears "heard by" and the name of the weights' folder, or does as the recording's bytes say: BROKEN (they can't be decoded), SLOW (it never ends),
HUGE (it takes all memory), LOUD (it prints), NOTHING (no words).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    text: str


@dataclass(frozen=True)
class TranscriptionInfo:
    duration: float
    language: str


class WhisperModel:
    def __init__(self, model_size_or_path: str, *, device: str, compute_type: str, cpu_threads: int, local_files_only: bool) -> None:
        assert (device, compute_type, local_files_only) == ("cpu", "int8", True)
        with open(os.path.join(model_size_or_path, "model.bin"), "rb") as file:
            if b"UNLOADABLE" in file.read():
                raise RuntimeError("Unsupported model binary version")
        self._name = os.path.basename(model_size_or_path)

    def transcribe(
        self, audio: str, *, language: str | None, condition_on_previous_text: bool
    ) -> tuple[Iterator[Segment], TranscriptionInfo]:
        with open(audio, "rb") as file:
            data = file.read()
        if b"BROKEN" in data:
            raise ValueError("Invalid data found when processing input")
        held: list[bytes] = []
        while b"SLOW" in data or b"HUGE" in data:
            held += [bytes(50_000_000)] if b"HUGE" in data else []
        if b"LOUD" in data:
            print("a library prints")
        words = ["", ""] if b"NOTHING" in data else [" heard by", f" {self._name} in {language}"]
        return iter([Segment(text) for text in words]), TranscriptionInfo(duration=2.5, language=language or "en")
