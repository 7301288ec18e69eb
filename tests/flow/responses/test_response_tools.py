"""The client's tools in both APIs: functions go on, other kinds are left out with a notice, and a choice holds."""

from typing import Any

import pytest

from .conftest import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

EMPTY: dict[str, Any] = {"type": "object", "properties": {}}
HOSTED: list[dict[str, Any]] = [
    {"type": "web_search"},
    {"type": "web_search_preview", "search_context_size": "low"},
    {"type": "web_search_preview_2025_03_11"},
    {"type": "file_search", "vector_store_ids": ["vs_1"]},
    {"type": "mcp", "server_label": "deepwiki", "server_url": "https://example.org/mcp", "require_approval": "never"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "image_generation"},
    {"type": "local_shell"},
    {"type": "shell"},
    {"type": "apply_patch"},
    {"type": "computer_use_preview", "display_width": 1024, "display_height": 768, "environment": "browser"},
    {"type": "custom", "name": "code_exec", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}},
    {"type": "namespace", "name": "crm", "description": "", "tools": [{"type": "function", "name": "x", "parameters": EMPTY}]},
    {"type": "tool_search"},
    {"type": "of_next_year", "function": {"name": "x"}},
    {"type": "Größe\r\nX-Injected: 1"},
]


def function(name: str, api: str) -> dict[str, Any]:
    if api == "responses":
        return {"type": "function", "name": name, "parameters": EMPTY}
    return {"type": "function", "function": {"name": name, "parameters": EMPTY}}


def body(api: str, text: str = "ECHO hi", **fields: object) -> dict[str, Any]:
    said = {"input": text} if api == "responses" else {"messages": [{"role": "user", "content": text}]}
    return {"model": "tuned", **said, **fields}


def path(api: str) -> str:
    return "/v1/responses" if api == "responses" else "/v1/chat/completions"


def sent_names(served: Served) -> list[str]:
    return [tool["function"]["name"] for tool in served.asked().get("tools", ())]


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("hosted", HOSTED, ids=lambda tool: str(tool["type"].split("\r")[0]))
async def test_a_tool_that_is_no_function_is_left_out_with_a_notice(served: Served, api: str, hosted: dict[str, Any]) -> None:
    made = await served.http.post(path(api), json=body(api, tools=[hosted, function("f", api)], tool_choice="auto"))
    assert made.status_code == 200, made.text
    assert sent_names(served) == ["f"]
    notice = made.headers["x-nanobot-notice"]
    assert notice.startswith("Tools of the type '")
    assert notice.endswith("were left out: only functions are called here.")
    assert "x-injected" not in made.headers
    if api == "responses":
        kept = (await served.http.get(f"/v1/responses/{made.json()['id']}")).json()
        assert kept["notices"] == made.json()["notices"] == [notice]
        assert [tool["name"] for tool in kept["tools"]] == ["f"]


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("model", ["tuned", "agent:main"])
async def test_many_kinds_are_one_notice_in_a_stream_too_and_with_an_agent(served: Served, api: str, model: str) -> None:
    async with served.http.stream("POST", path(api), json=body(api, tools=HOSTED, stream=True) | {"model": model}) as made:
        assert made.status_code == 200
        assert "'file_search'" in made.headers["x-nanobot-notice"]
        assert "and 8 more" in made.headers["x-nanobot-notice"]
        await made.aread()
    plain = await served.http.post(path(api), json=body(api) | {"model": model})
    assert "x-nanobot-notice" not in plain.headers


