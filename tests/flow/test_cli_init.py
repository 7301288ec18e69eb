"""`nanobot init`: from nothing to the first answered message, tried as a new user would."""

import asyncio
import json
import stat
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.doubles.model_server import ModelServer
from tests.doubles.telegram_api.server import TOKEN, TelegramServer

from .nanobot_process import Nanobot
from .terminal import Terminal

KEY = "sk-" + "k" * 40
PRESSES = 12
"""The most keys that a new user presses, beside the key and the token, which are pasted."""


@pytest.fixture
async def telegram() -> AsyncGenerator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture
def nanobot(tmp_path: Path, telegram: TelegramServer, model: ModelServer) -> Nanobot:
    """Its Telegram and its OpenAI are the stand-ins."""
    env = {"NANOBOT_CHANNELS__TELEGRAM__API_BASE": telegram.url, "OPENAI_BASE_URL": model.url, "NANOBOT_API__PORT": "0"}
    return Nanobot(folder=tmp_path, env=env)


class Fingers:
    """Types at a terminal, and counts."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.presses = 0

    def press(self, after: str, keys: str) -> str:
        """Returns what was shown up to `after`."""
        shown = self._terminal.read_until(after)
        self.presses += len(keys)
        self._terminal.type(keys)
        return shown

    def paste(self, after: str, text: str) -> str:
        shown = self._terminal.read_until(after)
        self.presses += 1
        self._terminal.type(f"{text}\n")
        return shown


async def test_a_new_user_gets_an_answer_in_telegram_within_twelve_key_presses(
    nanobot: Nanobot, telegram: TelegramServer, model: ModelServer
) -> None:
    model.configure(text="Good morning, Ada.")

    def set_up() -> int:
        with Terminal(nanobot, "init") as terminal:
            user = Fingers(terminal)
            number = next(line for line in user.press("Number or name", "").splitlines() if " openai " in line).split()[0]
            user.press(": ", f"{number}\n")
            shown = user.paste("hidden; paste it): ", KEY)
            shown += user.press("Name (Enter: none): ", "\n")
            shown += user.press("Zone (Enter: ", "\n")
            shown += user.press("Number or name (Enter: none): ", "1\n")
            shown += user.paste("  token: ", TOKEN)
            shown += terminal.read_until("Enter: later)")
            telegram.say(42, "hi there")
            shown += user.press("Ada (42) wrote “hi there”. Is that you? [y/n]: ", "y\n")
            shown += user.press("Start it now? [Y/n]: ", "\n")
            assert KEY not in shown
            assert TOKEN not in shown
            assert "Test message to 42: sent" in shown
            terminal.read_until("nanobot serves http://")
            asyncio.run_coroutine_threadsafe(
                telegram.until(lambda: any(each.text == "Good morning, Ada." for each in telegram.ledger)), loop
            ).result(60)
            terminal.interrupt()
            assert terminal.read_to_the_end() == 0
            return user.presses

    loop = asyncio.get_running_loop()
    presses = await asyncio.to_thread(set_up)
    assert presses <= PRESSES
    assert json.loads((nanobot.home / "config.json").read_text()) == {
        "providers": {"openai": {"apiKey": "${OPENAI_API_KEY}"}},
        "agents": {"defaults": {"model": "openai/fake-model"}},
        "channels": {"telegram": {"enabled": True, "token": "${TELEGRAM_TOKEN}", "owners": ["42"]}},
    }
    secrets = nanobot.home / "secrets.env"
    assert {f"OPENAI_API_KEY={KEY}", f"TELEGRAM_TOKEN={TOKEN}"} <= set(secrets.read_text().splitlines())
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600


async def test_answers_as_options_are_not_asked_and_comments_stay(nanobot: Nanobot, telegram: TelegramServer) -> None:
    (nanobot.folder / "config.json").write_text('// mine\n{\n    "api": {"port": 9000}, // here\n}\n')
    answers = ["--model=openai", "--key=-", "--name=Ada", "--zone=berlin", "--channel=telegram", f"--set=token={TOKEN}", "--owner=42"]
    done = await asyncio.to_thread(nanobot, "init", *answers, given=f"{KEY}\n")
    assert (done.returncode, "Test message to 42: sent" in done.stdout) == (0, True), done.stderr
    text = (nanobot.folder / "config.json").read_text()
    assert text.startswith('// mine\n{\n    "api": {"port": 9000}, // here')
    assert '"timezone": "Europe/Berlin"' in text
    assert KEY not in text + done.stdout
    assert [each.text for each in telegram.ledger] == ["This is a test message. If you can read it, the channel works."]
    assert "Ada" in (await asyncio.to_thread(nanobot, "people", "list")).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model=opanai"], "'opanai' is no provider"),
        (["--model=anthropic"], "anthropic needs a key: ANTHROPIC_API_KEY in the environment, or --key"),
        (["--model=ollama/llama3.2"], "ollama does not answer at http://127.0.0.1:11434/v1: start it, and choose again"),
        (["--model=http://127.0.0.1:9/v1"], "127.0.0.1:9"),
        (["--key=k"], "--key needs --model"),
        (["--zone=Entenhausen"], "Entenhausen: no time zone; one is Europe/Berlin"),
        (["--zone=louisville"], "which one? America/Kentucky/Louisville, America/Louisville"),
        (["--channel=pigeon"], 'there is no channel "pigeon"'),
        (["--channel=telegram"], "telegram needs token: --set token=…"),
        (["--channel=telegram", f"--set=token={TOKEN}x"], "does not know the bot's token"),
        (["--set=token=1"], "--set and --owner need --channel"),
        (["--name=" + "n" * 201], "a name is one line of at most 200 characters"),
        (["--model=openai", "--key=" + "k" * 9], "openai refused the key"),
        (["--model=0000019"], "is no provider"),
        (["--channel=0000199"], "there is no channel"),
    ],
)
async def test_a_wrong_answer_says_why_and_writes_nothing(nanobot: Nanobot, model: ModelServer, arguments: list[str], words: str) -> None:
    model.configure(mode="401")
    done = await asyncio.to_thread(nanobot, "init", "--name=Ada", *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert not (nanobot.home / "config.json").exists()
    assert not (nanobot.home / "secrets.env").exists()


@pytest.mark.parametrize("step", range(6))
async def test_ctrl_c_at_any_step_leaves_the_old_configuration(nanobot: Nanobot, step: int) -> None:
    before = '{\n  // mine\n  "api": {"port": 9000},\n}\n'
    nanobot.home.mkdir()
    (nanobot.home / "config.json").write_text(before)
    asked = ["Number or name (Enter: ", "it): ", "Name (Enter: none): ", "Zone (Enter: ", "Number or name (Enter: none): ", "  token: "]
    typed = ["openai\n", f"{KEY}\n", "Ada\n", "berlin\n", "telegram\n"]

    def give_up() -> str:
        with Terminal(nanobot, "init") as terminal:
            for question, words in zip(asked[:step], typed, strict=False):
                terminal.read_until(question)
                terminal.type(words)
            terminal.read_until(asked[step])
            terminal.interrupt()
            terminal.type("\n")  # wakes a read that began as the signal came
            assert terminal.read_to_the_end() == 130
            return terminal.text

    assert "Nothing was changed." in await asyncio.to_thread(give_up)
    assert (nanobot.home / "config.json").read_text() == before
    assert not (nanobot.home / "secrets.env").exists()
    assert sorted(each.name for each in nanobot.home.glob("*config*")) == ["config.json"]


async def test_a_second_run_shows_what_is_set_and_changes_only_what_is_answered(nanobot: Nanobot) -> None:
    await asyncio.to_thread(nanobot, "init", "--model=openai", f"--key={KEY}", "--name=Ada", "--zone=Europe/Berlin")
    first = json.loads((nanobot.home / "config.json").read_text())

    def again() -> str:
        with Terminal(nanobot, "init") as terminal:
            shown = ""
            for question, words in (
                ("openai, fake-model (the model's name begins with openai)): ", ""),
                ("Name (Enter: Ada): ", ""),
                ("Zone (Enter: Europe/Berlin): ", "New York"),
                ("Number or name (Enter: none): ", ""),
                ("Start it now? [Y/n]: ", "n"),
            ):
                shown += terminal.read_until(question)
                terminal.type(f"{words}\n")
            assert terminal.read_to_the_end() == 0
            return shown

    assert "Written to" in await asyncio.to_thread(again)
    first["agents"]["defaults"]["timezone"] = "America/New_York"
    assert json.loads((nanobot.home / "config.json").read_text()) == first


async def test_a_key_that_is_refused_and_a_stranger_are_asked_about_again(
    nanobot: Nanobot, telegram: TelegramServer, model: ModelServer
) -> None:
    model.configure(mode="401")

    def set_up() -> str:
        with Terminal(nanobot, "init") as terminal:
            for question, words in (
                ("Number or name (Enter: ", "openai"),
                ("paste it): ", "sk-wrong"),
                ("refused the key", ""),
                ("Number or name (Enter: ", "openai"),
                ("paste it): ", KEY),
                ("Name (Enter: none): ", ""),
                ("Zone (Enter: ", "Entenhausen"),
                ("no time zone; one is Europe/Berlin", ""),
                ("Zone (Enter: ", ""),
                ("Number or name (Enter: none): ", "pigeon"),
                ("Number or name (Enter: none): ", "Telegram"),
                ("  token: ", TOKEN),
            ):
                terminal.read_until(question)
                if question == "refused the key":
                    model.configure(mode="ok")
                elif words or question.endswith((": ", "(Enter: ")):
                    terminal.type(f"{words}\n")
            terminal.read_until("Enter: later)")
            telegram.say(-7, "@test_bot in a group", sender=9, mention="@test_bot")
            telegram.say(13, "buy gold \x1b[2J", name="Mallory")
            terminal.read_until("Mallory (13) wrote “buy gold \ufffd[2J”. Is that you? [y/n]: ")
            terminal.type("n\n")
            telegram.say(42, "it is me")
            terminal.read_until("Ada (42) wrote “it is me”. Is that you? [y/n]: ")
            terminal.type("y\n")
            terminal.read_until("Start it now? [Y/n]: ")
            terminal.type("n\n")
            assert terminal.read_to_the_end() == 0
            return terminal.text

    await asyncio.to_thread(set_up)
    config = json.loads((nanobot.home / "config.json").read_text())
    assert config["channels"]["telegram"]["owners"] == ["42"]
    assert f"OPENAI_API_KEY={KEY}" in (nanobot.home / "secrets.env").read_text()


async def test_an_address_of_ones_own_is_asked_for_its_models(nanobot: Nanobot, model: ModelServer) -> None:
    done = await asyncio.to_thread(nanobot, "init", f"--model={model.url}")
    assert "The model: custom, fake-model" in done.stdout, done.stderr
    assert json.loads((nanobot.home / "config.json").read_text())["providers"] == {"custom": {"apiBase": model.url}}


async def test_the_owners_id_can_be_typed_in_place_of_a_message(nanobot: Nanobot, telegram: TelegramServer) -> None:
    def add() -> str:
        with Terminal(nanobot, "channels", "add", "telegram") as terminal:
            terminal.read_until("  token: ")
            terminal.type(f"{TOKEN}\n")
            terminal.read_until("owner: ")
            terminal.type("\n")
            terminal.read_until("Enter: later)")
            terminal.type("42\n")
            assert terminal.read_to_the_end() == 0
            return terminal.text

    assert "Test message to 42: sent" in await asyncio.to_thread(add)
    assert json.loads((nanobot.home / "config.json").read_text())["channels"]["telegram"]["owners"] == ["42"]
