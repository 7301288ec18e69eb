import json
from pathlib import Path
from typing import NoReturn

import pytest

from assistant.config import ConfigError, load_config
from assistant.config.folders import make_home, make_workspace


def written(path: Path, level: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"log": {"level": level}}))
    return path


def test_the_file_is_the_first_of_option_variable_folder_and_home(tmp_path: Path):
    home, folder = tmp_path / "home", tmp_path / "folder"
    folder.mkdir()
    env = {"NANOBOT_HOME": str(home)}
    assert load_config(None, env, directory=folder).source is None
    assert load_config(None, env, directory=folder).config.log.level == "info"
    in_home = written(home / "config.json", "debug")
    assert load_config(None, env, directory=folder).source == in_home
    in_folder = written(folder / "config.json", "debug")
    assert load_config(None, env, directory=folder).source == in_folder
    by_variable = written(tmp_path / "variable.json", "warning")
    env["NANOBOT_CONFIG"] = str(by_variable)
    assert load_config(None, env, directory=folder).source == by_variable
    by_option = written(folder / "option.json", "error")
    loaded = load_config(Path("option.json"), env, directory=folder)
    assert (loaded.source, loaded.config.log.level) == (by_option, "error")


def test_a_named_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"no.json: there is no such file \(--config names it\)"):
        load_config(Path("no.json"), {}, directory=tmp_path)
    with pytest.raises(ConfigError, match=r"no.json: there is no such file \(NANOBOT_CONFIG names it\)"):
        load_config(None, {"NANOBOT_CONFIG": "no.json"}, directory=tmp_path)


def test_the_default_workspace_follows_the_home(tmp_path: Path):
    loaded = load_config(None, {"NANOBOT_HOME": str(tmp_path / "state")}, directory=tmp_path)
    assert loaded.home == tmp_path / "state"
    assert loaded.workspace == tmp_path / "state" / "workspace"


def test_a_relative_workspace_starts_at_the_file_s_folder(tmp_path: Path):
    file = tmp_path / "conf" / "nanobot.json"
    file.parent.mkdir()
    file.write_text('{"agents": {"defaults": {"workspace": "work"}}}')
    assert load_config(file, {"NANOBOT_HOME": str(tmp_path / "home")}, directory=tmp_path).workspace == tmp_path / "conf" / "work"


@pytest.mark.parametrize("workspace", ["home", ".", "conf/.."])
def test_a_workspace_that_holds_the_state_is_refused(tmp_path: Path, workspace: str):
    with pytest.raises(ConfigError, match=r"agents.defaults.workspace: .* holds the state"):
        load_config(
            None,
            {"NANOBOT_HOME": str(tmp_path / "home")},
            {"agents.defaults.workspace": str(tmp_path / workspace)},
            directory=tmp_path,
        )


def test_a_workspace_that_holds_the_configuration_is_refused(tmp_path: Path):
    file = tmp_path / "work" / "config.json"
    written(file, "info")
    with pytest.raises(ConfigError, match="holds the configuration file"):
        load_config(None, {"NANOBOT_HOME": str(tmp_path / "home")}, {"agents.defaults.workspace": "."}, directory=file.parent)


def test_a_first_start_makes_home_and_workspace_for_their_owner_only(tmp_path: Path):
    home = tmp_path / "a" / "home"
    make_home(home)
    assert make_workspace(home / "workspace")
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "workspace").stat().st_mode & 0o777 == 0o700
    files = {str(path.relative_to(home / "workspace")) for path in (home / "workspace").rglob("*") if path.is_file()}
    assert {"AGENTS.md", "USER.md", "memory/MEMORY.md", "skills/README.md", "workflows/README.md"} <= files


def test_a_workspace_that_is_there_is_left_alone(tmp_path: Path):
    (tmp_path / "AGENTS.md").write_text("mine")
    assert not make_workspace(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["AGENTS.md"]


@pytest.mark.parametrize("home", ["/dev/null/none", None])
def test_a_user_without_a_home_has_the_state_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None):
    def no_such_user(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pwd.getpwuid", no_such_user)
    monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)
    loaded = load_config(None, {}, directory=tmp_path)
    assert (loaded.home, loaded.workspace) == (tmp_path / ".nanobot", tmp_path / ".nanobot" / "workspace")
    if home is None:
        with pytest.raises(ConfigError, match="~/notes begins at the home of a user who has none"):
            load_config(None, {}, {"agents.defaults.workspace": "~/notes"}, directory=tmp_path)
