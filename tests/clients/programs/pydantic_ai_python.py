"""pydantic-ai: a history, a tool, and its Responses model."""

from checks import BASE, CALL, MODEL, equal, run
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=BASE, api_key="none")


def agent(model: object) -> Agent:
    made = Agent(model, instructions="Be brief.")

    @made.tool_plain
    def weather(at: str) -> str:
        return f"rain at {at}"

    return made


async def history() -> None:
    plain = Agent(OpenAIChatModel(MODEL, provider=provider), instructions="Be brief.")
    first = await plain.run("ECHO a")
    equal((await plain.run("ECHO b", message_history=first.all_messages())).output, "b")


async def tools() -> None:
    equal((await agent(OpenAIChatModel(MODEL, provider=provider)).run(CALL)).output, "done")


async def responses() -> None:
    plain = Agent(OpenAIResponsesModel(MODEL, provider=provider))
    first = await plain.run("ECHO a")
    equal((await plain.run("ECHO b", message_history=first.all_messages())).output, "b")


async def responses_tools() -> None:
    equal((await agent(OpenAIResponsesModel(MODEL, provider=provider)).run(CALL)).output, "done")


run(history, tools, responses, responses_tools)
