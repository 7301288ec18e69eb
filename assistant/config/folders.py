"""The folders that a first start makes."""

from pathlib import Path

_HERE = Path(__file__).parent
_TEMPLATES = (_HERE.parent / "workspace", _HERE.parents[1] / "workspace")
"""Where the workspace's templates are: in an installed package, and in a checkout."""


def make_home(home: Path) -> None:
    """Make the state's folder, for its owner only, if it is not there."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_workspace(workspace: Path) -> bool:
    """Make the workspace from its templates, for its owner only, if it is not there; what is there is left alone.

    Returns whether it was made. Raises OSError where it can't be.
    """
    if workspace.exists():
        return False
    templates = next(folder for folder in _TEMPLATES if folder.is_dir())
    workspace.mkdir(mode=0o700, parents=True)
    for template in sorted(templates.rglob("*")):
        copy = workspace / template.relative_to(templates)
        if template.is_dir():
            copy.mkdir()
        else:
            copy.write_bytes(template.read_bytes())
    return True