def allowed(api: str, mode: str, *names: str, others: tuple[str, ...] = ()) -> dict[str, Any]:
    others_there = [{"type": kind} for kind in others]
    if api == "responses":
        return {"type": "allowed_tools", "mode": mode, "tools": [{"type": "function", "name": name} for name in names] + others_there}
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools + others_there}}


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_the_choice_holds(served: Served, api: str) -> None:
    tools = [function(name, api) for name in "abc"] + [{"type": "web_search"}]

    async def chosen(choice: object) -> tuple[list[str], object]:
        made = await served.http.post(path(api), json=body(api, tools=tools, tool_choice=choice))
        assert made.status_code == 200, made.text
        return sent_names(served), served.asked().get("tool_choice")

    for word in ("auto", "required", "none", None):
        assert await chosen(word) == (["a", "b", "c"], word)
    named = {"type": "function", "name": "b"} if api == "responses" else {"type": "function", "function": {"name": "b"}}
    assert await chosen(named) == (["a", "b", "c"], {"type": "function", "function": {"name": "b"}})
    assert await chosen(allowed(api, "auto", "b")) == (["b"], "auto")
    assert await chosen(allowed(api, "required", "c", "a")) == (["a", "c"], "required")
    assert await chosen(allowed(api, "auto", "a", others=("web_search", "mcp"))) == (["a"], "auto")
    assert await chosen(allowed(api, "auto", "a", "a")) == (["a"], "auto")
    assert await chosen(allowed(api, "auto")) == ([], None)
    assert await chosen(allowed(api, "auto", others=("mcp",))) == ([], None)


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_allowed_tools_of_an_agent(served: Served, api: str) -> None:
    """Its own stay unless some are named; one that a function of the client replaces does not come back where that is not allowed."""
    tools = [function(name, api) for name in ("a", "b", "message")]

    async def chosen(choice: object, given: list[Any] = tools) -> tuple[list[str], object]:
        made = await served.http.post(path(api), json=body(api, tools=given, tool_choice=choice) | {"model": "agent:main"})
        assert made.status_code == 200, made.text
        return [name for name in sent_names(served) if name != "run"], served.asked().get("tool_choice")

    files = [*("list_attachments", "read_attachment", "list_files", "find_files", "search_files", "read_file", "write_file", "edit_file")]
    files += ["move_file", "delete_file", "fetch_page", "search_web"]
    later = ["remember", "recall", "forget", "search_history", "schedule", "use_skill", "delegate"]
    assert await chosen("auto") == ([*files, *later, "a", "b", "message"], "auto")
    assert await chosen(allowed(api, "auto", "a")) == ([*files, *later, "a"], "auto")
    assert await chosen(allowed(api, "auto", "a", "message")) == ([*files, *later, "a", "message"], "auto")
    assert await chosen(allowed(api, "required", "read_attachment")) == (["read_attachment"], "required")
    assert await chosen(allowed(api, "auto", "read_attachment", "b")) == (["read_attachment", "b"], "auto")
    assert await chosen(allowed(api, "auto")) == ([*files, *later], "auto")
    assert await chosen(allowed(api, "auto", "message"), []) == (["message"], "auto")
    for names in (["nope"], ["a", "nope"], ["read_attachment", "nope"], ["MESSAGE"], [""]):
        wrong = body(api, tools=tools, tool_choice=allowed(api, "auto", *names)) | {"model": "agent:main"}
        refused = await served.http.post(path(api), json=wrong)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tool_choice"), names


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_a_choice_that_can_not_be_kept_is_refused(served: Served, api: str) -> None:
    tools = [function("a", api), {"type": "web_search"}]
    wrong: list[tuple[object, list[Any], str]] = [
        ({"type": "web_search"}, tools, "demands a tool of the type 'web_search'"),
        ({"type": "web_search_preview"}, tools, "demands a tool of the type 'web_search_preview'"),
        ({"type": "file_search"}, tools, "demands"),
        ({"type": "mcp", "server_label": "x"}, tools, "demands a tool of the type 'mcp'"),
        ({"type": "custom", "name": "x"}, tools, "demands a tool of the type 'custom'"),
        ({"type": "image_generation"}, tools, "demands"),
        ("required", [{"type": "web_search"}], "needs a function among 'tools'"),
        ("required", [], "needs 'tools'"),
        (allowed(api, "auto", "x"), tools, "names a tool that is not one of 'tools'"),
        (allowed(api, "required", others=("web_search",)), tools, "needs a function among 'tools'"),
        (allowed(api, "required"), tools, "needs a function among 'tools'"),
        (allowed(api, "any", "a"), tools, "must be one of 'auto' or 'required'"),
        ({"type": 7}, tools, ""),
        (7, tools, ""),
    ]
    for choice, given, words in wrong:
        refused = await served.http.post(path(api), json=body(api, tools=given, tool_choice=choice))
        assert refused.status_code == 400, choice
        error = refused.json()["error"]
        assert str(error["param"]).startswith("tool_choice"), error
        assert words in error["message"], (choice, error)


async def test_what_codex_sends_by_default_is_answered(served: Served) -> None:
    """Its tools, its store and its include, as a literal request."""
    request: dict[str, Any] = {
        "model": "tuned",
        "instructions": "You are Codex.",
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions>"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "ECHO ready"}]},
        ],
        "tools": [
            {"type": "function", "name": "exec_command", "description": "Runs.", "strict": False, "parameters": EMPTY},
            {"type": "namespace", "name": "multi_agent", "description": "", "tools": []},
            {
                "type": "custom",
                "name": "apply_patch",
                "description": "",
                "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
            },
            {"type": "web_search", "external_web_access": False},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "service_tier": "priority",
        "prompt_cache_key": "019a",
        "text": {"verbosity": "low"},
        "client_metadata": {"x-codex-installation-id": "1"},
    }
    made = await served.http.post("/v1/responses", json=request)
    assert made.status_code == 200, made.text
    assert "event: response.completed" in made.text
    asked = served.asked()
    assert sent_names(served) == ["exec_command"]
    assert (asked["service_tier"], asked["prompt_cache_key"], asked["verbosity"], asked["reasoning_effort"]) == (
        "priority", "019a", "low", "medium"
    )  # fmt: skip
    assert not {"store", "include", "instructions", "input"} & set(asked)
