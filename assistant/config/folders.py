"""The folders that a first start makes."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from assistant.config.errors import ConfigError, Problem

_HERE = Path(__file__).parent
_TEMPLATES = (_HERE.parent / "workspace", _HERE.parents[1] / "workspace")
"""Where the workspace's templates are: in an installed package, and in a checkout."""


def make_home(home: Path) -> None:
    """Make the state's folder, for its owner only, if it is not there. Raises ConfigError where it can't be."""
    with _told(home, ()):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_workspace(workspace: Path) -> bool:
    """Make the workspace from its templates, for its owner only, if it is not there; what is there is left alone.

    Returns whether it was made. Raises ConfigError where it can't be.
    """
    if workspace.is_dir():
        return False
    templates = next(folder for folder in _TEMPLATES if folder.is_dir())
    with _told(workspace, ("agents", "defaults", "workspace")):
        workspace.mkdir(mode=0o700, parents=True)
        for template in sorted(templates.rglob("*")):
            copy = workspace / template.relative_to(templates)
            if template.is_dir():
                copy.mkdir()
            else:
                copy.write_bytes(template.read_bytes())
    return True


@contextmanager
def _told(folder: Path, key: tuple[str, ...]) -> Generator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ConfigError(Problem(path=key, text=f"{folder} is not a folder", origin="")) from error
    except OSError as error:
        raise ConfigError(Problem(path=key, text=f"{folder} can't be made ({error.strerror})", origin="")) from error
