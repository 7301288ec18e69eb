"""LangChain: chat, tools, its Responses, and embeddings by their defaults."""

import tiktoken
from checks import BASE, CALL, MODEL, equal, run
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

# Its embeddings count tokens by a file from the web; here each byte is one, and what is sent is made as ever.
BYTES = tiktoken.Encoding("cl100k_base", pat_str=".", mergeable_ranks={bytes([byte]): byte for byte in range(256)}, special_tokens={})
tiktoken.registry.ENCODINGS["cl100k_base"] = BYTES
model = ChatOpenAI(base_url=BASE, api_key="none", model=MODEL, max_retries=0)
HISTORY = [SystemMessage("Be brief."), HumanMessage("ECHO a"), AIMessage("a"), HumanMessage("ECHO b")]


def weather(at: str) -> str:
    """Tells the weather."""
    return f"rain at {at}"


def history() -> None:
    equal(model.invoke(HISTORY).content, "b")


def stream() -> None:
    equal("".join(str(piece.content) for piece in model.stream(HISTORY)), "b")


def tools() -> None:
    bound = model.bind_tools([weather])
    first = bound.invoke([HumanMessage(CALL)])
    results = [ToolMessage("rain", tool_call_id=call["id"]) for call in first.tool_calls]
    equal(bound.invoke([HumanMessage(CALL), first, *results]).content, "done")


def responses() -> None:
    over = ChatOpenAI(base_url=BASE, api_key="none", model=MODEL, max_retries=0, use_responses_api=True, truncation="auto")
    equal(over.invoke(HISTORY).text, "b")


def embeddings() -> None:
    vectors = OpenAIEmbeddings(base_url=BASE, api_key="none", model="text-embedding-3-small").embed_documents(["one", "two words"])
    equal(len(vectors), 2)


run(history, stream, tools, responses, embeddings)
