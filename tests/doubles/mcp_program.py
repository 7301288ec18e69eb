"""An MCP server of a few lines that misbehaves on demand, for the client's tests: `python -m tests.doubles.mcp_program FOLDER`, over its pipes.

Its tools stand in FOLDER/tools.json, read anew at each request; one whose name begins with "hang", "die", "flood", "drip" does that. A file
FOLDER/mute keeps it from answering anything. It counts its starts and calls in FOLDER/starts and FOLDER/calls.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR4nGP8z8BAEmAiTfmohlENQ0kDAD7kAR8NFQ4lAAAAAElFTkSuQmCC"  # pragma: allowlist secret


def tool(name: str, description: str = "", *, reads: bool = True, wide: int = 0, **properties: str) -> dict[str, Any]:
    """A tool as such a server lists it; `properties`: the types of its arguments; `wide`: how many more."""
    kinds = {**properties, **{f"p{number}": "string" for number in range(wide)}}
    schema = {"type": "object", "properties": {key: {"type": kind} for key, kind in kinds.items()}}
    return {"name": name, "description": description, "inputSchema": schema, "annotations": {"readOnlyHint": reads}}


class Answers:
    """What the server answers; over which way is the caller's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.note("starts")

    def note(self, what: str) -> None:
        with (self.folder / what).open("a") as file:
            file.write(".")

    def to(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The result. Raises LookupError for a method that it does not know."""
        match method:
            case "initialize":
                capabilities = {"tools": {"listChanged": True}, "resources": {}, "prompts": {}}
                version = params["protocolVersion"]
                return {"protocolVersion": version, "capabilities": capabilities, "serverInfo": {"name": "double", "version": "1"}}
            case "tools/list":
                return {"tools": json.loads((self.folder / "tools.json").read_text())}
            case "tools/call":
                self.note("calls")
                return self.call(params["name"], params.get("arguments") or {})
            case "resources/list":
                return {"resources": [{"uri": "note://one", "name": "one", "description": "A note"}]}
            case "resources/templates/list":
                return {"resourceTemplates": []}
            case "resources/read":
                return {"contents": [{"uri": params["uri"], "text": "what the note says"}]}
            case "prompts/list":
                return {"prompts": [{"name": "greet", "arguments": [{"name": "who", "required": True}]}]}
            case "prompts/get":
                words = {"type": "text", "text": f"Greet {params['arguments']['who']}."}
                return {"messages": [{"role": "user", "content": words}]}
            case _:
                raise LookupError(method)

    def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        match name:
            case "picture":
                return {"content": [{"type": "text", "text": "here"}, {"type": "image", "data": PIXEL, "mimeType": "image/png"}]}
            case "structured":
                return {"content": [], "structuredContent": {"answer": 42}}
            case "fails":
                return {"content": [{"type": "text", "text": "the disk is full"}], "isError": True}
            case "file":
                blob = {"uri": "file:///a/table.csv", "mimeType": "text/csv", "blob": "YSxiCjEsMgo="}
                return {"content": [{"type": "resource", "resource": blob}]}
            case _:
                return {"content": [{"type": "text", "text": f"{name} {json.dumps(arguments, sort_keys=True)}"}]}


def main(folder: Path) -> None:
    answers, listed = Answers(folder), None
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message or (folder / "mute").exists():
            continue
        name = str(message.get("params", {}).get("name", "")) if message["method"] == "tools/call" else ""
        if name.startswith("hang"):
            answers.note("calls")
            continue
        if name.startswith("die"):
            answers.note("calls")
            os._exit(3)
        if name.startswith("flood"):
            while True:
                sys.stdout.write("x" * 65_536)
        if name.startswith("drip"):
            while True:
                print(json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 1000}}))
        try:
            answer = {"result": answers.to(message["method"], message.get("params") or {})}
        except LookupError:
            answer = {"error": {"code": -32601, "message": "no such method"}}
        print("this line is no message")
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
        tools = (folder / "tools.json").read_text()
        if listed not in (None, tools):
            print(json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}), flush=True)
        listed = tools


if __name__ == "__main__":
    main(Path(sys.argv[1]))
