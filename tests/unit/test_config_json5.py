"""A configuration in JSON5, as Moltbot's document shows it, is read; what is neither JSON nor JSON5 is refused with its place."""

import subprocess
import sys
from pathlib import Path

import pytest

from assistant.config import ConfigError, Loaded, load_config

MOLTBOTS = """\
{
  // the gateway, as its document has it
  gateway: {
    port: 18789,
    auth: { mode: 'token', token: "${A_TOKEN}" },
    http: {
      endpoints: {
        chatCompletions: { enabled: false },
      }
    }
  }, /* and a key of ours */
  api: { maxConnections: 0x10, },
}
"""


def load(folder: Path, content: str, name: str = "config.json") -> Loaded:
    file = folder / name
    file.write_text(content, encoding="utf-8")
    return load_config(file, {"NANOBOT_HOME": str(folder / "home"), "A_TOKEN": "t"})


def refusal(folder: Path, content: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, content)
    return str(caught.value).removeprefix(f"{folder / 'config.json'}: ")


@pytest.mark.parametrize("name", ["config.json", "config.json5", "moltbot.json"])
def test_moltbots_file_is_read_as_its_document_shows_it(tmp_path: Path, name: str) -> None:
    loaded = load(tmp_path, MOLTBOTS, name)
    auth, api = loaded.config.auth, loaded.config.api
    assert auth.token is not None
    assert (auth.mode, auth.token.get_secret_value()) == ("token", "t")
    assert (api.endpoints.chat_completions.enabled, api.max_connections) == (False, 16)
    assert loaded.notices == ("gateway.port: known from nanobot, has no effect here",)


def test_a_json5_file_is_found_where_no_json_file_is(tmp_path: Path) -> None:
    (tmp_path / "config.json5").write_text("{log: {level: 'debug'}}")
    env = {"NANOBOT_HOME": str(tmp_path / "home")}
    assert load_config(None, env, directory=tmp_path).source == tmp_path / "config.json5"
    (tmp_path / "config.json").write_text("{}")
    assert load_config(None, env, directory=tmp_path).source == tmp_path / "config.json"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{\n  "agents": }', "is not JSON: Expecting value at line 2, column 13"),
        ('{"api": {}', "is not JSON: Expecting ',' delimiter at line 1, column 11"),
        ("", "is not JSON: Expecting value at line 1, column 1"),
        ("{\n  // a comment\n  api: {},\n  log: = }", 'is not JSON5: Unexpected "=" at line 4, column 8'),
        ("{api: {}, log: {}, api: {}}", 'the key "api" stands twice in one object; keep one'),
        ("{shutdown: {grace: NaN}}", "NaN is not JSON"),
        ("{shutdown: {grace: -Infinity}}", "-Infinity is not JSON"),
        ("{a:" * 100_000, "is not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        ("{a:" * 10_000, "is nested too deeply"),
        ('{"shutdown": {"grace": 1e999}}', "the number 1e999 is too large"),
        ("{shutdown: {grace: 1e999}}", "the number 1e999 is too large"),
        ('{"shutdown": {"grace": ' + "9" * 5_000 + "}}", "holds a number with too many digits"),
        # every key is looked at once: this takes a moment, not hours
        (
            "{" + ",".join(f'"k{number}": 1' for number in range(200_000)) + ', "k199999": 2}',
            'the key "k199999" stands twice in one object; keep one',
        ),
        ("['api']", 'must hold a JSON object: {"api": {…}}'),
        ("{apii: {}}", 'apii: there is no such key; did you mean "api"?'),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_place(tmp_path: Path, content: str, why: str) -> None:
    assert refusal(tmp_path, content) == why


def test_whoever_writes_plain_json_does_not_pay_for_json5(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    code = (
        "import sys; from pathlib import Path; from assistant.config import load_config; "
        f"load_config(Path({str(tmp_path / 'config.json')!r}), {{'NANOBOT_HOME': {str(tmp_path / 'home')!r}}}); print('json5' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"
