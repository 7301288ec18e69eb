"""OpenAI's Agents SDK: over chat completions and over responses, with a session and a tool."""

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from checks import BASE, CALL, MODEL, equal, run
from openai import AsyncOpenAI

set_tracing_disabled(True)


@function_tool
def weather(at: str) -> str:
    """Tells the weather."""
    return f"rain at {at}"


def made(kind: type, *tools: object) -> Agent:
    model = kind(model=MODEL, openai_client=AsyncOpenAI(base_url=BASE, api_key="none", max_retries=0))
    settings = ModelSettings(truncation="auto") if kind is OpenAIResponsesModel else ModelSettings()
    return Agent(name="a", instructions="Be brief.", model=model, tools=list(tools), model_settings=settings)


async def _two_turns(kind: type) -> None:
    agent = made(kind)
    first = await Runner.run(agent, "ECHO a")
    equal((await Runner.run(agent, [*first.to_input_list(), {"role": "user", "content": "ECHO b"}])).final_output, "b")


async def history() -> None:
    await _two_turns(OpenAIChatCompletionsModel)


async def tools() -> None:
    equal((await Runner.run(made(OpenAIChatCompletionsModel, weather), CALL)).final_output, "done")


async def responses() -> None:
    await _two_turns(OpenAIResponsesModel)


async def responses_tools() -> None:
    equal((await Runner.run(made(OpenAIResponsesModel, weather), CALL)).final_output, "done")


run(history, tools, responses, responses_tools)
