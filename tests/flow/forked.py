"""A command of nanobot run in a process that is forked from one with nanobot imported, by Python's forkserver.

The imports are most of what a short command takes: 0.45 s of processor time when it is started anew, 0.06 s here.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["assistant.cli", "assistant.app.services"])


def run_forked(
    arguments: tuple[str, ...], *, folder: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """What `python -m assistant.cli` does with these arguments in `folder`, without input. Raises TimeoutExpired."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place) / "stdout", Path(place) / "stderr"
        process = _FORKS.Process(target=_run, args=(arguments, folder, environment, out, err))
        process.start()
        process.join(timeout)
        code = process.exitcode
        process.kill()
        process.join()
        process.close()
        if code is None:
            raise subprocess.TimeoutExpired(arguments, timeout)
        return subprocess.CompletedProcess(arguments, code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


def _run(arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], out: Path, err: Path) -> None:
    from assistant.cli import main

    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY | os.O_CREAT), (2, err, os.O_WRONLY | os.O_CREAT)):
        file = os.open(path, flags)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.argv = ["nanobot", *arguments]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    warnings.simplefilter("error")
    main()
